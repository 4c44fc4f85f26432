package server

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/auth"
)

// FuzzPath promises that no path finds a route but in its plain form, and that what it finds is named decently.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"/v1/vms", "/v1/vms/%2e%2e", "//v1", "/v1/vms/a%2fb", "/v1/vms/a/console/ttyS0/log", "/v1/images/%00", "/", "", "/v1/vms/%zz"} {
		f.Add(p)
	}
	root := tree(api.Routes)
	f.Fuzz(func(t *testing.T, path string) {
		n, values := root.find(path)
		if n == nil || n.methods == nil {
			return
		}
		for _, v := range values {
			if v != "" && !decent(v) {
				t.Errorf("%q has the value %q", path, v)
			}
		}
		for _, b := range n.methods {
			if strings.Count(path, "/") != strings.Count(b.Pattern, "/") {
				t.Errorf("%q is %q", path, b.Pattern)
			}
		}
	})
}

// FuzzCall promises that no request, from somebody who may do everything, ends in a fault of Keel's.
func FuzzCall(f *testing.F) {
	f.Add("POST", "/v1/vms", "", "application/json", `"1"`, vmJSON("demo", 1, ""))
	f.Add("PUT", "/v1/host/network", "", "application/json", "*", `{"addresses":["192.0.2.5/24"]}`)
	f.Add("PATCH", "/v1/images/new", "", "application/octet-stream", "5", "abc")
	f.Add("GET", "/v1/audit/records", "from=-1&count=9223372036854775807", "", "", "")
	f.Add("GET", "/v1/audit/proof", "size=9223372036854775807&old=1", "", "", "")
	f.Add("GET", "/v1/vms/demo/console/ttyS0/log", "from=-9223372036854775808", "", "", "")
	f.Add("GET", "/v1/events", "follow=false&from=9223372036854775807", "", "", "")
	f.Add("POST", "/v1/trust/revocations", "", "application/json; charset=utf-8", "", `{"issuer":"SHA256:x","serial":"00"}`)
	r := newRig(f)
	r.demo()
	who := r.request("GET", "/", r.user("alice", auth.Admin, nil)).Context()
	f.Fuzz(func(t *testing.T, method, path, query, media, match, body string) {
		if strings.Contains(query, "follow") && !strings.Contains(query, "false") || strings.Contains(path, "events") && !strings.Contains(query, "follow=false") ||
			strings.Contains(path, "host/") && !strings.Contains(path, "network") || strings.Contains(path, "lockdown") {
			return // it would go on, or end the host's use
		}
		request := httptest.NewRequest("GET", "/", strings.NewReader(body)).WithContext(who)
		request.Method, request.URL = method, &url.URL{Path: path, RawQuery: query}
		request.Header.Set("Content-Type", media)
		request.Header.Set("If-Match", match)
		request.Header.Set(api.UploadOffset, match)
		w := httptest.NewRecorder()
		r.server.ServeHTTP(w, request)
		if w.Code == 500 {
			t.Errorf("%s %q: %s", method, path, w.Body)
		}
	})
}

// FuzzWebSocket promises that whatever a caller sends over a console's WebSocket, its connection ends once the caller has
// ended his side, and the next one gets the console.
func FuzzWebSocket(f *testing.F) {
	masked := []byte{0x82, 0x81, 0, 0, 0, 0, 'x'}
	for _, b := range [][]byte{masked, {0x82, 1, 'x'}, {0x89, 0xFE, 1, 0, 0, 0, 0, 0}, {0x09, 0x80, 0, 0, 0, 0}, {0x88, 0x82, 0, 0, 0, 0, 3, 0xE8},
		{0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0}, append(masked, 0x81, 0x80, 0, 0, 0, 0)} {
		f.Add(b)
	}
	r := newRig(f, busy)
	r.demo()
	config := auth.ClientConfig(r.user("mallory", auth.Operator, nil), auth.Expect{Key: r.server.Key.Fingerprint()})
	config.NextProtos = []string{"http/1.1"}
	f.Fuzz(func(t *testing.T, frames []byte) {
		conn, err := tls.Dial("tcp", r.address, config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(longest))
		io.WriteString(conn, upgrade)
		in := bufio.NewReader(conn)
		if response, err := http.ReadResponse(in, nil); err != nil || response.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%v %v", response, err)
		}
		conn.Write(frames)
		conn.CloseWrite()
		var timeout net.Error
		if _, err := io.Copy(io.Discard, in); errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("% x: it goes on", frames)
		}
	})
}
