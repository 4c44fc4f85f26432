package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/seed"
)

var (
	workloadBegins = regexp.MustCompile(`^WORKLOAD cpus=(\d+) mem=(\d+)MiB$`)
	workloadFails  = regexp.MustCompile(`^WORKLOAD FAIL|Kernel panic|BUG:|Oops|WARNING: CPU|unchecked MSR|rcu.*stall|soft lockup`)
)

// isTSC says whether a line of the workload's is that the time-stamp counter is Linux's clock.
func isTSC(line string) bool { return strings.HasPrefix(line, "WORKLOAD clock ok source=tsc ") }

// wantWorkload fails the test unless a guest says that it found all in order, with so many
// processors.
func (r run) wantWorkload(vm string, cpus int) {
	r.t.Helper()
	lines := r.guestLines(vm)
	if !slices.Contains(lines, "WORKLOAD PASS") {
		r.t.Errorf("%s did not pass; it said:\n%s", vm, strings.Join(lines, "\n"))
	}
	for _, l := range lines {
		if workloadFails.MatchString(l) {
			r.t.Errorf("%s says: %s", vm, l)
		}
		if m := workloadBegins.FindStringSubmatch(l); m != nil && m[1] != fmt.Sprint(cpus) {
			r.t.Errorf("%s has %s processors, want %d", vm, m[1], cpus)
		}
	}
}

// TestDebianGuestsPassTheirWorkload boots stock Debian kernels with 1, 2, 4 and 8 processors, alone
// and together on fewer, on hosts with 1 to 4: each reaches /init, checks itself and powers off, and
// the host follows.
func TestDebianGuestsPassTheirWorkload(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		host   host
		guests []int // processors of each
	}{
		{host{emulator: qemu, cpus: 1, limit: 3 * time.Minute}, []int{1}},
		{host{emulator: qemu, cpus: 2, limit: 10 * time.Minute}, []int{1, 2, 4}},
		{host{emulator: qemu, cpus: 4, memMiB: 2048, limit: 3 * time.Minute}, []int{2}},
		{host{emulator: qemu, cpus: 3, limit: 10 * time.Minute}, []int{8}},
		{host{emulator: haswell, cpus: 1, limit: 10 * time.Minute}, []int{1}},
		{host{emulator: haswell, cpus: 2, limit: 10 * time.Minute}, []int{2}},
		{host{emulator: skylake, cpus: 4, limit: 10 * time.Minute}, []int{4}},
	} {
		t.Run(fmt.Sprintf("%s/%d processors/guests with %v", c.host.emulator, c.host.cpus, c.guests), func(t *testing.T) {
			if c.host.emulator != qemu {
				t.Parallel()
			}
			var vms []seed.VM
			want := map[string]string{}
			for i, cpus := range c.guests {
				name := fmt.Sprintf("debian-%d-%d", i, cpus)
				vms = append(vms, linux(name, cpus, 128*mib, loud(c.host.emulator)))
				want[name] = "power-off"
			}
			r := c.host.boot(t, pack(t, vms, files(t, fileLinux, fileInitrd)))
			m := r.ready()
			if m[1] != fmt.Sprint(c.host.cpus) || m[3] != c.host.emulator.virt() {
				t.Errorf("%s: want cpus=%d virt=%s", m[0], c.host.cpus, c.host.emulator.virt())
			}
			r.end()
			r.wantReasons(want)
			r.wantNoErrors()
			for i, cpus := range c.guests {
				r.wantWorkload(vms[i].Name, cpus)
				if said := r.guestLines(vms[i].Name); c.host.emulator != qemu && !slices.ContainsFunc(said, isTSC) {
					// Linux gives it up where it differs between processors.
					t.Errorf("%s didn't keep the time-stamp counter as its clock", vms[i].Name)
				}
			}
			for _, l := range r.Lines() {
				if strings.Contains(l, "vm figures") || strings.Contains(l, "WORKLOAD") {
					t.Log(l)
				}
			}
		})
	}
}

// loud has Linux say what it complains of at boot, where the serial port's time costs little.
func loud(e emulator) string {
	if e == qemu {
		return "loglevel=5" // after quiet
	}
	return ""
}

// TestLinuxRebootsByEveryMeans has Linux reset itself by each means that it has; the reason tells
// which.
func TestLinuxRebootsByEveryMeans(t *testing.T) {
	const words = "workload.only=none workload.end=reboot reboot="
	vms := []seed.VM{
		linux("acpi", 1, 128*mib, words+"acpi"),
		linux("kbd", 1, 128*mib, words+"kbd"),
		linux("triple", 1, 128*mib, words+"triple"),
	}
	r := host{emulator: qemu, limit: 3 * time.Minute}.boot(t, pack(t, vms, files(t, fileLinux, fileInitrd)))
	r.end()
	r.wantReasons(map[string]string{
		"acpi":   "reboot (acpi reset)",
		"kbd":    "reboot (keyboard controller)",
		"triple": "reboot (triple fault)",
	})
	r.wantNoErrors()
}
