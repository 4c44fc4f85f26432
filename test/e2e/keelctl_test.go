package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"keel/test/guest"
	"keel/test/machine"
	"keel/vmkernel/auth"
)

// administrator is somebody with keelctl, as it was built, and a directory for what it keeps.
type administrator struct {
	t        *testing.T
	keelctl  string
	dir, cwd string
}

func newAdministrator(t *testing.T, keelctl string) *administrator {
	return &administrator{t, keelctl, t.TempDir(), t.TempDir()}
}

// seed makes a seed for a host that trusts the administrator's CA, with more documents and arguments, and returns its path.
func (a *administrator) seed(more string, args ...string) string {
	a.t.Helper()
	a.write("host.yaml", `apiVersion: keel/v1
kind: Host
name: keel-1
management: {nic: auto}
trust: {operatorCAs: [`+filepath.Join(a.dir, "contexts", "default", "ca.pem")+`]}
`+more)
	a.must(append([]string{"seed", "create", "-f", "host.yaml", "-o", "seed.tar"}, args...)...)
	return filepath.Join(a.cwd, "seed.tar")
}

// buildKeelctl builds keelctl as users do.
func buildKeelctl(t *testing.T) string {
	t.Helper()
	return buildKeelctlOf(t, machine.Root(t))
}

// buildKeelctlOf builds the keelctl of a copy of the source.
func buildKeelctlOf(t *testing.T, source string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keelctl")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/keelctl")
	cmd.Dir, cmd.Env = source, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// run runs keelctl and returns its exit code and what it wrote.
func (a *administrator) run(stdin string, args ...string) (code int, stdout, stderr string) {
	a.t.Helper()
	cmd := exec.CommandContext(a.t.Context(), a.keelctl, args...)
	cmd.Dir = a.cwd
	cmd.Env = append(os.Environ(), "KEEL_CONFIG="+filepath.Join(a.dir, "config.yaml"), "KEEL_TIMEOUT=2m")
	cmd.Stdin = strings.NewReader(stdin)
	var out, errout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errout
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		a.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errout.String()
}

// must is run for what has to succeed.
func (a *administrator) must(args ...string) string {
	a.t.Helper()
	code, out, errout := a.run("", args...)
	if code != 0 {
		a.t.Fatalf("keelctl %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errout)
	}
	return out + errout
}

// fails is run for what has to fail with an exit code.
func (a *administrator) fails(want int, args ...string) string {
	a.t.Helper()
	code, out, errout := a.run("", args...)
	if code != want {
		a.t.Errorf("keelctl %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, out, errout)
	}
	return errout
}

func (a *administrator) write(name, text string) {
	a.t.Helper()
	writeFile(a.t, filepath.Join(a.cwd, name), []byte(text))
}

// link puts a file into the administrator's directory.
func (a *administrator) link(name, path string) {
	a.t.Helper()
	if err := os.Symlink(path, filepath.Join(a.cwd, name)); err != nil {
		a.t.Fatal(err)
	}
}

var echoLine = regexp.MustCompile(`^tux\| WORKLOAD echo`)

// echoes waits until the guest tux says back what is typed.
func (r run) echoes() {
	r.t.Helper()
	if _, err := r.WaitFor(r.t.Context(), echoLine); err != nil {
		r.t.Fatal(err)
	}
}

// tuxYAML is a guest that sends back what is typed.
const tuxYAML = `apiVersion: keel/v1
kind: VM
name: tux
id: 0b0e6a52-1d9f-4a53-9d0c-6f1f4f1f0a01
memory: {size: 128MiB}
boot: {kernel: vmlinuz, initrd: initrd, cmdline: "console=ttyS0 quiet mitigations=off workload.quick workload.only=none workload.end=echo"}
serial: [{name: ttyS0, log: host}]
onPowerOff: stop
`

// TestKeelctlManagesAHost is the README's first hour, by the command itself: keys, a signed seed, a host that is
// recognised, a VM whose files are sent to it and whose console is typed into, a second administrator who comes and
// goes, an audit log that is checked, and a host that restarts and proves itself by its token.
func TestKeelctlManagesAHost(t *testing.T) {
	keelctl := buildKeelctl(t)
	alice := newAdministrator(t, keelctl)
	alice.must("init", "--user", "alice")
	alice.must("seed", "token", "token")
	archive := alice.seed("", "--token-file", "token")

	n, address := network(t, "virtio-net-pci,disable-legacy=on", 443)
	r := run{machine.Boot(t, machine.QEMU{
		Kernel: image(t), Seed: archive, Network: n, MemMiB: 1024, Reboot: true,
	}, 8*time.Minute), t}
	key := r.door()

	alice.fails(6, "host", "add", address, "--fingerprint", "SHA256:"+strings.Repeat("A", 43))
	alice.must("host", "add", address, "--token-file", "token")
	if out := alice.must("host", "list"); !strings.Contains(out, string(key)) {
		t.Errorf("host list: %s", out)
	}
	if out := alice.must("version"); !strings.Contains(out, "you are alice, admin") {
		t.Errorf("version: %s", out)
	}

	alice.link("vmlinuz", guest.Kernel(t))
	alice.write("initrd", string(guest.Workload(t)))
	alice.write("vm.yaml", tuxYAML)
	alice.must("vm", "create", "-f", "vm.yaml", "--start", "--wait")
	if out := alice.must("vm", "list"); !strings.Contains(out, "running") {
		t.Errorf("vm list: %s", out)
	}
	r.echoes()
	if out := alice.must("vm", "log", "tux"); !strings.Contains(out, "WORKLOAD echo") {
		t.Errorf("vm log: %s", out)
	}
	_, out, errout := alice.run("hello there\r", "vm", "console", "tux", "--timeout", "8s")
	if !strings.Contains(out, "you typed hello there") {
		t.Errorf("console: %s%s", out, errout)
	}
	if out := alice.must("top", "--once"); !strings.Contains(out, "tux") {
		t.Errorf("top: %s", out)
	}
	alice.looksAfter(key)
	alice.handles(r)

	// Bob comes, watches, and is put out.
	bob := newAdministrator(t, keelctl)
	bob.must("cert", "request", "--user", "bob", "-o", filepath.Join(alice.cwd, "bob.csr"))
	alice.must("cert", "sign", "bob.csr", "--role", "operator", "-o", filepath.Join(bob.cwd, "bob.pem"))
	bob.must("cert", "install", "bob.pem")
	bob.must("host", "add", address, "--fingerprint", key.Groups())
	if out := bob.must("vm", "stats", "tux"); !strings.Contains(out, "running") {
		t.Errorf("vm stats: %s", out)
	}
	if said := bob.fails(4, "trust", "show"); !strings.Contains(said, "admin") {
		t.Errorf("it isn't said which role is missing: %s", said)
	}
	alice.must("cert", "revoke", "bob")
	bob.fails(4, "vm", "list")

	if out := alice.must("audit", "verify"); !strings.Contains(out, "the audit log is whole") {
		t.Errorf("audit verify: %s", out)
	}
	alice.must("vm", "kill", "tux", "--wait")
	if out := alice.must("audit", "verify"); !strings.Contains(out, "it goes on from the") {
		t.Errorf("audit verify again: %s", out)
	}
	alice.changes()

	// The host starts again, with a new key that its token vouches for and a new audit log.
	alice.must("host", "restart", "keel-1", "--wait")
	again := r.door()
	if again == key {
		t.Errorf("the host has the same key as before: %s", key)
	}
	if out := alice.must("vm", "list"); !strings.Contains(out, "has proved by its seed's token that its new key is "+string(again)) || strings.Contains(out, "tux") {
		t.Errorf("after the restart: %s", out)
	}
	if out := alice.must("audit", "verify"); !strings.Contains(out, "this is a new log") {
		t.Errorf("audit verify after the restart: %s", out)
	}
	alice.must("host", "shutdown", "keel-1", "--wait")
	r.end()
	r.wantNoErrors()
	alice.fails(6, "vm", "list")
}

// looksAfter has an administrator see how a host is on which tux runs.
func (a *administrator) looksAfter(key auth.Fingerprint) {
	t := a.t
	t.Helper()
	metrics := a.must("host", "metrics")
	for _, want := range []string{`keel_vm_exits_total\{vm="tux",reason="[^"]+"\} [1-9]`, `keel_network_receive_bytes_total [1-9]`, `keel_network_transmit_bytes_total [1-9]`,
		`keel_vm_granted_bytes\{vm="tux"\} [1-9]`, `keel_pool_processor_seconds_total\{pool="system"\} [0-9.]+`, `keel_memory_pressure 0`} {
		if !regexp.MustCompile(want).MatchString(metrics) {
			t.Errorf("no %s in the metrics\n%s", want, metrics)
		}
	}
	if out := a.must("host", "health"); !strings.Contains(out, "ok") {
		t.Errorf("host health: %s", out)
	}
	if out := a.must("host", "log"); !strings.Contains(out, string(key)) {
		t.Errorf("the host's log doesn't tell that its door is open: %s", out)
	}
	a.must("host", "support", "-o", "support.tar.gz")
	token, err := os.ReadFile(filepath.Join(a.cwd, "token"))
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := exec.Command("tar", "xzOf", filepath.Join(a.cwd, "support.tar.gz")).CombinedOutput()
	if err != nil || !bytes.Contains(bundle, []byte("keel_vm_exits_total")) || !bytes.Contains(bundle, []byte("door open")) {
		t.Errorf("the support bundle lacks figures or the log: %v\n%s", err, bundle)
	}
	if secret := bytes.TrimSpace(token); len(secret) == 0 || bytes.Contains(bundle, secret) {
		t.Errorf("the support bundle has the seed's token")
	}
}

var nmiLine = regexp.MustCompile(`^tux\| .*NMI received for unknown reason`)

// handles has an administrator do to tux what can be done to a VM that runs.
func (a *administrator) handles(r run) {
	a.t.Helper()
	shown := func(state string) {
		a.t.Helper()
		if out := a.must("vm", "list"); !regexp.MustCompile(`(?m)^tux\s+` + state).MatchString(out) {
			a.t.Errorf("tux isn't %s: %s", state, out)
		}
	}
	a.must("vm", "pause", "tux")
	shown("paused")
	a.must("vm", "resume", "tux")
	shown("running")
	a.must("vm", "nmi", "tux")
	if _, err := r.WaitFor(a.t.Context(), nmiLine); err != nil {
		a.t.Fatal(err)
	}
	a.must("vm", "reset", "tux")
	r.echoes()
}

// changes has an administrator change tux, which is stopped, and delete it.
func (a *administrator) changes() {
	a.t.Helper()
	a.write("vm.yaml", strings.Replace(tuxYAML, "128MiB", "160MiB", 1))
	a.must("vm", "update", "-f", "vm.yaml")
	if out := a.must("vm", "get", "tux", "--manifest"); !strings.Contains(out, "160MiB") {
		a.t.Errorf("tux wasn't changed: %s", out)
	}
	a.must("vm", "delete", "tux")
	if out := a.must("vm", "list"); strings.Contains(out, "tux") {
		a.t.Errorf("tux wasn't deleted: %s", out)
	}
}

// TestKeelctlTypesIntoAGuest goes from a seed to a guest's console by keelctl, on every network card and processor.
func TestKeelctlTypesIntoAGuest(t *testing.T) {
	t.Parallel()
	keelctl := buildKeelctl(t)
	alice := newAdministrator(t, keelctl)
	alice.must("init", "--user", "alice")
	alice.link("vmlinuz", guest.Kernel(t))
	alice.write("initrd", string(guest.Workload(t)))
	bootOnCards(t, alice.seed("---\n"+tuxYAML), 8*time.Minute, func(t *testing.T, r run, address string) {
		key := r.door()
		a := &administrator{t, keelctl, alice.dir, alice.cwd}
		name := strings.ToLower(strings.ReplaceAll(strings.SplitN(t.Name(), "/", 2)[1], "/", "-"))
		a.must("host", "add", address, "--name", name, "--fingerprint", string(key))
		r.echoes()
		_, out, errout := a.run("hello there\roff\r", "vm", "console", "tux", "--host", name, "--timeout", "15s")
		if !strings.Contains(out, "you typed hello there") {
			t.Errorf("console: %s%s", out, errout)
		}
		if _, err := r.WaitFor(t.Context(), stoppedLine); err != nil {
			t.Fatal(err)
		}
		a.must("audit", "verify", "--host", name)
		a.must("host", "shutdown", name, "--wait")
		r.end()
		r.wantNoErrors()
	})
}
