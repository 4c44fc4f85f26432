package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/api/server"
	"keel/vmkernel/audit"
	"keel/vmkernel/auth"
	"keel/vmkernel/datastore"
)

// rig is a host: the real server of the API with the real trust, audit log and image store, on machines that are none.
type rig struct {
	t       *testing.T
	server  *server.Server
	address string
	trust   *auth.Store
	log     *audit.Log
	vms     *fakeVMs
	host    *fakeHost
	images  *datastore.Memory
	lines   *server.Lines
	boot    string
}

// rigOptions say how a host is made.
type rigOptions struct {
	name    string
	address string // "127.0.0.1:0" if empty
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
	for _, d := range []struct {
		to   *string
		text string
	}{{&o.name, "keel-1"}, {&o.address, "127.0.0.1:0"}, {&o.boot, "b0075"}} {
		if *d.to == "" {
			*d.to = d.text
		}
	}
	if o.space == 0 {
		o.space = 64 << 20
	}
	began := time.Now()
	r := &rig{t: t, vms: newFakeVMs(), host: &fakeHost{}, images: datastore.NewMemory(o.space, nil), lines: server.NewLines(), boot: o.boot}
	var err error
	if r.trust, err = auth.NewStore(auth.Config{CAs: o.cas, Revoked: o.revoked, Token: o.token, Recover: o.recover, Clock: time.Now,
		Uptime: func() time.Duration { return time.Since(began) }}); err != nil {
		t.Fatal(err)
	}
	key, err := auth.NewHostKey(o.name, []string{o.name}, []netip.Addr{netip.MustParseAddr("127.0.0.1")}, began.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	shown, err := key.Certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.log, err = audit.New(audit.Config{Host: o.name, Boot: o.boot, Version: "0.2.0", Key: shown.PrivateKey.(crypto.Signer)}); err != nil {
		t.Fatal(err)
	}
	r.server = server.New(server.Config{Name: o.name, Version: "0.2.0", Build: "build", VMs: r.vms, Images: r.images, Host: r.host,
		Trust: r.trust, Key: key, Audit: r.log, Lines: r.lines, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	var l net.Listener
	if !eventually(func() bool { // the address may be that of a host that has just gone down
		l, err = net.Listen("tcp", o.address)
		return err == nil
	}) {
		t.Fatal(err)
	}
	r.address = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- r.server.Serve(l) }()
	t.Cleanup(func() {
		r.server.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
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
	for _, text := range r.log.Read(0, 1000).Records {
		if strings.Contains(string(text), `"/v1/operations/{operation}/wait"`) {
			return true
		}
	}
	return false
}

func (r *rig) fingerprint() string { return string(r.server.Key.Fingerprint()) }

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
