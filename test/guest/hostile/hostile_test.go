package hostile

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"keel/test/machine"
)

// TestKernelsRunOnPlainQEMU shows that the kernels are right on a machine that isn't Keel's: what
// they find wrong on Keel is then Keel's fault.
func TestKernelsRunOnPlainQEMU(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func() ([]byte, error)
		words string
		want  string
	}{
		{"multiboot", Multiboot, "run=h", "^hello multibt$"},
		{"multiboot ELF", MultibootELF, "run=h", "^hello multibt$"},
		{"PVH", PVH, "run=h", "^hello pvh$"},
		{"memory", Multiboot, "run=mx", "^hostile m faults=0000"},
		{"string I/O", Multiboot, "run=ox", "^hostile o faults=00000000 irqs=00000000"},
		{"MSRs", Multiboot, "run=rx", "^hostile r faults=0000"},
		{"virtualisation", Multiboot, "run=vx", "^hostile v faults=000000[1-9a-f]"},
		{"self-modifying", Multiboot, "run=sx", "^hostile s faults=00000000 irqs=00000000"},
		{"storm", Multiboot, "run=ix", "^hostile i faults=00000000 irqs=0000[1-9a-f]"},
		{"8254", Multiboot, "run=tx", "^hostile t faults=00000000 irqs=0"},
		{"deadline", Multiboot, "run=Dx", "^hostile D faults=0"},
		{"APIC", Multiboot, "run=ax", "^hostile a faults=00000000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			image, err := c.build()
			if err != nil {
				t.Fatal(err)
			}
			kernel := filepath.Join(t.TempDir(), "kernel")
			if err := os.WriteFile(kernel, image, 0o644); err != nil {
				t.Fatal(err)
			}
			p := machine.Boot(t, machine.QEMU{
				Kernel: kernel, Args: c.words, Machine: "pc", MemMiB: 64, CPU: "max,-monitor", // MWAIT would wait for ever
				Extra: []string{"-device", "isa-debug-exit,iobase=0xf4,iosize=4"},
			}, time.Minute)
			match, err := p.WaitFor(t.Context(), regexp.MustCompile(c.want))
			if err != nil {
				t.Fatal(err)
			}
			t.Log(match[0])
			p.Stop()
		})
	}
}
