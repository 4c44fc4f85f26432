package main

import (
	"context"
	"crypto/x509"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/api/apitest"
	"keel/vmkernel/api/server"
	"keel/vmkernel/auth"
)

// rig is a host: the real server of the API with the real trust, audit log and image store, on machines that are none.
type rig struct {
	*apitest.Parts
	server  *server.Server
	address string
	lines   *server.Lines
}

// rigOptions say how a host is made.
type rigOptions struct {
	address string // "": any of loopback's
	cas     []*x509.Certificate
	revoked []auth.RevokedCertificate
	token   string
	boot    string
	space   int64 // of images
	recover bool  // somebody in front of the machine wants access
}

// boot starts a host, which has a new key.
func boot(t *testing.T, o rigOptions) *rig {
	t.Helper()
	trust := auth.Config{CAs: o.cas, Revoked: o.revoked, Token: o.token, Recover: o.recover}
	r := &rig{Parts: apitest.New(t, apitest.Options{Boot: o.boot, Space: o.space, Trust: trust}), lines: server.NewLines()}
	r.server = server.New(server.Config{Name: r.Name, Version: apitest.Release, Build: "build", VMs: r.VMs, Images: r.Images, Host: r.Host,
		Trust: r.Trust, Key: r.Key, Audit: r.Log, Lines: r.lines, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	r.address = apitest.Serve(t, r.server, o.address)
	return r
}

// longest is how long a test waits for what has to come, however busy the machine is: it comes at once on one that isn't.
const longest = time.Minute

// eventually waits until something is so; false: it never was.
func eventually(is func() bool) bool {
	for end := time.Now().Add(longest); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if is() {
			return true
		}
	}
	return false
}

// waitedFor says whether somebody waits for the end of an operation, or has done so: the audit log knows.
func (r *rig) waitedFor() bool {
	for _, text := range r.Log.Read(0, 1000).Records {
		if strings.Contains(string(text), `"/v1/operations/{operation}/wait"`) {
			return true
		}
	}
	return false
}

func (r *rig) fingerprint() string { return string(r.Key.Fingerprint()) }

// managed returns an administrator's machine with a context for a host, and the host.
func managed(t *testing.T, o rigOptions) (*session, *rig) {
	t.Helper()
	s := newSession(t)
	s.must(t, "init")
	o.cas = []*x509.Certificate{s.ca(t)}
	r := boot(t, o)
	s.must(t, "host", "add", r.address, "--fingerprint", r.fingerprint())
	return s, r
}

// ca is the certificate of a machine's operator CA.
func (s *session) ca(t *testing.T) *x509.Certificate {
	t.Helper()
	c, err := readCertificate(s.file("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// file is one of the default context's files.
func (s *session) file(name string) string {
	return strings.TrimSuffix(s.env["KEEL_CONFIG"], "config.yaml") + "contexts/default/" + name
}

// background runs a command until the test cancels it.
type background struct {
	out    *syncBuffer
	cancel context.CancelFunc
	done   chan result
}

func (s *session) background(keys io.Reader, args ...string) *background {
	b := &background{out: &syncBuffer{}, done: make(chan result, 1)}
	own := *s
	own.out, own.keys = b.out, keys
	own.ctx, b.cancel = context.WithCancel(context.Background())
	go func() { b.done <- own.run(args...) }()
	return b
}

// end waits for the command's end.
func (b *background) end(t *testing.T) result {
	t.Helper()
	select {
	case r := <-b.done:
		return r
	case <-time.After(longest):
		t.Fatalf("the command hasn't ended; it wrote\n%s", b.out)
		return result{}
	}
}
