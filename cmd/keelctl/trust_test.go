package main

import (
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/auth"
)

// TestAHostThatKeepsItsKeyIsSigned is about hosts that no release has yet: this one is made here.
// scripted is a host that answers as it is told.
func scripted(trust *auth.Store, key *auth.HostKey, answer http.HandlerFunc) *httptest.Server {
	host := httptest.NewUnstartedServer(answer)
	host.TLS = trust.ServerConfig(key)
	host.Config.ErrorLog = log.New(io.Discard, "", 0)
	host.EnableHTTP2 = true
	host.StartTLS()
	return host
}

func TestAHostThatKeepsItsKeyIsSigned(t *testing.T) {
	s := newSessionWithKeys(t)
	ca := s.ca(t)
	trust, err := auth.NewStore(auth.Config{CAs: []*x509.Certificate{ca}, Clock: time.Now, Uptime: func() time.Duration { return time.Hour }})
	if err != nil {
		t.Fatal(err)
	}
	key, err := auth.NewHostKey("keel-9", []string{"keel-9"}, []netip.Addr{netip.MustParseAddr("127.0.0.1")}, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	request, err := key.Request()
	if err != nil {
		t.Fatal(err)
	}
	host := scripted(trust, key, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "GET /v1/version":
			json.NewEncoder(w).Encode(api.Version{Version: "9.9", Host: "keel-9", You: api.Caller{Name: "alice", Role: "admin"}})
		case "GET /v1/trust":
			json.NewEncoder(w).Encode(api.Trust{Host: api.HostIdentity{Fingerprint: string(key.Fingerprint()), Request: string(request), Kept: true}})
		case "POST /v1/trust/host-certificate":
			var in api.HostCertificate
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
				t.Error(err)
			}
			if err := key.Install([]byte(in.Certificate), trust, time.Now()); err != nil {
				t.Error(err)
			}
		default:
			t.Errorf("%s %s", r.Method, r.URL)
		}
	})
	defer host.Close()
	address := host.Listener.Addr().String()
	if got := s.must(t, "host", "add", address, "--fingerprint", key.Fingerprint().Groups()); key.SignedBy() != "" || !strings.Contains(got.errout, "add it again with --names keel-9") {
		t.Errorf("nobody has confirmed its name, and it is signed by %q: %s", key.SignedBy(), got.errout)
	}
	got := s.must(t, "host", "add", address, "--fingerprint", key.Fingerprint().Groups(), "--names", "keel-9")
	if key.SignedBy() != ca.Subject.CommonName || !strings.Contains(got.errout, "signed the certificate of keel-9") || strings.Contains(got.errout, "can't keep") {
		t.Errorf("signed by %q: %s", key.SignedBy(), got.errout)
	}

	// Another key at its address is no restart.
	host.CloseClientConnections()
	host.Close()
	boot(t, rigOptions{address: address, cas: []*x509.Certificate{ca}})
	s.tty = true
	s.stdin = "yes\n"
	s.fails(t, 6, "This host keeps its key when it restarts", "vm", "list")
}

// TestALostCAIsReplacedInFrontOfTheMachine is `Recover access`: a new administrator with a CA of his own.
func TestALostCAIsReplacedInFrontOfTheMachine(t *testing.T) {
	old, _ := managed(t, rigOptions{})
	r := boot(t, rigOptions{cas: []*x509.Certificate{old.ca(t)}, recover: true})
	s := newSessionWithKeys(t)
	s.fails(t, 4, "doesn't trust the operator CA", "host", "add", r.address, "--fingerprint", r.fingerprint())
	s.must(t, "host", "claim", r.address, "--code", r.Trust.ClaimState().Code)
	if out := s.must(t, "trust", "show").out; !strings.Contains(out, "\n             made anew at each start") {
		t.Errorf("a line that goes on with the one before:\n%s", out)
	}
	s.must(t, "trust", "ca", "remove", string(auth.FingerprintOf(old.ca(t))))
	old.must(t, "host", "remove", "keel-1")
	old.fails(t, 4, "doesn't trust the operator CA", "host", "add", r.address, "--fingerprint", r.fingerprint())
}

// TestAnotherCAComesAndGoes gives a host another CA, locks it down, and takes the CA away again.
func TestAnotherCAComesAndGoes(t *testing.T) {
	s, r := managed(t, rigOptions{})
	next := newSessionWithKeys(t)
	ca := next.ca(t)
	file := filepath.Join(t.TempDir(), "next.pem")
	if err := os.WriteFile(file, auth.CertificatePEM(ca), 0o644); err != nil {
		t.Fatal(err)
	}
	s.fails(t, 1, "no such file", "trust", "ca", "add", file+"x")
	if out := s.must(t, "trust", "ca", "add", file).out; !strings.Contains(out, string(auth.FingerprintOf(ca))) {
		t.Errorf("%s", out)
	}
	next.must(t, "host", "add", r.address, "--fingerprint", r.fingerprint())
	if out := s.must(t, "trust", "lockdown", "keel-1", "--after", "2h").out; !strings.Contains(out, "from ") {
		t.Errorf("%s", out)
	}
	s.must(t, "trust", "ca", "remove", string(auth.FingerprintOf(ca)))
	next.fails(t, 4, "doesn't trust the operator CA", "vm", "list")
	s.must(t, "trust", "lockdown", "keel-1")
	s.fails(t, 5, "Recover access", "trust", "ca", "add", file)
}

func TestKeysNeverLeaveAndAreNotOverwritten(t *testing.T) {
	s := newSessionWithKeys(t)
	s.fails(t, 5, "already", "init")
	s.must(t, "context", "delete", "default")
	s.fails(t, 5, "is not overwritten", "init")
	s.fails(t, 3, "no context", "context", "show")
	s.fails(t, 2, "can't be the name", "init", "--context", "../up")
	s.must(t, "init", "--context", "other", "--user", "carol")
	if out := s.must(t, "context", "show", "-o", "json").out; !strings.Contains(out, `"user": "carol"`) || strings.Contains(out, "PRIVATE") {
		t.Errorf("%s", out)
	}
	s.must(t, "context", "delete", "other", "--purge")
	s.must(t, "init", "--context", "other")
}
