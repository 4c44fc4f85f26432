package server

import (
	"io"
	"net/http"
	"testing"

	"keel/vmkernel/auth"
)

// BenchmarkSmallCall is a call over an open connection, both ends of it, with its two records in the log.
func BenchmarkSmallCall(b *testing.B) {
	for _, protocol := range []string{"h2", "http/1.1"} {
		b.Run(protocol, func(b *testing.B) {
			r := newRig(b)
			protocols := []string{protocol}
			if protocol == "h2" {
				protocols = nil
			}
			client := r.clientOf(r.user("alice", auth.Viewer, nil), protocols...)
			get := func() {
				response, err := client.Get("https://" + r.address + "/v1/version")
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if response.StatusCode != http.StatusOK {
					b.Fatal(response.Status)
				}
			}
			get()
			b.ReportAllocs()
			for b.Loop() {
				get()
			}
		})
	}
}

// BenchmarkServe is what the server itself does for it, without the network.
func BenchmarkServe(b *testing.B) {
	r := newRig(b)
	request := r.request("GET", "/v1/version", r.user("alice", auth.Viewer, nil))
	b.ReportAllocs()
	for b.Loop() {
		w := discard{header: http.Header{}}
		r.server.ServeHTTP(&w, request)
		if w.status != http.StatusOK {
			b.Fatal(w.status)
		}
	}
}

type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
