package apitest

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"keel/vmkernel/api"
	"keel/vmkernel/auth"
)

// Older is a host of an older release: what stands before a host of this one, and knows no more than its document. What
// isn't in that it refuses as package api's rule says, and takes out of answers.
type Older struct {
	document map[string]any
	proxy    *httputil.ReverseProxy
}

// NewOlder puts an older release's OpenAPI document before the host at address, with that host's key and trust, and
// returns its own address. It asks the host as who.
func NewOlder(t testing.TB, document []byte, p *Parts, address string, who *tls.Certificate) string {
	t.Helper()
	o := &Older{}
	if err := json.Unmarshal(document, &o.document); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: auth.ClientConfig(who, auth.Expect{Key: p.Key.Fingerprint()})}
	transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
	o.proxy = &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "https", Host: address}) },
		Transport:      transport,
		FlushInterval:  -1,
		ModifyResponse: o.answer,
		ErrorLog:       log.New(io.Discard, "", 0),
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: o, TLSConfig: p.Trust.ServerConfig(p.Key), ErrorLog: o.proxy.ErrorLog}
	go server.ServeTLS(l, "", "")
	t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	return l.Addr().String()
}

func (o *Older) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := o.refusal(r); err != nil {
		text, _ := json.Marshal(api.ErrorBody{Error: err})
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(err.Code.Status())
		w.Write(text)
		return
	}
	o.proxy.ServeHTTP(w, r)
}

// route is what the document says of a request, nil if nothing.
func (o *Older) route(r *http.Request) (route map[string]any, err *api.Error) {
	paths := o.document["paths"].(map[string]any)
	want := strings.Split(r.URL.EscapedPath(), "/")
	var found map[string]any
	literal := -1
	for pattern, methods := range paths {
		have := strings.Split(pattern, "/")
		same, plain := len(have) == len(want), 0
		for i := 0; same && i < len(have); i++ {
			if have[i] == want[i] {
				plain++
			} else {
				same = strings.HasPrefix(have[i], "{")
			}
		}
		if same && plain > literal {
			found, literal = methods.(map[string]any), plain
		}
	}
	if found == nil {
		return nil, &api.Error{Code: api.CodeNoRoute, Message: "there is no route " + r.URL.Path}
	}
	route, ok := found[strings.ToLower(r.Method)].(map[string]any)
	if !ok {
		return nil, &api.Error{Code: api.CodeMethod, Message: r.URL.Path + " has no method " + r.Method}
	}
	return route, nil
}

func (o *Older) refusal(r *http.Request) *api.Error {
	route, err := o.route(r)
	if err != nil {
		return err
	}
	for name := range r.URL.Query() {
		known := false
		for _, p := range list(route["parameters"]) {
			known = known || p.(map[string]any)["name"] == name
		}
		if !known {
			return unknown(name)
		}
	}
	schema := at(route, "requestBody", "content", "application/json", "schema")
	if schema == nil {
		return nil
	}
	text, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(text))
	var body any
	if json.Unmarshal(text, &body) != nil {
		return nil // the host will say so
	}
	var first *api.Error
	o.unknown(schema, body, "", func(_ map[string]any, _, path string) {
		if first == nil {
			first = unknown(path)
		}
	})
	return first
}

func unknown(name string) *api.Error {
	return &api.Error{Code: api.CodeUnknownField, Message: name + ": this release of Keel doesn't know this field", Details: map[string]string{"field": name}}
}

// unknown calls f for each field of a value that its schema doesn't have.
func (o *Older) unknown(schema, value any, path string, f func(object map[string]any, name, path string)) {
	if ref, ok := at(schema, "$ref").(string); ok {
		schema = at(o.document, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	switch v := value.(type) {
	case map[string]any:
		properties, _ := at(schema, "properties").(map[string]any)
		for name, field := range v {
			where := strings.TrimPrefix(path+"."+name, ".")
			switch {
			case properties[name] != nil:
				o.unknown(properties[name], field, where, f)
			case properties != nil:
				f(v, name, where)
			}
		}
	case []any:
		for i, item := range v {
			o.unknown(at(schema, "items"), item, fmt.Sprintf("%s[%d]", path, i), f)
		}
	}
}

// answer takes out of a JSON answer what the document doesn't have. Streams of lines pass as they are.
func (o *Older) answer(a *http.Response) error {
	route, refused := o.route(a.Request)
	if refused != nil || a.Header.Get("Content-Type") != "application/json" || a.StatusCode >= 300 {
		return nil
	}
	schema := at(route, "responses", strconv.Itoa(a.StatusCode), "content", "application/json", "schema")
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return err
	}
	if schema != nil && a.Request.Method != http.MethodHead {
		var body any
		if err := json.Unmarshal(text, &body); err != nil {
			return err
		}
		o.unknown(schema, body, "", func(object map[string]any, name, _ string) { delete(object, name) })
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	a.Body = io.NopCloser(bytes.NewReader(text))
	a.ContentLength = int64(len(text))
	a.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return nil
}

// at is what stands in a JSON value at a path, nil if nothing does.
func at(v any, path ...string) any {
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}
