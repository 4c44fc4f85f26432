package e2e

import (
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"keel/boot/iso"
	"keel/test/machine"
	"keel/vmkernel/seed"
)

// TestRecoverAccessIsChosenAtTheKeyboard of a machine that boots from its medium.
func TestRecoverAccessIsChosenAtTheKeyboard(t *testing.T) {
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	cd := filepath.Join(t.TempDir(), "keel.iso")
	o := iso.Options{Kernel: image(t), Seed: ops.trusting(t, nil, []seed.VM{linux("tux", 1, 64*mib, "")}, files(t, fileLinux, fileInitrd))}
	if err := iso.Build(t.Context(), cd, o); err != nil {
		t.Fatal(err)
	}
	n, address := network(t, "e1000", 443)
	r := run{machine.Boot(t, machine.QEMU{ISO: cd, Firmware: machine.BIOS, Network: n, MemMiB: 512, Extra: machine.QMP()}, 3*time.Minute), t}
	recovered := regexp.MustCompile(`^level=WARN msg="claim open" .* for=1[45]m`)
	for began := time.Now(); !slices.ContainsFunc(r.Lines(), recovered.MatchString); time.Sleep(200 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatal("no claim")
		}
		if !slices.ContainsFunc(r.Lines(), regexp.MustCompile(`msg=ready`).MatchString) { // it may be before the menu still
			r.Command("send-key", map[string]any{"keys": []map[string]string{{"type": "qcode", "data": "r"}}})
		}
	}
	key := r.door()
	claimed(t, r, address, key, newOperators(t, "new", time.Now().Add(-time.Hour)))
	if len(r.byVM(startedLine)) != 0 {
		t.Error("a VM was started")
	}
}

// TestOtherPortsRefuse has ports beside the door's be closed, those that other hypervisors have open among them.
func TestOtherPortsRefuse(t *testing.T) {
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	ports := []int{1, 21, 22, 23, 53, 80, 111, 161, 427, 442, 444, 623, 902, 2376, 5900, 5989, 6443, 8006, 8080, 8443, 9100, 16509, 50000, 65535}
	n := &machine.Network{Device: "virtio-net-pci,disable-legacy=on", TCP: map[int]int{}}
	outside := map[int]string{}
	for _, p := range append(ports, 443) {
		f := machine.FreePort(t)
		n.TCP[f] = p
		outside[p] = localhost(f)
	}
	r := run{machine.Boot(t, machine.QEMU{Kernel: image(t), Seed: ops.trusting(t, nil, nil, nil), Network: n, MemMiB: 512}, 2*time.Minute), t}
	key := r.door()
	for _, p := range ports {
		if err := refused(outside[p]); err != nil {
			t.Errorf("port %d: %v", p, err)
		}
	}
	if _, err := letIn(t, dial(t, outside[443], key, ops.admin())); err != nil {
		t.Error(err)
	}
}
