package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"

	"keel/vmkernel/api"
	"keel/vmkernel/api/apitest"
	"keel/vmkernel/auth"
)

// console opens a console; its first message hasn't been read.
func (r *rig) console(cert *tls.Certificate, vm, query string) *websocket.Conn {
	r.t.Helper()
	ws, answer, err := websocket.Dial(within(r.t, 10*time.Second), "wss://"+r.address+"/v1/vms/"+vm+"/console/ttyS0?"+query,
		&websocket.DialOptions{HTTPClient: r.clientOf(cert, "http/1.1"), Subprotocols: []string{api.ConsoleProtocol}})
	if err != nil {
		r.t.Fatalf("%v, %v", err, answer)
	}
	r.t.Cleanup(func() { ws.CloseNow() })
	return ws
}

// message reads the next message of the server's.
func message(t testing.TB, ws *websocket.Conn) (m api.ConsoleMessage) {
	t.Helper()
	kind, p, err := ws.Read(within(t, longest))
	if err != nil || kind != websocket.MessageText {
		t.Fatalf("%v %q %v", kind, p, err)
	}
	if err := json.Unmarshal(p, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// output reads until so many bytes of the guest's have come.
func output(t testing.TB, ws *websocket.Conn, n int) (out []byte) {
	t.Helper()
	for len(out) < n {
		kind, p, err := ws.Read(within(t, longest))
		if err != nil || kind != websocket.MessageBinary {
			t.Fatalf("%v %q %v", kind, p, err)
		}
		out = append(out, p...)
	}
	return out
}

// demo makes a VM that runs, whose guest sends back what is typed, in capitals.
func (r *rig) demo() *apitest.VM {
	r.as(auth.Admin).call("POST", "/v1/vms", vmJSON("demo", 1, `{"tier":"test"}`)).want(201)
	v := r.VMs.Must(r.t, "demo")
	v.To(api.Running, api.Stopped)
	return v
}

func TestConsoleIsTypedInto(t *testing.T) {
	r := newRig(t)
	v := r.demo()
	for _, b := range []byte("booted\n") {
		v.Port.Put(b)
	}
	ws := r.console(r.user("alice", auth.Operator, nil), "demo", "")
	if m := message(t, ws); m.Event != "hello" || m.VM != "demo" || m.Port != "ttyS0" || m.Mode != api.ModeWrite || m.Holder != "alice" || m.Offset != 0 {
		t.Errorf("%+v", m)
	}
	if got := output(t, ws, 7); string(got) != "booted\n" {
		t.Errorf("%q", got)
	}
	typed := bytes.Repeat([]byte("ls\n"), 1000)
	if err := ws.Write(t.Context(), websocket.MessageBinary, typed); err != nil {
		t.Fatal(err)
	}
	if got := output(t, ws, len(typed)); !bytes.Equal(got, bytes.ToUpper(typed)) {
		t.Errorf("%d bytes came back", len(got))
	}
	var now api.VM
	c := r.as(auth.Viewer)
	c.call("GET", "/v1/vms/demo", nil).want(200).into(&now)
	if s := now.Serial[0]; s.Holder != "alice" || len(s.Watchers) != 0 || s.End != 3007 {
		t.Errorf("%+v", s)
	}
	op := r.as(auth.Operator)
	a := op.call("GET", "/v1/vms/demo/console/ttyS0/log?from=-9", nil).want(200)
	if string(a.body) != "LS\nLS\nLS\n" || a.header.Get(api.ConsoleFrom) != "2998" || a.header.Get(api.ConsoleEnd) != "3007" {
		t.Errorf("%q %v", a.body, a.header)
	}
	if a := op.call("GET", "/v1/vms/demo/console/ttyS0/log?from=7", nil).want(200); len(a.body) != 3000 {
		t.Errorf("%d bytes", len(a.body))
	}
	op.call("GET", "/v1/vms/demo/console/ttyS3/log", nil).want(404)
	op.call("GET", "/v1/vms/demo/console/ttyS0", nil).want(400)
}

func TestConsoleHasOneHolderWhoIsNamed(t *testing.T) {
	r := newRig(t)
	r.demo()
	alice := r.console(r.user("alice", auth.Operator, nil), "demo", "")
	message(t, alice)
	bob := r.user("bob", auth.Operator, nil)
	c := &caller{rig: r, client: r.clientOf(bob, "http/1.1")}
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
	if e := c.call("GET", "/v1/vms/demo/console/ttyS0", nil, upgrade...).want(409, api.CodeHeld).error(); e.Details["holder"] != "alice" || e.Details["since"] == "" {
		t.Errorf("%+v", e)
	}
	wrong, err := http.NewRequest("GET", "https://"+r.address+"/v1/vms/demo/console/ttyS0?take=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(upgrade); i += 2 {
		wrong.Header.Set(upgrade[i], upgrade[i+1])
	}
	wrong.Header.Set("Sec-WebSocket-Version", "12")
	if a, err := c.client.Do(wrong); err != nil || a.StatusCode != 400 {
		t.Errorf("%v %v", a, err)
	}
	if s := r.VMs.Must(r.t, "demo").Port.State(); s.Holder != "alice" {
		t.Errorf("held by %q after a WebSocket that was none", s.Holder)
	}
	watcher := r.console(bob, "demo", "mode=watch")
	if m := message(t, watcher); m.Mode != api.ModeWatch || m.Holder != "alice" {
		t.Errorf("%+v", m)
	}
	taken := r.console(bob, "demo", "take=true&from=-1")
	if m := message(t, taken); m.Holder != "bob" {
		t.Errorf("%+v", m)
	}
	if m := message(t, alice); m.Event != "holder" || m.Holder != "bob" || m.Mode != api.ModeWatch {
		t.Errorf("%+v", m)
	}
	if s := r.VMs.Must(r.t, "demo").Port.State(); !slices.Equal(s.Watchers, []string{"alice", "bob"}) {
		t.Errorf("watched by %v", s.Watchers)
	}
	alice.Write(t.Context(), websocket.MessageBinary, []byte("not any more\n"))
	taken.Write(t.Context(), websocket.MessageBinary, []byte("mine\n"))
	for _, ws := range []*websocket.Conn{taken, alice, watcher} {
		if got := output(t, ws, 5); string(got) != "MINE\n" {
			t.Errorf("%q", got)
		}
	}
	// One that watches may not type.
	watcher.Write(t.Context(), websocket.MessageBinary, []byte("x"))
	if _, _, err := watcher.Read(within(t, longest)); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("%v", err)
	}
	// When the VM goes, so do they, and are told.
	r.VMs.Must(r.t, "demo").To(api.Stopped, api.Running)
	r.as(auth.Admin).call("DELETE", "/v1/vms/demo", nil).want(204)
	if m := message(t, taken); m.Event != "end" {
		t.Errorf("%+v", m)
	}
	if _, _, err := taken.Read(within(t, longest)); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("%v", err)
	}
}

func TestConsoleBeginsWhereItSays(t *testing.T) {
	r := newRig(t)
	p := &r.demo().Port
	w, err := p.Watch("alice", -1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, b := range []byte("printed before the greeting") {
		p.Put(b)
	}
	m := (&session{port: p, watcher: w}).hello("demo", "ttyS0", -1)
	if _, at, _, err := w.Read(within(t, longest), make([]byte, 8)); err != nil || m.Offset != at {
		t.Errorf("it says %d and begins at %d, %v", m.Offset, at, err)
	}
}

func TestConsoleSaysWhatIsLost(t *testing.T) {
	r := newRig(t)
	v := r.demo()
	for i := range 100 << 10 {
		v.Port.Put(byte('a' + i%26))
	}
	ws := r.console(r.user("alice", auth.Operator, nil), "demo", "mode=watch&from=100")
	if m := message(t, ws); m.Offset != 36<<10 || m.Lost != 36<<10-100 {
		t.Errorf("%+v", m)
	}
	output(t, ws, 64<<10)
}

func TestConsoleTakesNoMessageThatIsNone(t *testing.T) {
	r := newRig(t)
	r.demo()
	for name, send := range map[string]func(context.Context, *websocket.Conn) error{
		"text": func(ctx context.Context, ws *websocket.Conn) error {
			return ws.Write(ctx, websocket.MessageText, []byte("x"))
		},
		"too long": func(ctx context.Context, ws *websocket.Conn) error {
			return ws.Write(ctx, websocket.MessageBinary, make([]byte, maxInput+1))
		},
	} {
		ws := r.console(r.user("alice", auth.Operator, nil), "demo", "take=true")
		message(t, ws)
		send(t.Context(), ws)
		var err error
		for err == nil {
			_, _, err = ws.Read(within(t, longest))
		}
		if s := websocket.CloseStatus(err); s != websocket.StatusUnsupportedData && s != websocket.StatusMessageTooBig {
			t.Errorf("%s: %v", name, err)
		}
	}
	eventually(t, "nobody holds the console", func() bool { return r.VMs.Must(r.t, "demo").Port.State().Holder == "" })
}

// FuzzConsoleQuery promises that no query of a console does more than open it or be refused.
func FuzzConsoleQuery(f *testing.F) {
	for _, q := range []string{"mode=write", "mode=watch&from=-9223372036854775808", "from=9223372036854775807", "take=true&take=false", "mode=%zz", ";", "from=1e3"} {
		f.Add(q)
	}
	r := newRig(f)
	r.demo()
	who := r.request("GET", "/", r.user("alice", auth.Operator, nil)).Context()
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range []string{"/v1/vms/demo/console/ttyS0/log", "/v1/vms/demo/console/ttyS0"} {
			request := httptest.NewRequest("GET", "/", nil).WithContext(who)
			request.URL = &url.URL{Path: path, RawQuery: query}
			w := httptest.NewRecorder()
			r.server.ServeHTTP(w, request)
			if w.Code != 200 && w.Code != 400 && w.Code != 413 {
				t.Errorf("%s?%q: %d %.200s", path, query, w.Code, w.Body)
			}
		}
	})
}
