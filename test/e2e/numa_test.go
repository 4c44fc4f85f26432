package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"keel/test/machine"
	"keel/vmkernel/seed"
)

var memoryNode = regexp.MustCompile(`msg="vm figures" vm=(\S+) .* memory\.resident=(\d+) memory\.large=(\d+) memory\.overhead=(\d+) memory\.node=(\d+) `)

// twoNodes are arguments of QEMU for two NUMA nodes with half of the processors each, and 256 and 512 MiB.
func twoNodes(cpus int) []string {
	set := func(node, first, last int) string {
		return fmt.Sprintf("node,nodeid=%d,cpus=%d-%d,memdev=m%d", node, first, last, node)
	}
	return []string{"-object", "memory-backend-ram,id=m0,size=256M", "-object", "memory-backend-ram,id=m1,size=512M",
		"-numa", set(0, 0, cpus/2-1), "-numa", set(1, cpus/2, cpus-1)}
}

// TestVMComesFromOneNUMANode has QEMU's machine of two nodes: a VM's memory is on the one where there is more, or on that of the
// processors that it may run on.
func TestVMComesFromOneNUMANode(t *testing.T) {
	v := metal("probe", "x")
	v.Memory.Size, v.Memory.Reservation = 64*mib, 64*mib
	here := metal("here", "x")
	here.Memory, here.CPU.Affinity = v.Memory, []int{0}
	path := filepath.Join(t.TempDir(), "seed.tar")
	if err := os.WriteFile(path, pack(t, []seed.VM{v, here}, files(t, fileMB)), 0o644); err != nil {
		t.Fatal(err)
	}
	p := machine.Boot(t, machine.QEMU{Kernel: image(t), Seed: path, CPUs: 2, MemMiB: 768, Extra: twoNodes(2)}, 3*time.Minute)
	r := run{p, t}
	r.end()
	r.wantNoErrors()
	want := map[string]string{"probe": "1", "here": "0"}
	for _, l := range r.Lines() {
		if m := memoryNode.FindStringSubmatch(l); m != nil {
			if m[5] != want[m[1]] {
				t.Errorf("VM %s is on node %s, not %s: %s", m[1], m[5], want[m[1]], l)
			}
			delete(want, m[1])
		}
	}
	if len(want) != 0 {
		t.Errorf("no figures of %v:\n%s", want, r.Tail(20))
	}
}

// TestVirtualProcessorsRunNextToTheirMemory has the program worlds look on such a machine.
func TestVirtualProcessorsRunNextToTheirMemory(t *testing.T) {
	runWorlds(t, machine.QEMU{Kernel: machine.BuildImage(t, "./test/worlds"), CPUs: 4, MemMiB: 768, Args: "worlds=home", Extra: twoNodes(4)}, 3*time.Minute)
}
