package main

import (
	"crypto/x509"
	"encoding/json"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keel/vmkernel/api"
)

func TestExitCodesTellFailuresApart(t *testing.T) {
	s, r := running(t)
	s.fails(t, 3, "nope", "vm", "get", "nope")
	s.fails(t, 3, "nope", "vm", "events", "nope")
	s.fails(t, 3, "nope", "vm", "events", "nope", "--follow")
	s.fails(t, 2, "runing is no state", "vm", "list", "--state", "runing")
	s.fails(t, 3, "nope", "op", "wait", "nope")
	s.fails(t, 2, "shutdown", "vm", "stop", "demo")
	if got := s.fails(t, 3, "there is no image", "image", "delete", "nope"); strings.Contains(got.errout, "datastore: ") {
		t.Errorf("it names a package: %s", got.errout)
	}
	s.fails(t, 3, "no host", "vm", "list", "--host", "nope")
	s.fails(t, 3, "no context", "vm", "list", "--context", "nope")
	s.fails(t, 5, "demo", "vm", "start", "demo", "--wait")
	s.fails(t, 5, "demo", "vm", "delete", "demo")
	s.fails(t, 5, "is there already", "vm", "create", "-f", vmNamed(t, "demo", id2), "--dry-run")
	s.fails(t, 5, "demo", "vm", "create", "-f", vmNamed(t, "demo", id2))
	s.fails(t, 3, "vmlinuz/x", "image", "delete", "vmlinuz/x")
	s.fails(t, 2, "is empty", "image", "delete", "vmlinuz", "")
	r.server.Close()
	s.fails(t, 6, "can't be reached", "vm", "list")

	// One that takes connections and says nothing.
	var silent net.Listener
	if !eventually(func() bool {
		var err error
		silent, err = net.Listen("tcp", r.address)
		return err == nil
	}) {
		t.Fatal("its address doesn't become free")
	}
	defer silent.Close()
	s.fails(t, 7, "in time", "vm", "list", "--timeout", "300ms")
}

func TestAFaultOfOneDoesNotStopTheOthers(t *testing.T) {
	s, r := running(t)
	got := s.run("vm", "pause", "nope", "demo", "neither")
	if got.code != 3 || !strings.Contains(got.errout, "nope") || !strings.Contains(got.errout, "neither") || r.VMs.Get("demo").State() != api.Paused {
		t.Errorf("%+v, demo is %s", got, r.VMs.Get("demo").State())
	}
	for _, verb := range []string{"resume", "reset", "nmi"} {
		s.must(t, "vm", verb, "demo")
		if now := r.VMs.Get("demo").State(); now != api.Running {
			t.Errorf("after %s it is %s", verb, now)
		}
	}
	if out := s.must(t, "vm", "stats", "demo").out; !strings.Contains(out, "io") || !strings.Contains(out, "1s") || !strings.Contains(out, "12MiB, of 24MiB") {
		t.Errorf("%s", out)
	}
}

func TestAHostThatRestartedIsAskedAboutOnce(t *testing.T) {
	s, first := running(t)
	first.server.Close()
	second := boot(t, rigOptions{address: first.address, cas: []*x509.Certificate{s.ca(t)}, boot: "b0076"})
	s.tty = true
	s.stdin = strings.TrimPrefix(second.fingerprint(), "SHA256:") + "\n"
	got := s.fails(t, 3, "there is no VM", "vm", "pause", "one", "two")
	if strings.Count(got.errout, "new key") != 1 || strings.Count(got.errout, "there is no VM") != 2 {
		t.Errorf("%s", got.errout)
	}
}

func TestInterruptingAWaitLeavesTheOperation(t *testing.T) {
	inVMDir(t)
	s, r := managed(t, rigOptions{})
	release := r.VMs.Slow()
	s.must(t, "vm", "create", "-f", "vm.yaml")
	wait := s.background(nil, "vm", "start", "demo", "--wait")
	if !eventually(r.waitedFor) {
		t.Fatal("it doesn't wait")
	}
	wait.cancel()
	got := wait.end(t)
	if got.code != 130 || !strings.Contains(got.errout, "goes on: `keelctl op wait ") {
		t.Fatalf("%+v", got)
	}
	id, _, _ := strings.Cut(strings.SplitN(got.errout, "keelctl op wait ", 2)[1], " ")
	s.fails(t, 7, "goes on", "op", "wait", id, "--timeout", "300ms")
	if now := r.VMs.Get("demo").State(); now != api.Starting {
		t.Errorf("the VM is %s", now)
	}
	release()
	if out := s.must(t, "op", "wait", id).out; !strings.Contains(out, "succeeded") {
		t.Errorf("%s", out)
	}
	if out := s.must(t, "op", "list").out; !strings.Contains(out, id) || !strings.Contains(out, "alice") {
		t.Errorf("%s", out)
	}

	r.VMs.Slow()
	s.must(t, "vm", "kill", "demo", "--wait")
	begun := s.must(t, "vm", "start", "demo", "-o", "json")
	var op api.Operation
	if err := json.Unmarshal([]byte(begun.out), &op); err != nil || op.State != api.OpRunning {
		t.Fatalf("%v %s", err, begun.out)
	}
	s.must(t, "op", "cancel", op.ID)
	s.fails(t, 1, "cancelled", "op", "wait", op.ID)
}

func TestWhatAHostSaysOfItself(t *testing.T) {
	s, r := running(t)
	for _, test := range []struct{ args, want string }{
		{"info", "2, vt-x"}, {"hardware", "no driver"}, {"resources", "900MiB"}, {"resources", "7     1           424MiB  400MiB"}, {"health", "ok"},
		{"time show", "sntp"}, {"network show", "e1000"}, {"metrics", "keel_"},
	} {
		if out := s.must(t, append([]string{"host"}, strings.Fields(test.args)...)...).out; !strings.Contains(out, test.want) {
			t.Errorf("host %s: %s", test.args, out)
		}
	}
	r.Host.HasProblem("the clock is wrong")
	if got := s.run("host", "health"); got.code != 1 || !strings.Contains(got.out, "the clock is wrong") {
		t.Errorf("%+v", got)
	}
	s.must(t, "host", "support", "-o", "support.tar.gz")
	if data, err := os.ReadFile("support.tar.gz"); err != nil || len(data) < 20 || data[0] != 0x1f {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	s.fails(t, 5, "not overwritten", "host", "support", "-o", "support.tar.gz")
	r.lines.Write([]byte("level=INFO msg=\"a line\x1b[2J\"\n"))
	if out := s.must(t, "host", "log").out; !strings.Contains(out, "a line") || strings.Contains(out, "\x1b") {
		t.Errorf("%q", out)
	}
	if got := s.fails(t, 7, "the time that was given for /v1/host/log is over", "host", "log", "--follow", "--timeout", "300ms"); !strings.Contains(got.out, "a line") {
		t.Errorf("%+v", got)
	}
	follow := s.background(nil, "host", "log", "--follow")
	follow.out.waitFor(t, "a line")
	r.lines.Write([]byte("level=INFO msg=later\n"))
	follow.out.waitFor(t, "later")
	follow.cancel()
	if got := follow.end(t); got.code != 0 {
		t.Errorf("Ctrl-C of --follow: %+v", got)
	}
	s.must(t, "host", "time", "set", "--server", "192.0.2.1")
	if out := s.must(t, "host", "time", "show", "-o", "json").out; !strings.Contains(out, "192.0.2.1") {
		t.Errorf("%s", out)
	}
}

func TestAChangeOfTheNetworkIsConfirmedWhereTheHostIsThen(t *testing.T) {
	s, r := managed(t, rigOptions{})
	got := s.must(t, "host", "network", "set", "--address", "127.0.0.1/8", "--dns", "192.0.2.53")
	if n := r.Host.Network(); n.Pending != nil || n.Config.DNS[0].String() != "192.0.2.53" || !strings.Contains(got.errout, "confirmed") {
		t.Errorf("%+v %s", r.Host, got.errout)
	}
	s.must(t, "host", "network", "set", "--dhcp", "--confirm=false")
	if n := r.Host.Network(); n.Pending == nil || len(n.Config.Addresses) != 0 || len(n.Config.DNS) != 1 {
		t.Errorf("%+v", n)
	}
	if out := s.must(t, "host", "network", "show").out; !strings.Contains(out, "reverts at") {
		t.Errorf("%s", out)
	}
	s.must(t, "host", "network", "confirm")
	s.fails(t, 5, "", "host", "network", "confirm")
	s.fails(t, 2, "nothing to change", "host", "network", "set")
	s.fails(t, 2, "192.0.2.300", "host", "network", "set", "--router", "192.0.2.300")
}

func TestARestartIsWaitedForUntilTheHostIsGone(t *testing.T) {
	s, r := managed(t, rigOptions{})
	r.Host.Stopped = func() {
		eventually(r.waitedFor)
		r.server.Close()
	}
	s.fails(t, 2, "give one host", "host", "restart")
	if got := s.must(t, "host", "restart", "keel-1", "--wait"); !strings.Contains(got.errout, "has gone down") {
		t.Errorf("%s", got.errout)
	}
	s.fails(t, 6, "", "host", "restart", "keel-1", "--wait")
}

func TestAShutdownIsWaitedForBeyondItsOperation(t *testing.T) {
	s, r := managed(t, rigOptions{})
	r.Host.Ends = true
	var closed atomic.Bool
	r.Host.Stopped = func() {
		time.Sleep(time.Second) // the last records are sent
		closed.Store(true)
		r.server.Close()
	}
	if got := s.must(t, "host", "shutdown", "keel-1", "--wait"); !closed.Load() || !strings.Contains(got.errout, "has gone down") {
		t.Errorf("gone %v: %s", closed.Load(), got.errout)
	}
}

func TestTopShowsHostsVMsAndWorlds(t *testing.T) {
	s, r := running(t)
	out := s.must(t, "top", "--worlds", "--every", "300ms").out
	for _, want := range []string{"keel-1  ready", "demo  keel-1  running", "vcpu 0", "thread 1"} {
		if !strings.Contains(out, want) {
			t.Errorf("top lacks %q:\n%s", want, out)
		}
	}
	var all []usage
	if err := json.Unmarshal([]byte(s.must(t, "top", "-o", "json", "--every", "300ms").out), &all); err != nil || len(all) != 2 || all[1].CPU < 5 || all[1].CPU > 200 {
		t.Errorf("%v %+v", err, all)
	}
	if err := os.WriteFile("vm.yaml", []byte(vmYAML+"cpu: {affinity: [1], exclusive: true}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.must(t, "vm", "update", "-f", "vm.yaml")
	for args, want := range map[string]string{"top": "  1\n", "host resources": "1          demo", "vm get demo": "has alone"} {
		if out := s.must(t, strings.Fields(args)...).out; !strings.Contains(out, want) {
			t.Errorf("%s lacks %q, the processor that a VM has for itself:\n%s", args, want, out)
		}
	}
	s.tty = true
	keys, hands := net.Pipe()
	s.env["KEEL_OUTPUT"] = "table" // which is what it draws
	live := s.background(keys, "top", "--every", "200ms")
	live.out.waitFor(t, "demo")
	hands.Write([]byte("q"))
	got := live.end(t)
	if got.code != 0 || !strings.HasPrefix(got.out, enterScreen) || !strings.HasSuffix(got.out, leaveScreen) {
		t.Errorf("%d %q", got.code, got.out)
	}
	s.tty = false
	r.server.Close()
	if got := s.run("top", "--once", "--timeout", "2s"); got.code != 6 || !strings.Contains(got.out, "unreachable") {
		t.Errorf("%+v", got)
	}
}

func TestNamesAreCompletedLive(t *testing.T) {
	s, _ := running(t)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"vm", "start", ""}, "demo\n"},
		{[]string{"image", "delete", ""}, "vmlinuz\n"},
		{[]string{"host", "remove", ""}, "keel-1\n"},
		{[]string{"context", "use", ""}, "default\n"},
		{[]string{"vm", "list", "--host", ""}, "keel-1\n"},
		{[]string{"vm", "list", "-o", ""}, "table\n"},
		{[]string{"query", "GET", ""}, "/v1/host"},
	} {
		if out := s.must(t, append([]string{"__complete"}, test.args...)...).out; !strings.Contains(out, test.want) {
			t.Errorf("%q: %s", test.args, out)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := s.must(t, "completion", shell).out; !strings.Contains(out, "keelctl") {
			t.Errorf("%s: %s", shell, out)
		}
	}
}

func TestQueryIsTheRawAPI(t *testing.T) {
	s, _ := running(t)
	var v api.Version
	if err := json.Unmarshal([]byte(s.must(t, "query", "GET", "/v1/version").out), &v); err != nil || v.You.Name != "alice" {
		t.Errorf("%v %+v", err, v)
	}
	if out := s.must(t, "query", "HEAD", "/v1/images/vmlinuz").out; !strings.Contains(out, "Upload-Length: 4200000") {
		t.Errorf("%s", out)
	}
	s.fails(t, 8, "doesn't know this field", "query", "POST", "/v1/host/shutdown", "--data", `{"fromTheFuture":true}`)
	s.fails(t, 8, "", "query", "GET", "/v1/nope")
	s.fails(t, 2, "is no method", "query", "FETCH", "/v1/version")
}

func TestTamperingWithTheAuditLogIsFound(t *testing.T) {
	s, r := managed(t, rigOptions{})
	s.must(t, "audit", "verify")
	s.must(t, "audit", "export", "-o", s.file("audit.jsonl"))
	if out := s.must(t, "audit", "verify", "--file", s.file("audit.jsonl")).out; strings.Contains(out, "nothing here knows that key") {
		t.Errorf("the key of the host: %s", out)
	}
	s.must(t, "audit", "verify", "--file", s.file("audit.jsonl"), "--fingerprint", r.fingerprint())
	s.fails(t, 1, "and not by", "audit", "verify", "--file", s.file("audit.jsonl"), "--fingerprint", "SHA256:"+strings.Repeat("A", 43))
	s.fails(t, 2, "--fingerprint", "audit", "verify", "--file", s.file("audit.jsonl"), "--fingerprint", "x")
	if out := newSession(t).must(t, "audit", "verify", "--file", s.file("audit.jsonl")).out; !strings.Contains(out, "nothing here knows that key") {
		t.Errorf("on another machine: %s", out)
	}
	text, err := os.ReadFile(s.file("audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string]string{
		"edited":  strings.Replace(string(text), "alice", "carol", 1),
		"removed": string(text[:strings.LastIndexByte(strings.TrimSuffix(string(text), "\n"), '\n')+1]),
	} {
		os.WriteFile(s.file(what), []byte(bad), 0o600)
		s.fails(t, 1, "tampered", "audit", "verify", "--file", s.file(what))
	}
	// The host itself, with another log of the same boot.
	ca := s.ca(t)
	address := r.address
	r.server.Close()
	other := boot(t, rigOptions{address: address, cas: []*x509.Certificate{ca}, boot: r.Boot})
	s.must(t, "host", "add", address, "--fingerprint", other.fingerprint())
	s.fails(t, 1, "tampered", "audit", "verify")
	other.server.Close()
	// And after a restart it is a new log.
	restarted := boot(t, rigOptions{address: address, cas: []*x509.Certificate{ca}, boot: "b0099"})
	s.must(t, "host", "add", address, "--fingerprint", restarted.fingerprint())
	if out := s.must(t, "audit", "verify").out; !strings.Contains(out, "restarted") || !strings.Contains(out, "this is a new log") {
		t.Errorf("%s", out)
	}
	if out := s.must(t, "audit", "forwarding", "show").out; !strings.Contains(out, "nowhere") {
		t.Errorf("%s", out)
	}
}

func TestLockdown(t *testing.T) {
	s, r := managed(t, rigOptions{})
	if out := s.must(t, "trust", "show").out; !strings.Contains(out, "locked down  no") {
		t.Errorf("%s", out)
	}
	s.fails(t, 2, "give one host", "trust", "lockdown")
	if out := s.must(t, "trust", "lockdown", "keel-1").out; !strings.Contains(out, "locked down  yes") || !r.Trust.Lockdown().Locked {
		t.Errorf("%s", out)
	}
	s.fails(t, 2, "your own operator CA", "trust", "ca", "remove", "SHA256:"+ownFingerprint(t, s))
}

func ownFingerprint(t *testing.T, s *session) string {
	t.Helper()
	out := s.must(t, "trust", "show", "-o", "json").out
	var trust api.Trust
	if err := json.Unmarshal([]byte(out), &trust); err != nil || len(trust.CAs) != 1 {
		t.Fatal(err, out)
	}
	return strings.TrimPrefix(trust.CAs[0].Fingerprint, "SHA256:")
}
