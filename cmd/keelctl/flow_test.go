package main

import (
	"crypto/x509"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/auth"
	"keel/vmkernel/seed"
)

// inVMDir makes a directory with a VM's YAML and its kernel the working directory.
func inVMDir(t *testing.T) {
	t.Helper()
	inDir(t, map[string]string{"vm.yaml": vmYAML, "vmlinuz": strings.Repeat("kernel ", 600_000)})
}

// TestFromTheFirstKeyToAConsole is what an administrator does first.
func TestFromTheFirstKeyToAConsole(t *testing.T) {
	inVMDir(t)
	s, r := managed(t, rigOptions{})
	if out := s.must(t, "version").out; !strings.Contains(out, "host keel-1: Keel 0.2.0, built build, API v1; you are alice, admin") {
		t.Errorf("version: %s", out)
	}
	if out := s.must(t, "host", "list").out; !strings.Contains(out, r.fingerprint()+" (until it restarts)") {
		t.Errorf("host list: %s", out)
	}

	// A dry run does nothing.
	out := s.must(t, "vm", "create", "-f", "vm.yaml", "--dry-run", "-o", "json").out
	var plans []planned
	if err := json.Unmarshal([]byte(out), &plans); err != nil || len(plans) != 1 || plans[0].Action != "create" || plans[0].Upload[0] != "vmlinuz" {
		t.Fatalf("dry run: %v %s", err, out)
	}
	if r.VMs.Get("demo") != nil {
		t.Fatal("a dry run has made the VM")
	}

	made := s.must(t, "vm", "create", "-f", "vm.yaml", "--start", "--wait")
	for _, want := range []string{"vmlinuz: uploaded, 4.0MiB", "demo: created", "demo: started"} {
		if !strings.Contains(made.errout, want) {
			t.Errorf("vm create doesn't say %q: %s", want, made.errout)
		}
	}
	if strings.Contains(made.errout, "kind Host") || !strings.Contains(made.errout, id1+" was made for this host alone") {
		t.Errorf("what it assumed: %s", made.errout)
	}
	if v := r.VMs.Get("demo"); v == nil || v.State() != api.Running || v.Made().ID != id1 {
		t.Fatalf("the VM is %+v", v)
	}
	// Once more is the same, and sends nothing.
	again := s.must(t, "vm", "create", "-f", "vm.yaml", "--start", "--wait")
	if strings.Contains(again.errout, "uploaded") || strings.Contains(again.errout, "created") || !strings.Contains(again.errout, "demo: was there already") || !strings.Contains(again.errout, "is running already") {
		t.Errorf("again: %s", again.errout)
	}
	if out := s.must(t, "vm", "list").out; !strings.Contains(out, "demo  running") {
		t.Errorf("vm list: %s", out)
	}

	s.stdin = "hello\n"
	typed := s.must(t, "vm", "console", "demo", "--timeout", "1s")
	if !strings.Contains(typed.out, "HELLO") || !strings.Contains(typed.errout, "ttyS0 of demo on keel-1: you type there") {
		t.Errorf("console: %+v", typed)
	}
	if out := s.must(t, "vm", "log", "demo").out; !strings.Contains(out, "HELLO") {
		t.Errorf("vm log: %q", out)
	}

	whole := s.must(t, "audit", "verify")
	if !strings.Contains(whole.out, "the audit log is whole") || !strings.Contains(whole.out, "the first that was seen") {
		t.Errorf("audit verify: %s", whole.out)
	}
	s.must(t, "vm", "shutdown", "demo", "--wait")
	if out := s.must(t, "audit", "verify").out; !strings.Contains(out, "it goes on from the") {
		t.Errorf("audit verify again: %s", out)
	}
	if out := s.must(t, "audit", "tail", "-n", "100").out; !strings.Contains(out, "alice (admin)") || !strings.Contains(out, "demo") {
		t.Errorf("audit tail: %s", out)
	}
	follow := s.background(nil, "audit", "tail", "--follow", "-n", "1000")
	follow.out.waitFor(t, "/v1/audit/follow")
	s.must(t, "vm", "delete", "demo")
	follow.out.waitFor(t, "DELETE")
	follow.cancel()
	if got := follow.end(t); got.code != 0 || strings.Count(got.out, "/v1/audit/follow") != 1 {
		t.Errorf("audit tail --follow: it is in the log %d times\n%+v", strings.Count(got.out, "/v1/audit/follow"), got)
	}
	s.fails(t, 3, "there is no VM", "vm", "get", "demo")
}

// TestWhatInitSaysWorks follows what it says to the letter.
func TestWhatInitSaysWorks(t *testing.T) {
	inDir(t, nil)
	s := newSession(t)
	said := s.must(t, "init").out
	_, text, _ := strings.Cut(said, "in host.yaml:\n\n")
	text, _, _ = strings.Cut(text, "\n\n")
	write(t, "host.yaml", []byte(strings.ReplaceAll(text, "       ", "")))
	if !strings.Contains(said, "keelctl seed create -f host.yaml -o seed.tar") {
		t.Errorf("%s", said)
	}
	s.must(t, "seed", "create", "-f", "host.yaml", "-o", "seed.tar")
	if out := s.must(t, "seed", "show", "seed.tar").out; !strings.Contains(out, "host keel-1") || !strings.Contains(out, "trusts      keel default") {
		t.Errorf("%s", out)
	}
}

// TestASecondAdministrator makes a key on another machine, which never leaves it.
func TestASecondAdministrator(t *testing.T) {
	inVMDir(t)
	alice, r := managed(t, rigOptions{})
	bob := newSession(t)
	bob.must(t, "cert", "request", "--user", "bob")
	bob.fails(t, 5, "has a request already", "cert", "request", "--user", "bob")
	bob.fails(t, 4, "has not been answered yet", "host", "add", r.address)
	csr, err := os.ReadFile("bob.csr")
	if err != nil || strings.Contains(string(csr), "PRIVATE") {
		t.Fatalf("%v %s", err, csr)
	}
	alice.fails(t, 2, "--role", "cert", "sign", "bob.csr")
	alice.must(t, "cert", "sign", "bob.csr", "--role", "operator", "--label", "tier=test")
	answer, err := os.ReadFile("bob.pem")
	if err != nil || strings.Contains(string(answer), "PRIVATE") || strings.Count(string(answer), "BEGIN CERTIFICATE") != 2 {
		t.Fatalf("%v %s", err, answer)
	}
	newSession(t).fails(t, 3, "no context", "cert", "install", "bob.pem")
	if got := bob.must(t, "cert", "install", "bob.pem"); !strings.Contains(got.errout, "you are bob, operator of VMs with tier=test") {
		t.Errorf("%s", got.errout)
	}
	bob.must(t, "host", "add", r.address, "--fingerprint", r.fingerprint())

	// His role is for some VMs, and he is told so.
	alice.must(t, "vm", "create", "-f", "vm.yaml")
	if out := bob.must(t, "vm", "list").out; strings.Contains(out, "demo") || !strings.Contains(out, "your role is for VMs with tier=test") {
		t.Errorf("vm list: %s", out)
	}
	bob.fails(t, 3, "demo", "vm", "get", "demo")
	bob.fails(t, 4, "admin", "trust", "show")
	bob.fails(t, 4, "auditor", "audit", "verify")
	bob.fails(t, 3, "key of the operator CA is not here", "cert", "sign", "bob.csr", "--role", "admin")

	// An auditor reads the audit log and nothing else.
	eve := newSession(t)
	eve.must(t, "cert", "request", "--user", "eve")
	alice.must(t, "cert", "sign", "eve.csr", "--role", "auditor")
	eve.must(t, "cert", "install", "eve.pem")
	eve.must(t, "host", "add", r.address, "--fingerprint", r.fingerprint())
	eve.must(t, "audit", "verify")
	eve.fails(t, 4, "viewer", "vm", "list")

	// Renewal, where the CA's key isn't.
	bob.fails(t, 5, "is there already", "cert", "renew")
	bob.must(t, "cert", "renew", "-o", "again.csr")
	alice.must(t, "cert", "sign", "again.csr", "--role", "viewer", "-o", "again.pem")
	bob.must(t, "cert", "install", "again.pem")
	if out := bob.must(t, "version").out; !strings.Contains(out, "you are bob, viewer,") {
		t.Errorf("%s", out)
	}

	// Revocation ends what is open, and travels in the next seed.
	live := bob.background(nil, "events", "--follow")
	live.out.waitFor(t, "vm.created")
	alice.fails(t, 2, "your own certificate", "cert", "revoke", "alice")
	alice.fails(t, 2, "unknown flag", "cert", "revoke", "alice", "--yes")
	if out := alice.must(t, "cert", "revoked", "-o", "json").out; strings.TrimSpace(out) != "[]" {
		t.Errorf("what was refused is recorded: %s", out)
	}
	alice.must(t, "cert", "revoke", "bob", "--reason", "has left")
	if got := live.end(t); got.code == 0 {
		t.Errorf("bob's stream has ended well: %+v", got)
	}
	bob.fails(t, 4, "revoked", "vm", "list")
	if out := alice.must(t, "cert", "list").out; strings.Count(out, "revoked") != 2 || strings.Count(out, "good") != 2 {
		t.Errorf("cert list: %s", out)
	}
	var listed []auth.RevokedCertificate
	if err := json.Unmarshal([]byte(alice.must(t, "cert", "revoked", "-o", "json").out), &listed); err != nil || len(listed) != 2 {
		t.Errorf("cert revoked: %v %+v", err, listed)
	}
	write(t, "host.yaml", []byte(hostYAML+"trust: {operatorCAs: ["+alice.file("ca.pem")+"]}\n"))
	alice.must(t, "seed", "create", "-f", "host.yaml", "-o", "seed.tar")
	archive, err := os.ReadFile("seed.tar")
	if err != nil {
		t.Fatal(err)
	}
	sd, err := seed.Parse(archive)
	if err != nil || !slices.Equal(sd.Host.Trust.Revoked, listed) {
		t.Fatalf("%v %+v", err, sd.Host.Trust.Revoked)
	}
	trust, err := sd.Host.Trust.Config()
	if err != nil {
		t.Fatal(err)
	}
	restarted := boot(t, rigOptions{cas: trust.CAs, revoked: trust.Revoked})
	bob.must(t, "host", "remove", "keel-1")
	bob.fails(t, 4, "revoked", "host", "add", restarted.address, "--fingerprint", restarted.fingerprint())
}

func TestSeedsAreSignedWhereTheCAIs(t *testing.T) {
	s := newSession(t)
	s.must(t, "init")
	inDir(t, map[string]string{"host.yaml": hostYAML + "trust: {operatorCAs: [" + s.file("ca.pem") + "]}\n"})
	rules := auth.SeedRules{CAs: []*x509.Certificate{s.ca(t)}}
	check := func(name string) error {
		archive, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sd, err := seed.Parse(archive)
		if err != nil {
			t.Fatal(err)
		}
		_, err = rules.Check(sd.Manifest, sd.Signature)
		return err
	}
	if r := s.must(t, "seed", "create", "-f", "host.yaml", "-o", "a.tar"); check("a.tar") != nil || !strings.Contains(r.errout, `signed by the operator CA "keel default"`) {
		t.Errorf("%v %s", check("a.tar"), r.errout)
	}
	s.must(t, "seed", "create", "-f", "host.yaml", "-o", "b.tar", "--sign=false")
	if check("b.tar") == nil {
		t.Error("a seed that wasn't to be signed is")
	}
	s.must(t, "seed", "sign", "b.tar")
	if err := check("b.tar"); err != nil {
		t.Error(err)
	}
	// A machine that makes seeds without the CA's key.
	builder := newSession(t)
	builder.must(t, "cert", "request", "--user", "builder")
	s.must(t, "cert", "sign", "builder.csr", "--seeds")
	builder.must(t, "cert", "install", "builder.pem")
	builder.must(t, "seed", "create", "-f", "host.yaml", "-o", "c.tar", "--sign")
	if err := check("c.tar"); err != nil {
		t.Error(err)
	}
	other := newSession(t)
	if r := other.must(t, "seed", "create", "-f", "host.yaml", "-o", "d.tar"); check("d.tar") == nil || !strings.Contains(r.errout, "the seed is not signed") {
		t.Errorf("%s", r.errout)
	}
	other.fails(t, 3, "no context", "seed", "sign", "d.tar")
	other.must(t, "init")
	other.must(t, "seed", "sign", "d.tar")
	if check("d.tar") == nil {
		t.Error("another CA's signature is taken")
	}
}

func TestAHostThatRestartedProvesItself(t *testing.T) {
	s, first := managed(t, rigOptions{})
	s.must(t, "vm", "list")
	first.server.Close()
	second := boot(t, rigOptions{address: first.address, cas: []*x509.Certificate{s.ca(t)}, boot: "b0076"})

	// Nobody to ask: it says what to do, and the new key is not taken.
	s.fails(t, 6, "host add "+first.address, "vm", "list")
	s.tty = true
	s.stdin = "AAAA BBBB CCCC DDDD\n"
	s.fails(t, 6, "Nothing was sent to it", "vm", "list")
	s.stdin = "yes\n"
	s.fails(t, 6, "Nothing was sent to it", "vm", "list")
	if r := s.run("vm", "list"); strings.Contains(r.errout, second.fingerprint()) || strings.Contains(r.errout, second.Key.Fingerprint().Groups()) {
		t.Errorf("the key that was offered is shown to be confirmed: %s", r.errout)
	}
	s.stdin = second.Key.Fingerprint().Groups()[len("SHA256:"):][:19] + "\n"
	if r := s.must(t, "vm", "list"); !strings.Contains(r.errout, "can't keep its key") {
		t.Errorf("%s", r.errout)
	}
	s.tty, s.stdin = false, ""
	s.must(t, "vm", "list")
}

func TestAHostProvesItselfByItsToken(t *testing.T) {
	s := newSession(t)
	s.must(t, "init")
	cas := []*x509.Certificate{s.ca(t)}
	inDir(t, map[string]string{"host.yaml": hostYAML + "trust: {operatorCAs: [" + s.file("ca.pem") + "]}\n"})
	const path = "token"
	s.must(t, "seed", "token", path)
	s.fails(t, 5, "not overwritten", "seed", "token", path)
	if r := s.must(t, "seed", "create", "-f", "host.yaml", "--token-file", path, "-o", "seed.tar"); strings.Contains(r.errout, "token") {
		t.Errorf("%s", r.errout)
	}
	archive, err := os.ReadFile("seed.tar")
	if err != nil {
		t.Fatal(err)
	}
	sd, err := seed.Parse(archive)
	if err != nil {
		t.Fatal(err)
	}
	token := sd.Host.Trust.Token
	first := boot(t, rigOptions{cas: cas, token: token})
	os.Chmod(path, 0o644)
	s.fails(t, 1, "can be read by others", "host", "add", first.address, "--token-file", path)
	os.Chmod(path, 0o600)
	s.must(t, "host", "add", first.address, "--token-file", path)
	first.server.Close()
	second := boot(t, rigOptions{address: first.address, cas: cas, token: token})
	if r := s.must(t, "vm", "list"); !strings.Contains(r.errout, "has proved by its seed's token") {
		t.Errorf("%s", r.errout)
	}
	second.server.Close()
	// Another machine at its address, which doesn't know the token.
	third := boot(t, rigOptions{address: first.address, cas: cas, token: auth.NewToken()})
	s.fails(t, 6, "doesn't know the token", "vm", "list")
	s.fails(t, 6, "doesn't know the token", "host", "add", third.address, "--name", "x", "--token-file", path)
}

func TestAClaim(t *testing.T) {
	s := newSession(t)
	s.must(t, "init")
	r := boot(t, rigOptions{})
	code := r.Trust.ClaimState().Code
	s.fails(t, 2, "--code", "host", "claim", r.address, "--code", "1234")
	s.fails(t, 4, "code is wrong", "host", "claim", r.address, "--code", "0000-0000-0000-0000")
	s.must(t, "host", "claim", r.address, "--code", strings.ToLower(strings.ReplaceAll(code, "-", " ")))
	s.must(t, "vm", "list")
	if r := newSessionWithKeys(t).run("host", "claim", r.address, "--code", code); r.code != 4 && r.code != 3 || r.errout == "" {
		t.Errorf("a second claim: %+v", r)
	}
}

func newSessionWithKeys(t *testing.T) *session {
	s := newSession(t)
	s.must(t, "init")
	return s
}

func TestAddingAHostAsksForItsKey(t *testing.T) {
	s := newSessionWithKeys(t)
	r := boot(t, rigOptions{cas: []*x509.Certificate{s.ca(t)}})
	s.fails(t, 2, "there is no terminal to ask", "host", "add", r.address)
	s.fails(t, 6, "has the key "+r.fingerprint(), "host", "add", r.address, "--fingerprint", "SHA256:"+strings.Repeat("A", 43))
	s.tty = true
	for _, answer := range []string{"no\n", "y\n", "\n", ""} {
		s.stdin = answer
		if got := s.run("host", "add", r.address); got.code == 0 {
			t.Errorf("%q adds it", answer)
		}
	}
	s.stdin = "yes\n"
	if got := s.must(t, "host", "add", r.address); !strings.Contains(got.errout, r.Key.Fingerprint().Groups()) {
		t.Errorf("%s", got.errout)
	}
	s.fails(t, 5, "has a host keel-1 already", "host", "add", boot(t, rigOptions{cas: []*x509.Certificate{s.ca(t)}}).address)
}

func TestTheEndOfACertificateIsSaidInTime(t *testing.T) {
	s, _ := managed(t, rigOptions{})
	if got := s.must(t, "vm", "list"); got.errout != "" {
		t.Errorf("%s", got.errout)
	}
	s.clock = auth.UserLife - 20*24*time.Hour
	if got := s.must(t, "vm", "list"); !strings.Contains(got.errout, "warning: your certificate") || !strings.Contains(got.errout, "cert renew") || got.out == "" {
		t.Errorf("%+v", got)
	}
	s.clock = auth.UserLife + time.Hour
	s.fails(t, 4, "expired", "vm", "list")
	s.must(t, "cert", "renew")
	s.clock = 0 // the host's clock didn't jump
	s.must(t, "vm", "list")

	// A CA's own end is its users' as well: both are said.
	s.clock = auth.CALife - 20*24*time.Hour
	s.must(t, "cert", "renew")
	if got := s.must(t, "vm", "list"); !strings.Contains(got.errout, "warning: your certificate") || !strings.Contains(got.errout, "warning: the operator CA of context default ends at") {
		t.Errorf("%s", got.errout)
	}
}

// TestACAThatIsOverIsSaidToBe has a user whose certificate, signed by other tools, is valid for longer than his CA.
func TestACAThatIsOverIsSaidToBe(t *testing.T) {
	s, _ := managed(t, rigOptions{})
	old, err := auth.NewCA("operators", time.Now().Add(-auth.CALife-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.file("ca.pem"), old.CertificatePEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := s.must(t, "vm", "list"); !strings.Contains(got.errout, "warning: the operator CA of context default ended at") {
		t.Errorf("%s", got.errout)
	}
}
