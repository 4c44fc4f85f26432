package server

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

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
