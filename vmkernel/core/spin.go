package core

import (
	"sync/atomic"

	"keel/vmkernel/linux"
)

// A runtime may have its threads wait for each other by spinning, as TamaGo's does: its semaphore is a loop over a
// word of the thread's, and no call tells that the word has changed. sys.Spins says where loop and word are. A thread
// that an interrupt finds in the loop sleeps instead, which the loop doesn't notice: until its word isn't zero when the
// thread that may have changed it is next looked at or gives its processor up, and for spinMost at most where the loop
// watches the time as well. So it takes neither time from guests nor, of an idle processor, more than a hundredth, and a
// thousand that wait for their words alone take none.

// spinLoop is the code [lo, hi) of a loop, and whether it watches the time.
type spinLoop struct {
	lo, hi uint64
	timed  bool
}

// spins is the n loops, none where no thread spins, where the code of the clock begins that they may watch, and the
// distance of a thread's word from its FS base. It is set before there is a second thread.
var spins struct {
	n           uint64
	loops       [2]spinLoop
	clock, word uint64
}

// clockSize is at least as much code as vdsoRealtime has, and no more than is kept for it, bytes.
const clockSize = 64



// spinners are the threads that sleep for that. The scheduler's lock protects it.
var spinners spinnerList

const (
	spinWoken = 1          // in world.spun: it has been woken
	spinLook  = 10_000     // ns after which a thread is looked at that has been woken, or was found in the loop last time
	spinFirst = 20_000     // ns that a thread sleeps which is found there for the first time
	spinMost  = 64_000_000 // and the longest
	workLook  = 1_000_000  // and after which any thread is looked at
)

// spinning is the loop in which the interrupted current thread waits by spinning, itself or in the clock that the loop
// has called, and nil where it doesn't.
func (w *world) spinning() *spinLoop {
	if w.ctx.full == 0 || spins.n == 0 {
		return nil
	}
	rip := w.ctx.rip
	if rip-spins.clock < clockSize {
		rip = *at[uint64](uintptr(w.ctx.gpr[4]))
	}
	for i := range spins.n {
		if l := &spins.loops[i]; rip-l.lo < l.hi-l.lo {
			return l
		}
	}
	return nil
}

// word is that of a thread which was found in the loop. The loop has touched it, so it is there.
func (w *world) word() *uint32 { return at[uint32](uintptr(w.ctx.fsBase + spins.word)) }

// sleepSpinning has the current thread, which an interrupt found in the loop l, sleep.
func (w *world) sleepSpinning(l *spinLoop) {
	first := w.spun < spinFirst
	w.spun = min(max(2*w.spun, spinFirst), spinMost)
	sched.lock()
	if !w.signalled() && atomic.LoadUint32(w.word()) == 0 {
		if first {
			hint()
		}
		spinners.add(w)
		deadline := uint64(0)
		if l.timed {
			deadline = nanotime() + w.spun
		}
		w.block(waitSpin, deadline)
	} else {
		w.spun = 0 // it leaves the loop by itself, if the next look doesn't come before it has got to that
	}
	sched.unlock()
}

// wakeSpinners wakes those whose words have changed. The lock is held.
func wakeSpinners() {
	for i := uint32(0); i < spinners.n; {
		if e := spinners.at(i); atomic.LoadUint32(at[uint32](e.word)) != 0 {
			w := worldAt(e.id)
			spinners.remove(w) // another is at i then
			w.spun = spinWoken
			wake(w)
		} else {
			i++
		}
	}
}

// spinDue is when the thread that runs from now on is to be looked at, 0 for never.
func (w *world) spinDue(now uint64) uint64 {
	switch {
	case spins.n == 0:
		return 0
	case w.spun != 0:
		return now + spinLook
	case idlers != 0:
		return now + idleLook
	}
	return now + workLook
}

// pacedOnly says whether c is wanted by nobody but threads of a paced system group, of a runtime that spins. A run that
// keeps its P needn't wait for those: the policy says when one is due. Giving the P away instead costs turns of threads,
// which pacing makes rare, so that it would go on for as long as the guest has exits. The scheduler's lock is held.
func pacedOnly(c *cpu) bool { return spins.n != 0 && sched.Pacing() && sched.OnlyThreads(c.id) }

// callSpins is sys.NumSpins.
func callSpins(lo, hi, word, timed uint64) int64 {
	if spins.n == uint64(len(spins.loops)) {
		return -int64(linux.ENOSPC)
	}
	if spins.n == 0 {
		spinners.prepare()
	}
	spins.loops[spins.n] = spinLoop{lo, hi, timed != 0}
	spins.clock, spins.word = 0, word
	spins.n++
	return 0
}
