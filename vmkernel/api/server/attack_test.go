package server

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/api/door"
	"keel/vmkernel/auth"
	"keel/vmkernel/seed"
)

// quick are limits of time for tests that wait for their end.
func quick(_ *auth.Config, c *Config) {
	c.times = times{header: 300 * time.Millisecond, body: 300 * time.Millisecond, write: time.Second, idle: time.Second, ping: time.Second, recheck: 50 * time.Millisecond}
}

// dial opens a TLS connection of a known caller, without HTTP.
func (r *rig) dial(cert *tls.Certificate, protocol string) *tls.Conn {
	r.t.Helper()
	config := auth.ClientConfig(cert, auth.Expect{Key: r.server.Key.Fingerprint()})
	config.NextProtos = []string{protocol}
	conn, err := tls.Dial("tcp", r.address, config)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(longest))
	return conn
}

// alive fails unless an administrator who connects now gets an answer.
func (r *rig) alive() {
	r.t.Helper()
	r.as(auth.Admin).call("GET", "/v1/host", nil).want(200)
}

func TestOnlyTLS13(t *testing.T) {
	r := newRig(t)
	cert := r.user("alice", auth.Admin, nil)
	for name, change := range map[string]func(*tls.Config){
		"TLS 1.2": func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 },
		"TLS 1.0": func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS10 },
		"TLS 1.2 that would renegotiate": func(c *tls.Config) {
			c.MinVersion, c.MaxVersion, c.Renegotiation = tls.VersionTLS10, tls.VersionTLS12, tls.RenegotiateFreelyAsClient
		},
		"a curve of its own": func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP521} },
		"another protocol":   func(c *tls.Config) { c.NextProtos = []string{"spdy/3"} },
	} {
		config := auth.ClientConfig(cert, auth.Expect{})
		change(config)
		conn, err := tls.Dial("tcp", r.address, config)
		if err == nil {
			conn.Close()
			t.Errorf("%s: let in by %x", name, conn.ConnectionState().Version)
		}
	}
	conn := r.dial(cert, "h2")
	if s := conn.ConnectionState(); s.Version != tls.VersionTLS13 || s.DidResume {
		t.Errorf("%+v", s)
	}
	r.alive()
}

func TestAHandshakeInTheMiddleEndsTheConnection(t *testing.T) {
	r := newRig(t)
	conn := r.dial(r.user("alice", auth.Admin, nil), "http/1.1")
	hello := append([]byte{22, 3, 1, 0, 4, 1, 0, 0, 0}, make([]byte, 64)...) // a ClientHello, in the clear
	conn.NetConn().Write(hello)
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("it goes on")
	}
	r.alive()
}

func TestHTTPWithoutTLSIsTold(t *testing.T) {
	r := newRig(t)
	conn, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(longest))
	io.WriteString(conn, "GET /v1/version HTTP/1.1\r\nHost: keel\r\n\r\n")
	text, _ := io.ReadAll(conn)
	if !strings.HasPrefix(string(text), "HTTP/1.0 400 ") || !strings.Contains(string(text), "HTTPS") {
		t.Errorf("%q", text)
	}
}

func TestPathsAreTakenAsTheyAreOrNotAtAll(t *testing.T) {
	r := newRig(t, busy)
	r.demo()
	cert := r.user("alice", auth.Admin, nil)
	for _, target := range []string{"/v1/../v1/vms", "//v1/vms", "/v1//vms", "/v1/vms/", "/v1/./vms", "/v1/%2e%2e/v1/vms", "/v1/%76ms", "/v1/vms/demo/..", "/v1/vms/..%2fdemo",
		"/v1/vms/demo%00", "/v1/vms/demo%0d%0aX:1", "/V1/vms", "/v1/vms/demo/start/", "/v1/vms/%2e%2e", `/v1\vms`, "/v1/vms;x=1", "/", "", "*", "/v1", "/v1/vms/" + strings.Repeat("a", 300),
		"/v1/vms/" + strings.Repeat("a", 3000), "http://other/v1/../vms", "/v1/vms/demo/console/../stats", "/v1/images/..%2f..%2fetc%2fpasswd"} {
		for _, method := range []string{"GET", "POST", "DELETE", "OPTIONS", "TRACE"} {
			conn := r.dial(cert, "http/1.1")
			fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: keel\r\nConnection: close\r\n\r\n", method, target)
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Errorf("%s %.40q: %v", method, target, err)
				continue
			}
			if response.StatusCode < 400 {
				t.Errorf("%s %.40q: %s %v", method, target, response.Status, response.Header)
			}
			conn.Close()
		}
	}
	r.alive()
}

func TestRequestsThatMeanTwoThingsAreRefused(t *testing.T) {
	r := newRig(t, busy)
	cert := r.user("alice", auth.Admin, nil)
	for name, text := range map[string]string{
		"two lengths":         "POST /v1/vms HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n{}{}",
		"length and chunks":   "POST /v1/vms HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/vms HTTP/1.1\r\nHost: a\r\n\r\n",
		"two hosts":           "GET /v1/vms HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"a header with LF":    "GET /v1/vms HTTP/1.1\r\nHost: a\r\nX: a\nb\r\n\r\n",
		"no version":          "GET /v1/vms\r\n\r\n",
		"a parameter twice":   "GET /v1/audit/records?from=1&from=2 HTTP/1.1\r\nHost: a\r\n\r\n",
		"an unknown one":      "GET /v1/vms?all=true HTTP/1.1\r\nHost: a\r\n\r\n",
		"a body that is none": "GET /v1/vms HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
		"compressed":          "POST /v1/vms HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
		"a form":              "POST /v1/vms HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 2\r\n\r\n{}",
	} {
		conn := r.dial(cert, "http/1.1")
		io.WriteString(conn, text)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil && response.StatusCode < 400 {
			t.Errorf("%s: %s", name, response.Status)
		}
		if name == "length and chunks" && err == nil && response.StatusCode != 400 {
			t.Errorf("%s: %s", name, response.Status)
		}
		conn.Close()
	}
	r.alive()
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	r := newRig(t)
	c := r.as(auth.Admin)
	cert := r.user("alice", auth.Admin, nil)
	conn := r.dial(cert, "http/1.1")
	io.WriteString(conn, "GET /v1/vms HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil && response.StatusCode != 431 {
		t.Errorf("headers: %s", response.Status)
	}
	if a, err := c.do("GET", "/v1/vms", nil, "X-Long", strings.Repeat("x", 64<<10)); err == nil && a.status != 431 {
		t.Errorf("HTTP/2 headers: %d", a.status)
	}
	c.call("GET", "/v1/vms/"+strings.Repeat("a", 3000), nil).want(413)
	c.call("POST", "/v1/vms", `{"name":"`+strings.Repeat("a", maxBody)+`"}`).want(413, api.CodeTooLarge)
	// One that doesn't say how long it is.
	request, _ := http.NewRequest("POST", "https://"+r.address+"/v1/vms", io.MultiReader(strings.NewReader(`{"name":"`), strings.NewReader(strings.Repeat("a", maxBody))))
	request.Header.Set("Content-Type", "application/json")
	response, err := c.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 413 {
		t.Errorf("%s", response.Status)
	}
	r.alive()
}

func TestJSONBombsAreSmall(t *testing.T) {
	r := newRig(t, busy)
	c := r.as(auth.Admin)
	fill := func(s string) string { return strings.Repeat(s, (maxBody-100)/len(s)) }
	for name, bomb := range map[string]string{
		"depth":     fill("["),
		"objects":   fill(`{"a":`),
		"closed":    strings.Repeat("[", 50000) + strings.Repeat("]", 50000),
		"lists":     "[" + strings.TrimSuffix(fill("[],"), ",") + "]",
		"numbers":   "[" + strings.TrimSuffix(fill("0,"), ",") + "]",
		"keys":      `{"labels":{` + strings.TrimSuffix(fill(`"a":"",`), ",") + `}}`,
		"a number":  `{"memory":{"size":1` + fill("0") + `}}`,
		"exponent":  `{"memory":{"size":1e999999999}}`,
		"escapes":   `{"name":"` + fill(`\u0000`) + `"}`,
		"surrogate": `{"name":"\ud800"}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		a := c.call("POST", "/v1/vms", bomb).want(400)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 40<<20 {
			t.Errorf("%s has allocated %d MiB", name, n>>20)
		}
		if len(a.body) > 4096 {
			t.Errorf("%s: %d bytes of error", name, len(a.body))
		}
	}
	r.alive()
}

func TestSlowClientsAreCutOff(t *testing.T) {
	ends := func(name string, conn net.Conn) {
		t.Helper()
		conn.SetReadDeadline(time.Now().Add(longest))
		_, err := io.Copy(io.Discard, conn)
		var timeout net.Error
		if timeout, _ = err.(net.Error); timeout != nil && timeout.Timeout() {
			t.Errorf("%s: it lives after %v", name, longest)
		}
	}
	r := newRig(t, limits(func(l *door.Limits) { l.HelloTime, l.HandshakeTime = 300*time.Millisecond, 600*time.Millisecond }))
	silent, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ends("no hello", silent)
	part, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer part.Close()
	part.Write([]byte{22, 3, 1, 2, 0, 1})
	ends("half a hello", part)

	r = newRig(t, quick)
	cert := r.user("alice", auth.Operator, nil)
	idle := r.dial(cert, "http/1.1")
	ends("no request", idle)
	headers := r.dial(cert, "http/1.1")
	io.WriteString(headers, "GET /v1/version HTTP/1.1\r\nHost: a\r\n")
	ends("half the headers", headers)
	body := r.dial(cert, "http/1.1")
	io.WriteString(body, "POST /v1/vms HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	ends("half the body", body)
	upload := r.dial(cert, "http/1.1")
	io.WriteString(upload, "PATCH /v1/images/vmlinuz HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nUpload-Offset: 0\r\nContent-Length: 100\r\n\r\n")
	ends("no upload", upload)
	h2 := r.dial(cert, "h2")
	io.WriteString(h2, preface)
	h2.Write(frame(4, 0, 0, nil))
	ends("a dead HTTP/2 client", h2)
	// Dribbling doesn't help.
	drip := r.dial(cert, "http/1.1")
	go func() {
		for _, b := range []byte("GET /v1/version HTTP/1.1\r\nX: " + strings.Repeat("x", 100)) {
			if _, err := drip.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	ends("drips", drip)
	eventually(t, "an administrator is answered", func() bool { // whose time is as short
		a, err := r.as(auth.Admin).do("GET", "/v1/host", nil)
		return err == nil && a.status == 200
	})
}

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// frame is an HTTP/2 frame (RFC 9113, 4.1).
func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

// block is a header block (RFC 7541) of GET /v1/version.
func block() []byte {
	b := []byte{0x82, 0x87} // :method GET, :scheme https
	b = append(b, 0x04, 11)
	b = append(b, "/v1/version"...)
	return append(append(b, 0x01, 4), "keel"...)
}

func TestHTTP2ThatIsNone(t *testing.T) {
	r := newRig(t, busy)
	cert := r.user("mallory", auth.Viewer, nil)
	repeat := func(n int, f func(i int) []byte) []byte {
		var b bytes.Buffer
		for i := range n {
			b.Write(f(i))
		}
		return b.Bytes()
	}
	settings := frame(4, 0, 0, nil)
	for _, text := range map[string][]byte{
		"no preface":         bytes.Repeat([]byte{0}, 1000),
		"noise":              append([]byte(preface), bytes.Repeat([]byte{0xA5, 0x5A, 0xFF}, 1000)...),
		"a frame too long":   append([]byte(preface), append(settings, frame(0, 0, 1, make([]byte, 1<<20))...)...),
		"odd settings":       append([]byte(preface), frame(4, 0, 0, []byte{0, 4, 0xFF, 0xFF, 0xFF, 0xFF})...),
		"settings cut off":   append([]byte(preface), frame(4, 0, 0, []byte{0, 4, 0})...),
		"a wrong stream":     append([]byte(preface), append(settings, frame(1, 4|1, 2, block())...)...),
		"a bad block":        append([]byte(preface), append(settings, frame(1, 4|1, 1, []byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})...)...),
		"padding":            append([]byte(preface), append(settings, frame(1, 4|1|8, 1, []byte{200, 0x82})...)...),
		"windows":            append([]byte(preface), append(settings, repeat(3, func(int) []byte { return frame(8, 0, 0, []byte{0x7F, 0xFF, 0xFF, 0xFF}) })...)...),
		"priority of itself": append([]byte(preface), append(settings, frame(2, 0, 1, []byte{0, 0, 0, 1, 0})...)...),
		"pings":              append([]byte(preface), append(settings, repeat(20000, func(int) []byte { return frame(6, 0, 0, make([]byte, 8)) })...)...),
		"settings again":     append([]byte(preface), repeat(20000, func(int) []byte { return settings })...),
		"rapid resets": append([]byte(preface), append(settings, repeat(20000, func(i int) []byte {
			return append(frame(1, 4|1, uint32(2*i+1), block()), frame(3, 0, uint32(2*i+1), []byte{0, 0, 0, 8})...)
		})...)...),
		"continuations": append([]byte(preface), append(settings, append(frame(1, 1, 1, block()), repeat(2000, func(int) []byte {
			return frame(9, 0, 1, bytes.Repeat([]byte{0, 1, 'a', 1, 'b'}, 1000))
		})...)...)...),
		"empty data": append([]byte(preface), append(settings, append(frame(1, 4, 1, block()), repeat(20000, func(int) []byte { return frame(0, 0, 1, nil) })...)...)...),
	} {
		conn := r.dial(cert, "h2")
		go io.Copy(io.Discard, conn)
		conn.SetWriteDeadline(time.Now().Add(3 * time.Second))
		conn.Write(text)
		conn.Close()
		r.alive()
	}
	eventually(t, "their connections are gone", func() bool { return r.open() <= 20 })
}

// open is how many connections of known callers there are.
func (r *rig) open() int {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	return r.server.doors[0].Stats().Open
}

// upgrade asks for demo's console as a WebSocket (RFC 6455, 4.1).
const upgrade = "GET /v1/vms/demo/console/ttyS0?take=true HTTP/1.1\r\nHost: keel\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

func TestWebSocketsThatAreNone(t *testing.T) {
	r := newRig(t, busy)
	r.demo()
	cert := r.user("mallory", auth.Operator, nil)
	for name, text := range map[string][]byte{
		"unmasked":          {0x82, 1, 'x'},
		"reserved bits":     {0xF2, 0x81, 0, 0, 0, 0, 'x'},
		"a wrong opcode":    {0x8F, 0x80, 0, 0, 0, 0},
		"a long ping":       append([]byte{0x89, 0xFE, 1, 0, 0, 0, 0, 0}, make([]byte, 256)...),
		"a ping in pieces":  {0x09, 0x80, 0, 0, 0, 0},
		"2^63 bytes":        {0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0},
		"pieces of nothing": bytes.Repeat([]byte{0x80, 0x80, 0, 0, 0, 0}, 10),
		"a bad close":       {0x88, 0x81, 0, 0, 0, 0, 3},
		"noise":             bytes.Repeat([]byte{0xA5, 0x5A}, 1000),
	} {
		conn := r.dial(cert, "http/1.1")
		io.WriteString(conn, upgrade)
		in := bufio.NewReader(conn)
		if response, err := http.ReadResponse(in, nil); err != nil || response.StatusCode != 101 {
			t.Fatalf("%s: %v %v", name, response, err)
		}
		conn.Write(text)
		conn.SetReadDeadline(time.Now().Add(longest))
		if _, err := io.Copy(io.Discard, in); err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				t.Errorf("%s: it goes on", name)
			}
		}
		conn.Close()
	}
	eventually(t, "nobody holds the console", func() bool { return r.VMs.Must(r.t, "demo").Port.State().Holder == "" })
	r.alive()
}

// dialFrom dials from one of many addresses of loopback.
func dialFrom(t *testing.T, address string, source int) (net.Conn, error) {
	d := net.Dialer{Timeout: 2 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, byte(1+source/250), byte(1+source%250))}}
	return d.Dial("tcp", address)
}

func TestTheSameSourcesCrowdDoesNotShutAnAdministratorOut(t *testing.T) {
	r := newRig(t)
	for i := range 500 { // silent ones, from the administrator's own address
		conn, err := net.Dial("tcp", r.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%100 == 99 {
			r.alive()
		}
	}
}

func TestFloodOfHandshakes(t *testing.T) {
	r := newRig(t, limits(func(l *door.Limits) { l.Rate1, l.Burst1 = 1, 12 })) // what any machine exceeds, and an administrator's calls don't
	unknown := r.unknown()["another CA"]
	var done atomic.Bool
	var tried, refused atomic.Int64
	var wait sync.WaitGroup
	for i := range 16 {
		wait.Go(func() {
			for !done.Load() {
				raw, err := dialFrom(t, r.address, i)
				if err != nil {
					continue
				}
				conn := tls.Client(raw, auth.ClientConfig(unknown, auth.Expect{}))
				conn.SetDeadline(time.Now().Add(2 * time.Second))
				tried.Add(1)
				if conn.Handshake() != nil {
					refused.Add(1)
				}
				raw.Close()
			}
		})
	}
	for range 8 {
		time.Sleep(100 * time.Millisecond)
		r.alive()
	}
	eventually(t, "some are turned away", func() bool { return r.server.doors[0].Stats().Refused[door.Hurried] > 0 })
	r.alive()
	done.Store(true)
	wait.Wait()
	s := r.server.doors[0].Stats()
	t.Logf("%d handshakes begun, %d turned away before anything was computed; the door remembers %d sources", tried.Load(), s.Refused[door.Hurried], s.RememberedAddrs)
	if n := len(r.records()); n > 100 {
		t.Errorf("%d records", n)
	}
}

func TestOneCallerCannotTakeAllPlaces(t *testing.T) {
	r := newRig(t, limits(func(l *door.Limits) {
		l.Open, l.ForAdmins, l.PerCaller = 12, 4, 6
		l.Rate, l.Rate1, l.Burst, l.Burst1 = 1e6, 1e6, 1e6, 1e6
	}))
	for _, name := range []string{"mallory", "eve"} {
		cert := r.user(name, auth.Viewer, nil)
		for range 20 {
			r.dial(cert, "http/1.1")
		}
	}
	eventually(t, "all are through", func() bool {
		s := r.server.doors[0].Stats()
		return s.Open+int(s.Refused[door.Full]) == 40
	})
	if n := r.open(); n > 8 {
		t.Errorf("%d connections of two viewers are open", n)
	}
	r.alive()
}

func TestWhoDoesNotReadIsCutOff(t *testing.T) {
	const limit = 400 * time.Millisecond
	for _, protocol := range []string{"http/1.1", "h2"} {
		patient := func(_ *auth.Config, c *Config) { // in all but this
			c.times = times{header: time.Minute, body: time.Minute, write: limit, idle: time.Minute, ping: time.Minute, recheck: time.Minute}
			if protocol == "h2" {
				c.times.write = time.Minute // it would end streams, perhaps before what they write has filled the connection
			}
		}
		r := newRig(t, patient, limits(func(l *door.Limits) { l.WriteTime = limit }))
		for i := range 3000 {
			r.VMs.Add(seed.VM{Name: fmt.Sprint("vm-", i), Labels: map[string]string{"x": strings.Repeat("x", 200)}})
		}
		conn := r.dial(r.user("mallory", auth.Viewer, nil), protocol)
		conn.NetConn().(*net.TCPConn).SetReadBuffer(4 << 10)
		eventually(t, "it is open", func() bool { return r.callers("mallory") == 1 })
		ask := []byte("GET /v1/vms HTTP/1.1\r\nHost: a\r\n\r\n")
		if protocol == "h2" {
			io.WriteString(conn, preface)
			conn.Write(frame(4, 0, 0, []byte{0, 4, 0x7F, 0xFF, 0xFF, 0xFF})) // a window for all of it
			conn.Write(frame(8, 0, 0, []byte{0x7F, 0, 0, 0}))
			ask = nil
		}
		for i := range 200 {
			if protocol == "h2" {
				b := []byte{0x82, 0x87, 0x04, 7}
				b = append(append(b, "/v1/vms"...), 0x01, 1, 'a')
				ask = frame(1, 4|1, uint32(2*i+1), b)
			}
			conn.SetWriteDeadline(time.Now().Add(5 * time.Second)) // they are small: only a slow machine blocks them
			if _, err := conn.Write(ask); err != nil {
				break
			}
		}
		began := time.Now()
		eventually(t, protocol+": the connection is gone", func() bool { return r.callers("mallory") == 0 })
		t.Logf("%s: cut off after %v", protocol, time.Since(began))
	}
}

// callers is how many connections of a caller are open.
func (r *rig) callers(name string) (n int) {
	r.server.mu.Lock()
	d := r.server.doors[0]
	r.server.mu.Unlock()
	d.Recheck(func(p *door.Peer) bool {
		if p.Caller == name {
			n++
		}
		return true
	})
	return n
}
