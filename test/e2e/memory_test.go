package e2e

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"keel/test/guest/hostile"
	"keel/vmkernel/seed"
)

// What the host may take of a machine of 4 GiB at rest, beside the seed's files, and for each idle VM
// beyond the VM's own memory, in bytes.
const (
	mustRest   = 64 * mib
	mustIdleVM = 2 * mib
)

var (
	usedAtRest  = regexp.MustCompile(`^level=INFO msg=ready .* used=(\d+)([KMG])iB$`)
	usedWithVMs = regexp.MustCompile(`^level=INFO msg="vm figures" vm=probe .* used=(\d+)([KMG])iB$`)
)

// used waits for a line and returns the size that it gives, in bytes.
func (r run) used(line *regexp.Regexp) uint64 {
	r.t.Helper()
	m, err := r.WaitFor(r.t.Context(), line)
	if err != nil {
		r.t.Fatal(err)
	}
	n, err := strconv.ParseUint(m[1], 10, 40)
	if err != nil {
		r.t.Fatal(err)
	}
	return n << map[string]int{"K": 10, "M": 20, "G": 30}[m[2]]
}

// TestHostTakesLittleMemory weighs the host at rest, and with VMs that have halted, by what it says it
// takes for itself. What it takes once for all VMs counts as theirs.
func TestHostTakesLittleMemory(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		host host
		idle int // VMs
	}{
		{host{emulator: qemu, memMiB: 4096, limit: 3 * time.Minute}, 1},
		{host{emulator: qemu, memMiB: 4096, limit: 3 * time.Minute}, 5},
		{host{emulator: haswell, memMiB: 4096, limit: 3 * time.Minute}, 5},
	} {
		t.Run(fmt.Sprintf("%s/%d idle", c.host.emulator, c.idle), func(t *testing.T) {
			var vms []seed.VM
			for i := range c.idle {
				vms = append(vms, metal(fmt.Sprintf("idle-%d", i), "z"))
			}
			probe := metal("probe", "x") // the last to start: the others have halted when it ends
			probe.Autostart.Order, probe.Autostart.Delay = 1, seed.Duration(2*time.Second)
			vms = append(vms, probe)
			r := c.host.boot(t, pack(t, vms, files(t, fileMB)))
			rest := r.used(usedAtRest)
			if rest > mustRest || rest < mib {
				t.Errorf("%d bytes are used at rest, must be at most %d, and 1 MiB hold the image", rest, mustRest)
			}
			with := r.used(usedWithVMs)
			each := (int64(with) - int64(rest)) / int64(c.idle+1)
			if each > mustIdleVM || each < 4096*10 {
				t.Errorf("%d bytes are used for each idle VM, must be at most %d, and 10 pages hold a virtual processor", each, mustIdleVM)
			}
			t.Logf("at rest %d KiB, for each of %d VMs %d KiB", rest>>10, c.idle+1, each>>10)
			r.wantNoErrors()
			if stopped := r.byVM(stoppedLine); len(stopped) > 1 || len(stopped["probe"]) > 0 && stopped["probe"][0] != exitCode(hostile.ExitSurvived) {
				t.Errorf("stopped: %v, want probe alone, for %s", stopped, exitCode(hostile.ExitSurvived))
			}
		})
	}
}
