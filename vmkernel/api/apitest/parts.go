package apitest

import (
	"cmp"
	"crypto"
	"crypto/tls"
	"net"
	"net/netip"
	"testing"
	"time"

	"keel/vmkernel/audit"
	"keel/vmkernel/auth"
	"keel/vmkernel/datastore"
)

// Options say how a host is made.
type Options struct {
	Name  string // keel-1 if empty
	Boot  string // b0075 if empty
	Trust auth.Config
	Space int64 // of images, in bytes; 64 MiB if 0
}

// Release is the version that hosts have, of which the audit log tells.
const Release = "0.2.0"

// Parts are what a server is made of.
type Parts struct {
	Options
	VMs    *VMs
	Host   *Host
	Images *datastore.Memory
	Trust  *auth.Store
	Key    *auth.HostKey
	Log    *audit.Log
}

// New makes the parts of a host that has just booted: with a new key, and whom o.Trust says. Its clocks are the real ones
// where that names none.
func New(t testing.TB, o Options) *Parts {
	t.Helper()
	o.Name, o.Boot, o.Space = cmp.Or(o.Name, "keel-1"), cmp.Or(o.Boot, "b0075"), cmp.Or(o.Space, 64<<20)
	began := time.Now()
	if o.Trust.Clock == nil {
		o.Trust.Clock = time.Now
	}
	if o.Trust.Uptime == nil {
		o.Trust.Uptime = func() time.Duration { return time.Since(began) }
	}
	p := &Parts{Options: o, VMs: NewVMs(), Host: &Host{}, Images: datastore.NewMemory(o.Space, nil)}
	var err error
	if p.Trust, err = auth.NewStore(o.Trust); err != nil {
		t.Fatal(err)
	}
	if p.Key, err = auth.NewHostKey(o.Name, []string{o.Name}, []netip.Addr{netip.MustParseAddr("127.0.0.1")}, began.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if p.Log, err = audit.New(audit.Config{Host: o.Name, Boot: o.Boot, Version: Release, Key: p.Key.Signer()}); err != nil {
		t.Fatal(err)
	}
	return p
}

// Server is what Serve runs.
type Server interface {
	Serve(net.Listener) error
	Close()
}

// Serve runs a server until the test's end at an address, "" for any of loopback's, and returns that.
func Serve(t testing.TB, s Server, address string) string {
	t.Helper()
	var l net.Listener
	var err error
	for range 3000 { // the address may be that of a host that has just gone down; a minute on a machine that is busy
		if l, err = net.Listen("tcp", cmp.Or(address, "127.0.0.1:0")); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// User makes a key and a certificate of a CA's for it, valid for ttl (0: as long as CAs give it) from at on.
func User(t testing.TB, ca *auth.CA, name string, g auth.Grant, ttl time.Duration, at time.Time) *tls.Certificate {
	t.Helper()
	key, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := auth.NewRequest(key, name)
	if err != nil {
		t.Fatal(err)
	}
	request, err := auth.ParseRequest(text)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ca.Sign(request, g, ttl, at)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: crypto.Signer(key), Leaf: c}
}
