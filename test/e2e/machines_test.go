package e2e

import (
	"context"
	"os"
	"testing"
	"time"

	"keel/test/machine"
)

// machineOf boots a machine of a kind for a test.
type machineOf func(*testing.T) run

var firmwares = []machine.Firmware{machine.BIOS, machine.UEFI}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func bootQEMU(t *testing.T, cpu, seedPath string) run {
	return run{machine.Boot(t, machine.QEMU{Kernel: image(t), Seed: seedPath, CPU: cpu, MemMiB: 512}, 3*time.Minute), t}
}

func bootBochs(t *testing.T, cpu, seedPath string) run {
	return run{machine.Boot(t, machine.Bochs{ISO: medium(t, seedPath), CPU: cpu, MemMiB: 512}, 3*time.Minute), t}
}

func bootFirmware(t *testing.T, firmware machine.Firmware, seedPath string) run {
	return run{machine.Boot(t, machine.QEMU{ISO: medium(t, seedPath), Firmware: firmware, CPUs: 2}, 3*time.Minute), t}
}

// ended is closed when the machine has ended.
func ended(r run) <-chan struct{} {
	done := make(chan struct{})
	ctx, cancel := context.WithTimeout(r.t.Context(), 50*time.Millisecond)
	defer cancel()
	r.Wait(ctx)
	if ctx.Err() == nil {
		close(done)
	}
	return done
}
