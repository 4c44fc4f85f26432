package e2e

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/seed"
)

var reported = regexp.MustCompile(`msg="vm figures" vm=balloon .*balloon\.reported=(\d+)`)

// TestGuestsGiveFreeMemoryBackAndGetItAgain has a stock Debian kernel with its own drivers report its free pages, which
// the host takes, and then use nearly all of its memory: what comes back is zeroed and keeps what is written to it. In
// QEMU a second guest, without the drivers, runs beside it on memory that the first may have had.
func TestGuestsGiveFreeMemoryBackAndGetItAgain(t *testing.T) {
	t.Parallel()
	for _, h := range []host{
		{emulator: qemu, cpus: 2, limit: 4 * time.Minute},
		{emulator: haswell, cpus: 2, limit: 6 * time.Minute},
	} {
		t.Run(fmt.Sprint(h.emulator), func(t *testing.T) {
			balloon := linux("balloon", 2, 192*mib, "workload.only=balloon,memory")
			balloon.Boot.Direct.Initrd = fileBalloon
			vms, want := []seed.VM{balloon}, map[string]string{"balloon": "power-off"}
			if h.emulator == qemu { // two take long in Bochs
				other := linux("other", 1, 128*mib, "workload.only=memory")
				other.Autostart.Order = 1
				vms, want = append(vms, other), map[string]string{"balloon": "power-off", "other": "power-off"}
			}
			r := h.boot(t, pack(t, vms, files(t, fileLinux, fileInitrd, fileBalloon)))
			r.end()
			r.wantReasons(want)
			r.wantNoErrors()
			r.wantWorkload("balloon", 2)
			if h.emulator == qemu {
				r.wantWorkload("other", 1)
			}
			for _, l := range r.Lines() {
				if m := reported.FindStringSubmatch(l); m != nil {
					n, _ := strconv.ParseUint(m[1], 10, 64)
					if n < 64*mib {
						t.Errorf("%d MiB were given back, want 64 at least", n/mib)
					}
					return
				}
			}
			t.Error("no memory was given back")
		})
	}
}

// TestGuestsGiveBackPartsOfAGiB has a guest that was given its first GiB in one page, all of it being reserved, report what is free
// of that, and use it again.
func TestGuestsGiveBackPartsOfAGiB(t *testing.T) {
	v := linux("balloon", 1, 1152*mib, "workload.only=balloon,memory")
	v.Boot.Direct.Initrd, v.Memory.Reservation = fileBalloon, v.Memory.Size
	r := host{emulator: qemu, cpus: 2, memMiB: 2304, limit: 5 * time.Minute}.boot(t, pack(t, []seed.VM{v}, files(t, fileLinux, fileBalloon)))
	r.end()
	r.wantReasons(map[string]string{"balloon": "power-off"})
	r.wantNoErrors()
	r.wantWorkload("balloon", 1)
	for _, l := range r.Lines() {
		if strings.Contains(l, "stays taken") {
			t.Error(l)
		}
		if m := reported.FindStringSubmatch(l); m != nil {
			if n, _ := strconv.ParseUint(m[1], 10, 64); n < 768*mib {
				t.Errorf("%d MiB were given back: %s", n/mib, l)
			}
			return
		}
	}
	t.Errorf("no figures:\n%s", r.Tail(20))
}
