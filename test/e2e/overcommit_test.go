package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"keel/test/machine"
	"keel/vmkernel/seed"
)

var (
	memoryLine  = regexp.MustCompile(`^level=DEBUG msg=memory vm=(\S+) granted=\S+ target=(\d+)(KiB|MiB|GiB) `)
	notStarted  = regexp.MustCompile(`^level=ERROR msg="vm not started" vm=greedy error="(.*)"$`)
	memoryNode  = regexp.MustCompile(`msg="vm figures" vm=(\S+) .* memory\.resident=(\d+) memory\.large=(\d+) memory\.overhead=(\d+) memory\.node=(\d+) `)
	waitsMemory = regexp.MustCompile(`msg="vm waits for memory" vm=(\S+)`)
)

// TestGuestsShareLessMemoryThanTheyAreSizedFor has three stock Linux guests with drivers for their balloons want all of 768
// MiB, on a machine of 560: all of them go on, and what they hold stays what they wrote.
// Another VM, whose reservation can't be met, is refused with the numbers, and they don't notice.
func TestGuestsShareLessMemoryThanTheyAreSizedFor(t *testing.T) {
	section := hostWith()
	section.Log.Level = "debug"
	var vms []seed.VM
	for i, shares := range []uint32{1000, 2000, 3000} {
		v := linux(fmt.Sprint("g", i+1), 1, 256*mib, "workload.only=yield workload.wait=75s")
		v.Boot.Direct.Initrd = fileBalloon
		v.Memory.Shares = shares
		v.Autostart.Order = i
		vms = append(vms, v)
	}
	greedy := metal("greedy", "x")
	greedy.Memory.Size, greedy.Memory.Reservation = 600*mib, 600*mib
	greedy.Autostart.Order = 9
	data, err := seed.Pack(section, append(vms, greedy), files(t, fileLinux, fileInitrd, fileBalloon, fileMB))
	if err != nil {
		t.Fatal(err)
	}
	r := host{emulator: qemu, memMiB: 560, limit: 6 * time.Minute}.boot(t, data)
	r.end()
	r.wantReasons(map[string]string{"g1": "power-off", "g2": "power-off", "g3": "power-off"})
	for _, v := range vms {
		r.wantWorkload(v.Name, 1)
	}
	refused := false
	target := map[string]uint64{}
	for _, l := range r.Lines() {
		if strings.Contains(l, "WORKLOAD yield") || waitsMemory.MatchString(l) || memoryNode.MatchString(l) {
			t.Log(l)
		}
		if m := notStarted.FindStringSubmatch(l); m != nil {
			refused = regexp.MustCompile(`VM greedy: a reservation of 600MiB and an overhead of \S+ are more than the \S+ that the host has left \(of \d+MiB\): reserve less`).MatchString(m[1])
			t.Log(m[1])
		} else if errorLine.MatchString(l) {
			t.Errorf("the host said %s", l)
		}
		if m := memoryLine.FindStringSubmatch(l); m != nil {
			n, _ := strconv.ParseUint(m[2], 10, 64)
			target[m[1]] = n << map[string]int{"KiB": 0, "MiB": 10, "GiB": 20}[m[3]]
			continue
		}
		if stoppedLine.MatchString(l) {
			break // what the others may have afterwards is another matter
		}
	}
	if !refused {
		t.Error("a reservation that can't be met isn't refused with the numbers")
	}
	// By how much they follow shares depends on how fast guests write in a machine whose clock is the wall's;
	// TestOvercommittedGuestsAllGoOn in package vm holds them to it.
	t.Logf("targets in KiB when the first ends: %v", target)
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
	p := machine.Boot(t, machine.QEMU{Kernel: image(t), Seed: path, CPUs: 2, MemMiB: 768, Extra: []string{
		"-object", "memory-backend-ram,id=m0,size=256M", "-object", "memory-backend-ram,id=m1,size=512M",
		"-numa", "node,nodeid=0,cpus=0,memdev=m0", "-numa", "node,nodeid=1,cpus=1,memdev=m1"}}, 3*time.Minute)
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
