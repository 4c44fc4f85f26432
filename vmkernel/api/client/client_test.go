package client_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/auth"
)

// host is a host's door with the real rules of who comes in, and a handler of the test's.
type host struct {
	handler http.Handler
	address string
	key     *auth.HostKey
	store   *auth.Store
}

func serve(t testing.TB, handler http.HandlerFunc, cas ...*auth.CA) host {
	t.Helper()
	config := auth.Config{Clock: time.Now, Uptime: func() time.Duration { return time.Hour }}
	for _, ca := range cas {
		config.CAs = append(config.CAs, ca.Certificate)
	}
	store, err := auth.NewStore(config)
	if err != nil {
		t.Fatal(err)
	}
	key, err := auth.NewHostKey("keel-1", nil, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = store.ServerConfig(key)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return host{handler, s.Listener.Addr().String(), key, store}
}

func newCA(t testing.TB) *auth.CA {
	t.Helper()
	ca, err := auth.NewCA("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func user(t testing.TB, ca *auth.CA, life time.Duration) *tls.Certificate {
	t.Helper()
	key, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := auth.NewRequest(key, "alice")
	if err != nil {
		t.Fatal(err)
	}
	request, err := auth.ParseRequest(text)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ca.Sign(request, auth.Grant{Role: auth.Admin}, life, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
}

func to(h host, own *tls.Certificate) *client.Conn {
	return client.New(client.Config{Name: "keel-1", Address: h.address, Client: own,
		Expect: auth.Expect{Key: h.key.Fingerprint()}, UserAgent: "test"})
}

func kind(err error) string {
	var f *client.Failure
	var r *client.Refused
	switch {
	case err == nil:
		return "none"
	case errors.As(err, &f):
		return fmt.Sprintf("failure %d", f.Kind)
	case errors.As(err, &r):
		return fmt.Sprintf("refused %d", r.Status)
	}
	return err.Error()
}

func TestNoRequestReachesAHostWithAnotherKey(t *testing.T) {
	asked := false
	ca := newCA(t)
	h := serve(t, func(http.ResponseWriter, *http.Request) { asked = true }, ca)
	other, err := auth.NewHostKey("other", nil, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c := client.New(client.Config{Name: "keel-1", Address: h.address, Client: user(t, ca, 0), Expect: auth.Expect{Key: other.Fingerprint()}})
	err = c.Get(context.Background(), "/v1/version", nil, nil)
	var wrong *auth.ErrOtherKey
	if kind(err) != fmt.Sprintf("failure %d", client.Unreachable) || !errors.As(err, &wrong) || wrong.Got != h.key.Fingerprint() || asked {
		t.Errorf("asked %v, %v", asked, err)
	}
	if _, err := c.WebSocket(context.Background(), "/v1/x", nil, "p"); !errors.As(err, &wrong) || asked {
		t.Errorf("WebSocket: asked %v, %v", asked, err)
	}
}

func TestWhyAHostTakesNoCertificateIsSaid(t *testing.T) {
	ca := newCA(t)
	h := serve(t, func(http.ResponseWriter, *http.Request) {}, ca)
	revoked := user(t, ca, 0)
	if err := h.store.Revoke(auth.RevokedCertificate{Issuer: ca.Fingerprint(), Serial: auth.Serial(revoked.Leaf)}); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		own  *tls.Certificate
		want string
	}{
		"none":     {nil, "wants a certificate"},
		"other CA": {user(t, newCA(t), 0), "doesn't trust the operator CA"},
		"expired":  {user(t, ca, time.Nanosecond), "has expired"},
		"revoked":  {revoked, "revoked"},
	} {
		for range 5 { // the alert races with the request
			err := to(h, test.own).Get(context.Background(), "/v1/version", nil, nil)
			if kind(err) != fmt.Sprintf("failure %d", client.Denied) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %s: %v", name, kind(err), err)
			}
		}
	}
	if err := to(h, user(t, ca, 0)).Get(context.Background(), "/v1/version", nil, nil); err != nil {
		t.Errorf("a good one: %v", err)
	}
}

func TestAnswersComeBackAsWhatTheyAre(t *testing.T) {
	ca := newCA(t)
	h := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.EscapedPath() {
		case "/v1/images/a%2Fb":
			if r.Header.Get("If-Match") != `"1"` || r.Header.Get("Content-Type") != "application/json" || r.ProtoMajor != 2 {
				t.Errorf("%v %v", r.Proto, r.Header)
			}
			w.Header().Set("ETag", `"2"`)
			w.Write([]byte(`{"name":"a/b","fromTheFuture":{"x":1}}`))
		case "/v1/denied":
			w.WriteHeader(http.StatusForbidden)
			json.NewEncoder(w).Encode(api.ErrorBody{Error: &api.Error{Code: api.CodeDenied, Message: "the role operator is missing"}})
		case "/v1/odd":
			w.WriteHeader(http.StatusTeapot)
		case "/v1/moved":
			http.Redirect(w, r, "https://example.org/", http.StatusFound)
		case "/v1/garbage":
			w.Write([]byte("<html>"))
		case "/v1/slow":
			<-r.Context().Done()
		}
	}, ca)
	c := to(h, user(t, ca, 0))
	defer c.Close()
	ctx := context.Background()
	var image api.Image
	header, err := c.Call(ctx, client.Request{Method: "PUT", Path: client.Path("images", "a/b"), In: map[string]string{}, Match: `"1"`}, &image)
	if err != nil || image.Name != "a/b" || header.Get("ETag") != `"2"` || c.Peer() != h.key.Fingerprint() {
		t.Errorf("%+v %v %v", image, header, err)
	}
	var answer *api.Error
	if err := c.Get(ctx, "/v1/denied", nil, nil); kind(err) != "refused 403" || !errors.As(err, &answer) || answer.Code != api.CodeDenied ||
		err.Error() != "keel-1: the role operator is missing" {
		t.Errorf("%v", err)
	}
	if err := c.Get(ctx, "/v1/odd", nil, nil); kind(err) != "refused 418" {
		t.Errorf("%v", err)
	}
	if err := c.Get(ctx, "/v1/moved", nil, nil); kind(err) != "refused 302" {
		t.Errorf("a redirection is followed: %v", err)
	}
	if err := c.Get(ctx, "/v1/garbage", nil, &image); kind(err) != fmt.Sprintf("failure %d", client.Broken) {
		t.Errorf("%v", err)
	}
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if err := c.Get(short, "/v1/slow", nil, nil); kind(err) != fmt.Sprintf("failure %d", client.Timeout) {
		t.Errorf("%v", err)
	}
	gone, end := context.WithCancel(ctx)
	end()
	if err := c.Get(gone, "/v1/slow", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestWhatIsNotThereIsUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	notTLS := httptest.NewServer(http.NotFoundHandler())
	defer notTLS.Close()
	for _, address := range []string{closed, "no-such-host.invalid:443", notTLS.Listener.Addr().String()} {
		c := client.New(client.Config{Name: "keel-1", Address: address})
		if err := c.Get(context.Background(), "/v1/version", nil, nil); kind(err) != fmt.Sprintf("failure %d", client.Unreachable) ||
			!strings.Contains(err.Error(), "keel-1 ("+address+")") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestWhoIsTurnedAwayTriesAgain(t *testing.T) {
	t.Parallel()
	ca := newCA(t)
	var handshakes, calls atomic.Int32
	turns := int32(2)
	h := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		io.WriteString(w, "{}")
	}, ca)
	store := h.store.ServerConfig(h.key)
	front := httptest.NewUnstartedServer(h.handler)
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.TLS = store.Clone()
	front.TLS.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if handshakes.Add(1) <= turns {
			return nil, errors.New("too many")
		}
		if store.GetConfigForClient != nil {
			return store.GetConfigForClient(hello)
		}
		return nil, nil
	}
	front.StartTLS()
	defer front.Close()
	h.address = front.Listener.Addr().String()
	if err := to(h, user(t, ca, time.Hour)).Post(t.Context(), "/v1/vms", map[string]string{}, nil); err != nil {
		t.Fatal(err)
	}
	if handshakes.Load() != 3 || calls.Load() != 1 {
		t.Errorf("%d handshakes and %d calls, not 3 and 1", handshakes.Load(), calls.Load())
	}
	turns = 1 << 30
	if err := to(h, user(t, ca, time.Hour)).Get(t.Context(), "/v1/host", nil, nil); err == nil || !strings.Contains(err.Error(), "turns new connections away") {
		t.Errorf("turned away for good: %v", err)
	}
}

func TestLinesOfAStream(t *testing.T) {
	ca := newCA(t)
	h := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"sequence":1,"kind":"a"}`+"\n\n"+`{"sequence":2,"kind":"b"}`+"\n"+`{"sequence":3}`)
		if r.URL.Query().Get("follow") == "true" {
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}, ca)
	c := to(h, user(t, ca, 0))
	var got []uint64
	err := client.Each(context.Background(), c, "/v1/events", nil, func(e api.Event) error {
		got = append(got, e.Sequence)
		return nil
	})
	if err != nil || fmt.Sprint(got) != "[1 2 3]" {
		t.Errorf("%v %v", got, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := c.Lines(ctx, "/v1/events", map[string][]string{"follow": {"true"}}, func([]byte) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	err = c.Lines(context.Background(), "/v1/events", map[string][]string{"follow": {"true"}}, func([]byte) error { return client.ErrStop })
	if err != nil {
		t.Errorf("%v", err)
	}
}

// FuzzAnswers promises that whatever a host sends is an answer, a refusal or a failure, as its status says, and that a
// stream's lines are lines and not empty.
func FuzzAnswers(f *testing.F) {
	f.Add(200, []byte(`{"sequence":1,"kind":"a"}`+"\n\n"+`{"sequence":2}`))
	f.Add(409, []byte(`{"error":{"code":"conflict","message":"demo runs","details":{"a":"b"}}}`))
	f.Add(500, []byte(`{"error":null}`))
	f.Add(403, []byte(`{"error":{"code":7}}`))
	f.Add(302, []byte("<html>"))
	ca := newCA(f)
	var status atomic.Int64
	var body atomic.Pointer[[]byte]
	h := serve(f, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(status.Load()))
		w.Write(*body.Load())
	}, ca)
	c := to(h, user(f, ca, time.Hour))
	f.Fuzz(func(t *testing.T, code int, text []byte) {
		if code < 200 || code > 599 {
			return // net/http sends none of them
		}
		status.Store(int64(code))
		body.Store(&text)
		var v api.VM
		said := []error{c.Get(t.Context(), "/v1/vms/demo", nil, &v)}
		said = append(said, client.Each(t.Context(), c, "/v1/events", nil, func(api.Event) error { return nil }))
		said = append(said, c.Lines(t.Context(), "/v1/events", nil, func(line []byte) error {
			if len(line) == 0 || bytes.ContainsRune(line, '\n') {
				t.Errorf("a line %q", line)
			}
			return nil
		}))
		for _, err := range said {
			k, _, _ := strings.Cut(kind(err), " ")
			if code >= 300 && k != "refused" || code < 300 && k != "none" && k != "failure" {
				t.Errorf("%d %.100q: %v", code, text, err)
			}
		}
	})
}
