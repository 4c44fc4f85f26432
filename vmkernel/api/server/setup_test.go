package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/api/apitest"
	"keel/vmkernel/api/door"
	"keel/vmkernel/auth"
	"keel/vmkernel/seed"
)

// rig is a server on loopback, with what it serves.
type rig struct {
	*apitest.Parts
	t       testing.TB
	server  *Server
	address string
	ca      *auth.CA
}

var kernel = []byte(strings.Repeat("kernel ", 1000))

// newRig starts a server. Its options change what it is made of.
func newRig(t testing.TB, options ...func(*auth.Config, *Config)) *rig {
	t.Helper()
	ca, err := auth.NewCA("operators", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	trust := auth.Config{CAs: []*x509.Certificate{ca.Certificate}, Token: strings.Repeat("t", 43)}
	config := Config{Version: apitest.Release, Build: "build", Lines: NewLines(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for _, o := range options {
		o(&trust, &config)
	}
	r := &rig{Parts: apitest.New(t, apitest.Options{Trust: trust}), t: t, ca: ca}
	config.Name, config.VMs, config.Images, config.Trust, config.Key, config.Audit = r.Name, r.VMs, r.Images, r.Trust, r.Key, r.Log
	if config.Host == nil {
		config.Host = r.Host
	}
	if err := r.Images.AddFile(seedFile("vmlinuz", kernel)); err != nil {
		t.Fatal(err)
	}
	r.server = New(config)
	r.address = apitest.Serve(t, r.server, "")
	return r
}

func seedFile(name string, data []byte) *seed.File {
	sum := sha256.Sum256(data)
	return &seed.File{Name: name, Data: data, Info: seed.FileInfo{Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}}
}

// user makes a certificate of the rig's CA.
func (r *rig) user(name string, role auth.Role, scope map[string]string) *tls.Certificate {
	r.t.Helper()
	return apitest.User(r.t, r.ca, name, auth.Grant{Role: role, Scope: scope}, 0, time.Now())
}

// clientOf is an HTTP client with a certificate, or none.
func (r *rig) clientOf(cert *tls.Certificate, protocols ...string) *http.Client {
	config := auth.ClientConfig(cert, auth.Expect{Key: r.server.Key.Fingerprint()})
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	if protocols != nil {
		config.NextProtos = protocols
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetHTTP1(true)
	}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: longest, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (r *rig) as(role auth.Role) *caller {
	return &caller{rig: r, client: r.clientOf(r.user(string(role)+"-1", role, nil))}
}

func (r *rig) scoped(role auth.Role, scope map[string]string) *caller {
	return &caller{rig: r, client: r.clientOf(r.user("scoped-"+string(role), role, scope))}
}

// caller calls the API.
type caller struct {
	rig    *rig
	client *http.Client
}

// request is a call as it comes to the server from somebody with a certificate.
func (r *rig) request(method, path string, cert *tls.Certificate) *http.Request {
	r.t.Helper()
	id, err := auth.IdentityOf(cert.Leaf)
	if err != nil {
		r.t.Fatal(err)
	}
	id.Issuer = r.ca.Fingerprint()
	request := httptest.NewRequest(method, path, nil)
	peer := &door.Peer{Caller: id.Name, Admin: id.Role == auth.Admin, Known: true, ID: &id, Source: netip.MustParseAddrPort("192.0.2.9:1234")}
	return request.WithContext(context.WithValue(request.Context(), peerKey{}, peer))
}

// answer is what came.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

func (c *caller) do(method, path string, body any, header ...string) (answer, error) {
	var in io.Reader
	kind := ""
	switch b := body.(type) {
	case nil:
	case string:
		in, kind = strings.NewReader(b), "application/json"
	case []byte:
		in, kind = bytes.NewReader(b), "application/octet-stream"
	default:
		text, err := json.Marshal(b)
		if err != nil {
			c.rig.t.Fatal(err)
		}
		in, kind = bytes.NewReader(text), "application/json"
	}
	request, err := http.NewRequest(method, "https://"+c.rig.address+path, in)
	if err != nil {
		c.rig.t.Fatal(err)
	}
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := c.client.Do(request)
	if err != nil {
		return answer{t: c.rig.t}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	a := answer{c.rig.t, response.StatusCode, response.Header, text}
	if err == nil && method != "HEAD" { // which has no body
		spec(c.rig.t).check(method, request.URL.EscapedPath(), body, a)
	}
	return a, err
}

// call is do that must get an answer.
func (c *caller) call(method, path string, body any, header ...string) answer {
	c.rig.t.Helper()
	a, err := c.do(method, path, body, header...)
	if err != nil {
		c.rig.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// want fails unless the answer has a status, and of an error the code.
func (a answer) want(status int, code ...api.Code) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %.500s", a.status, status, a.body)
	}
	if len(code) > 0 {
		if e := a.error(); e.Code != code[0] {
			a.t.Fatalf("code %q, want %q: %s", e.Code, code[0], a.body)
		}
	}
	return a
}

func (a answer) error() api.Error {
	a.t.Helper()
	var b api.ErrorBody
	if err := json.Unmarshal(a.body, &b); err != nil || b.Error == nil || b.Error.Message == "" {
		a.t.Fatalf("no error: %v, %.500s", err, a.body)
	}
	return *b.Error
}

func (a answer) into(v any) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		a.t.Fatalf("%v: %.500s", err, a.body)
	}
}

// vmJSON is a VM's description.
func vmJSON(name string, n int, labels string) string {
	if labels == "" {
		labels = "{}"
	}
	return fmt.Sprintf(`{"name":%q,"id":"%08x-0000-4000-8000-000000000001","memory":{"size":268435456},"boot":{"direct":{"kernel":"vmlinuz"}},"serial":[{"name":"ttyS0"}],"labels":%s}`, name, n, labels)
}

// limits of connections for a test.
func limits(change func(*door.Limits)) func(*auth.Config, *Config) {
	return func(_ *auth.Config, c *Config) {
		c.Limits = door.DefaultLimits()
		change(&c.Limits)
	}
}

// busy are limits for a test that connects more often than one source may.
func busy(_ *auth.Config, c *Config) {
	if c.Limits == (door.Limits{}) {
		c.Limits = door.DefaultLimits()
	}
	l := &c.Limits
	l.Rate, l.Burst, l.Rate1, l.Burst1 = 1e6, 1e6, 1e6, 1e6
}

// records are those of the audit log, decoded.
func (r *rig) records() (list []map[string]any) {
	r.t.Helper()
	for from := int64(0); ; {
		page := r.Log.Read(from, 1000)
		if len(page.Records) == 0 {
			return list
		}
		for _, text := range page.Records {
			m := map[string]any{}
			if err := json.Unmarshal(text, &m); err != nil {
				r.t.Fatal(err)
			}
			list = append(list, m)
		}
		from = page.From + int64(len(page.Records))
	}
}

// longest is how long a test waits for what has to come, however busy the machine is: it comes at once on one that isn't.
const longest = time.Minute

// eventually waits until something is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(longest); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("it never came that %s", what)
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
