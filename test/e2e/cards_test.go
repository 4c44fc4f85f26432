package e2e

import (
	"testing"
	"time"

	"keel/test/machine"
)

// bootOnCards boots a seed with each network card that Keel has a driver for, in the emulator that has it, and hands f the
// host and the address of its door.
func bootOnCards(t *testing.T, seed string, limit time.Duration, f func(t *testing.T, r run, address string)) {
	qemu := func(n *machine.Network) machine.Machine {
		return machine.QEMU{Kernel: image(t), Seed: seed, Network: n, MemMiB: 1024}
	}
	for _, c := range []struct {
		name, device string
		machine      func(*machine.Network) machine.Machine
	}{
		{"QEMU/virtio-net", "virtio-net-pci,disable-legacy=on", qemu},
		{"QEMU/e1000", "e1000", qemu},
		{"QEMU/e1000e", "e1000e", qemu},
		{"Bochs/e1000", "e1000", func(n *machine.Network) machine.Machine {
			return machine.Bochs{ISO: medium(t, seed), Network: n, MemMiB: 1024}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, address := network(t, c.device, 443)
			f(t, run{machine.Boot(t, c.machine(n), limit), t}, address)
		})
	}
}
