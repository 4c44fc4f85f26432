package core

import (
	"math/rand/v2"
	"runtime"
	"testing"
)

// makeWorlds puts n worlds on the heap and returns what keeps them there.
func makeWorlds(t *testing.T, n int) []*world {
	all := make([]*world, n)
	for i := range all {
		all[i] = &world{id: uint32(i + 1), kind: kindThread, state: stateBlocked}
		worlds[i+1] = addrOf(all[i])
	}
	items := new([maxWorlds]uint32)
	cpus[0].timers.items = addrOf(items)
	t.Cleanup(func() {
		clear(worlds[:])
		cpus[0].timers = timerHeap{}
		runtime.KeepAlive(all)
		runtime.KeepAlive(items)
	})
	return all
}

func TestTimersExpireInOrderWhateverIsCancelled(t *testing.T) {
	all := makeWorlds(t, 300)
	h := &cpus[0].timers
	for range 50 {
		want := map[uint32]bool{}
		for _, w := range all {
			startTimer(w, 1+rand.Uint64N(100))
			want[w.id] = true
		}
		for _, i := range rand.Perm(len(all))[:100] {
			cancelTimer(all[i])
			cancelTimer(all[i]) // once more does nothing
			delete(want, all[i].id)
		}
		last := uint64(0)
		for h.n > 0 {
			w := h.first()
			if w.deadline < last {
				t.Fatalf("deadline %d after %d", w.deadline, last)
			}
			if !want[w.id] {
				t.Fatalf("world %d expires twice or after it was cancelled", w.id)
			}
			delete(want, w.id)
			last = w.deadline
			cancelTimer(w)
		}
		if len(want) != 0 {
			t.Fatalf("%d timers were lost", len(want))
		}
	}
}

func TestLeavingAFutexKeepsTheOthers(t *testing.T) {
	for leaver := range 3 {
		all := makeWorlds(t, 3)
		const addr = 0x1234_5678
		b := futexBucket(addr)
		for i, w := range all {
			w.futex, w.waitNext = addr, 0
			if b.tail != 0 {
				worldAt(b.tail).waitNext = w.id
			} else {
				b.head = w.id
			}
			b.tail = w.id
			_ = i
		}
		leaveFutex(all[leaver])
		var left []uint32
		last := uint32(0)
		for id := b.head; id != 0; id = worldAt(id).waitNext {
			left = append(left, id)
			last = id
		}
		if len(left) != 2 || b.tail != last {
			t.Errorf("after world %d left: %v, tail %d", leaver+1, left, b.tail)
		}
		b.head, b.tail = 0, 0
	}
}
