package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"keel/boot/iso"
	"keel/test/guest"
	"keel/test/machine"
	"keel/vmkernel/seed"
)

// What the program of test/lifecycle says.
var (
	lifecycleEnd  = regexp.MustCompile(`^lifecycle\| (\d+) passed, (\d+) failed$`)
	lifecycleFail = regexp.MustCompile(`^lifecycle\| FAIL start|^fatal error:|^panic:`)
)

// TestLifecycle does to a Debian guest with a shell what administrators do, on both virtualisations. In Bochs, on two
// processors, only what is known to hold there; KEEL_LIFECYCLE="type,paste,pause,nmi,reset" names what to try.
func TestLifecycle(t *testing.T) {
	t.Parallel()
	image := machine.BuildImage(t, "./test/lifecycle")
	f := files(t, fileLinux)
	f[fileInitrd] = guest.Shell(t)
	v := vm("shell", 2, 128*mib, seed.Direct{Kernel: fileLinux, Initrd: fileInitrd, Cmdline: "console=ttyS0 quiet mitigations=off"})
	v.OnReboot = seed.Stop // a reset is none
	path := filepath.Join(t.TempDir(), "seed.tar")
	if err := os.WriteFile(path, pack(t, []seed.VM{v}, f), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		machine func() machine.Machine
		limit   time.Duration
	}{
		{"QEMU", func() machine.Machine { return machine.QEMU{Kernel: image, Seed: path, CPUs: 2, MemMiB: 512} }, 8 * time.Minute},
		{"Bochs", func() machine.Machine {
			cd := filepath.Join(t.TempDir(), "lifecycle.iso") // what doesn't depend on the processor QEMU has tried
			checks := "type,pause"
			if only := os.Getenv("KEEL_LIFECYCLE"); only != "" {
				checks = only
			}
			if err := iso.Build(t.Context(), cd, iso.Options{Kernel: image, Seed: path, Args: "lifecycle=" + checks, Quick: true}); err != nil {
				t.Fatal(err)
			}
			return machine.Bochs{ISO: cd, CPU: machine.Haswell, CPUs: 2, MemMiB: 512}
		}, 15 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			runChecks(t, c.machine(), c.limit, "lifecycle|", lifecycleEnd, lifecycleFail)
		})
	}
}
