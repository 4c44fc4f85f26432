package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"keel/test/guest/hostile"
	"keel/test/machine"
	"keel/vmkernel/api"
	"keel/vmkernel/seed"
)

// TestThousandVMsAreListed defines 1,000 VMs of one kernel, the first 250 in the seed and the others through the door. One
// list has them all, and the host's memory stays within its bar.
func TestThousandVMsAreListed(t *testing.T) {
	const many, batch = 1000, 250
	if batch > seed.MaxVMs {
		t.Fatalf("a seed holds no %d VMs", batch)
	}
	alice := newAdministrator(t, buildKeelctl(t))
	alice.must("init", "--user", "alice")
	kernel, err := hostile.Multiboot()
	if err != nil {
		t.Fatal(err)
	}
	alice.write("kernel", string(kernel))
	vms := func(from int) string {
		var b strings.Builder
		for i := range batch {
			fmt.Fprintf(&b, `---
apiVersion: keel/v1
kind: VM
name: vm-%04d
id: 0b0e6a52-1d9f-4a53-9d0c-%012d
memory: {size: 16MiB}
boot: {kernel: kernel}
autostart: {enabled: false}
`, from+i, from+i)
		}
		return b.String()
	}
	archive := alice.seed(vms(0))
	n, address := network(t, "virtio-net-pci,disable-legacy=on", 443)
	r := run{machine.Boot(t, machine.QEMU{Kernel: image(t), Seed: archive, Network: n, MemMiB: 512}, 6*time.Minute), t}
	alice.must("host", "add", address, "--fingerprint", string(r.door()))
	for from := batch; from < many; from += batch {
		alice.write("vms.yaml", vms(from))
		alice.must("vm", "create", "-f", "vms.yaml")
	}
	start := time.Now()
	_, out, _ := alice.run("", "vm", "list")
	t.Logf("listed within %v", time.Since(start))
	for i := range many {
		if name := fmt.Sprintf("vm-%04d ", i); strings.Count(out, name) != 1 {
			t.Fatalf("%s is %d times in the list", name, strings.Count(out, name))
		}
	}
	_, out, _ = alice.run("", "host", "resources", "-o", "json")
	var have api.HostResources
	if err := json.Unmarshal([]byte(out), &have); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%d VMs, the host takes %d KiB", have.VMs, have.MemoryUsed>>10)
	if have.VMs != many || have.MemoryUsed == 0 || have.MemoryUsed > 64*mib {
		t.Errorf("%d VMs, the host takes %d KiB", have.VMs, have.MemoryUsed>>10)
	}
	r.wantNoErrors()
}
