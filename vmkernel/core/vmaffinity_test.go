package core

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"keel/vmkernel/sys"
)

// TestWhoseProcessorIsGivenAwayWakesElsewhere has threads, and virtual processors of two machines, sleep on a processor that becomes
// one machine's.
func TestWhoseProcessorIsGivenAwayWakesElsewhere(t *testing.T) {
	all := makeWorlds(t, 300)
	items := new([maxWorlds]uint32)
	cpus[1].timers.items = addrOf(items)
	mine, others := new(machine), new(machine)
	mine.id = 3
	a, b := &vcpu{machine: addrOf(mine)}, &vcpu{machine: addrOf(others)}
	t.Cleanup(func() {
		cpus[1].timers, cpus[1].owner, cpus[0].kicked = timerHeap{}, 0, 0
		runtime.KeepAlive([]any{items, mine, others, a, b})
	})
	cpus[0].kicked = 1 // so that no interrupt is sent
	for range 50 {
		cpus[1].owner = 0
		for i, w := range all {
			switch w.cpu = uint32(rand.IntN(2)); i % 3 {
			case 1:
				w.kind, w.vcpu = kindVCPU, addrOf(a)
			case 2:
				w.kind, w.vcpu = kindVCPU, addrOf(b)
			}
			startTimer(w, 1+rand.Uint64N(100))
		}
		late := all[0] // a thread that goes to sleep there afterwards: its virtual processor's exit led it there
		cancelTimer(late)
		cpus[1].owner = mine.id + 1
		cpus[1].evict(mine)
		late.cpu = 1
		startTimer(late, 50)
		woken := 0
		for c := range 2 {
			last := uint64(0)
			for h := &cpus[c].timers; h.n > 0; woken++ {
				w := h.first()
				if w.deadline < last {
					t.Fatalf("processor %d: deadline %d after %d", c, w.deadline, last)
				}
				if last = w.deadline; int(w.cpu) != c || c != sys.HostCPU && !w.belongs(mine) {
					t.Fatalf("world %d is woken on processor %d", w.id, c)
				}
				cancelTimer(w)
			}
		}
		if woken != len(all) {
			t.Fatalf("%d of %d are woken", woken, len(all))
		}
	}
}
