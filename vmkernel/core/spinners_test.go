package core

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"unsafe"
)

// TestSpinnersAreInTheListUntilTheyLeave adds and removes threads at random, and looks each time that those in the list are the right
// ones, each with its word.
func TestSpinnersAreInTheListUntilTheyLeave(t *testing.T) {
	if unsafe.Sizeof(spinner{}) != spinnerSize {
		t.Fatalf("a spinner has %d bytes", unsafe.Sizeof(spinner{}))
	}
	all := makeWorlds(t, 100)
	words := make([]uint32, len(all)+1)
	for _, w := range all {
		w.ctx.fsBase = uint64(addrOf(&words[w.id]))
	}
	items := make([]spinner, len(all))
	t.Cleanup(func() { runtime.KeepAlive(words); runtime.KeepAlive(items) }) // only addresses of them are left
	l := spinnerList{items: addrOf(&items[0])}
	in := map[uint32]bool{}
	for range 10_000 {
		w := all[rand.IntN(len(all))]
		if in[w.id] {
			l.remove(w)
			delete(in, w.id)
		} else {
			l.add(w)
			in[w.id] = true
		}
		if int(l.n) != len(in) {
			t.Fatalf("%d in the list, want %d", l.n, len(in))
		}
		for i := range l.n {
			if s := l.at(i); !in[s.id] || worldAt(s.id).waitNext != i || s.word != addrOf(&words[s.id]) {
				t.Fatalf("place %d has %+v, whose thread is at %d", i, *s, worldAt(s.id).waitNext)
			}
		}
	}
}

// TestOnlySpinnersWithAWordAreWoken wakes those whose words aren't zero, the first and the last among them, and no others.
func TestOnlySpinnersWithAWordAreWoken(t *testing.T) {
	all := makeWorlds(t, 5)
	words := make([]uint32, len(all)+1)
	items := make([]spinner, len(all))
	spinners = spinnerList{items: addrOf(&items[0])}
	t.Cleanup(func() { spinners = spinnerList{}; runtime.KeepAlive(items) })
	for _, w := range all {
		w.ctx.fsBase, w.state, w.wait = uint64(addrOf(&words[w.id])), stateRunnable, waitSpin // wake leaves what runs alone
		spinners.add(w)
	}
	for _, id := range []uint32{1, 2, 5} {
		words[id] = 1
	}
	wakeSpinners()
	for _, w := range all {
		if woken := w.spun == spinWoken; woken != (words[w.id] != 0) {
			t.Errorf("thread %d, with a word of %d: woken is %v", w.id, words[w.id], woken)
		}
	}
	if spinners.n != 2 {
		t.Errorf("%d are in the list, want 2", spinners.n)
	}
}
