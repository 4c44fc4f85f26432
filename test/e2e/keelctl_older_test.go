package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keel/test/guest"
	"keel/test/machine"
)

// olderKeelctl is the commit of a keelctl that administrators may still have.
const olderKeelctl = "35cb90d71af6"

// TestOlderKeelctlManagesThisHost has a keelctl of an older commit make a seed for this image, and manage the host.
func TestOlderKeelctlManagesThisHost(t *testing.T) {
	root, source := machine.Root(t), t.TempDir()
	archive := filepath.Join(source, "source.tar")
	if exec.Command("git", "-C", root, "cat-file", "-e", olderKeelctl+"^{commit}").Run() != nil {
		t.Skipf("there is no commit %s here to build an older keelctl from: a shallow clone, or no clone?", olderKeelctl)
	}
	for _, c := range [][]string{
		{"git", "-C", root, "archive", "-o", archive, olderKeelctl},
		{"tar", "xf", archive, "-C", source},
	} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", c, err, out)
		}
	}
	alice := newAdministrator(t, buildKeelctlOf(t, source))
	alice.must("init", "--user", "alice")
	seeded := alice.seed("")
	n, address := network(t, "virtio-net-pci,disable-legacy=on", 443)
	r := run{machine.Boot(t, machine.QEMU{Kernel: image(t), Seed: seeded, Network: n, MemMiB: 1024}, 5*time.Minute), t}
	alice.must("host", "add", address, "--fingerprint", string(r.door()))

	alice.link("vmlinuz", guest.Kernel(t))
	alice.write("initrd", string(guest.Workload(t)))
	alice.write("vm.yaml", tuxYAML)
	alice.must("vm", "create", "-f", "vm.yaml", "--start", "--wait")
	if out := alice.must("vm", "list"); !strings.Contains(out, "tux") || !strings.Contains(out, "running") {
		t.Errorf("vm list: %s", out)
	}
	r.echoes()
	_, out, errout := alice.run("hello there\r", "vm", "console", "tux", "--timeout", "8s")
	if !strings.Contains(out, "you typed hello there") {
		t.Errorf("console: %s%s", out, errout)
	}
	alice.must("vm", "kill", "tux", "--wait")
	if out := alice.must("audit", "verify"); !strings.Contains(out, "the audit log is whole") {
		t.Errorf("audit verify: %s", out)
	}
	alice.must("audit", "export", "-o", "audit.json")
	if records, err := os.ReadFile(filepath.Join(alice.cwd, "audit.json")); err != nil || !strings.Contains(string(records), "vm.started") {
		t.Errorf("the exported audit log doesn't tell that tux was started: %v", err)
	}
	alice.must("host", "shutdown", "keel-1", "--wait")
	r.end()
	r.wantNoErrors()
}
