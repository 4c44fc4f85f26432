package core

import "sync/atomic"

// A runtime may keep a P for a thread that has found nothing to do, as TamaGo's does: the thread calls sys.NumIdle
// then, and no call ever says that there is work again. So the lower half has such threads look whenever there may be
// some: a thread has begun to wait by spinning (it may have left its goroutine to whoever has a P, or wait for all
// threads to stop), or goes into a call without its P (which may have timers), or has been at work for idleLook. They
// look one after another, each if the one before found nothing: all those that work on are not disturbed.

// idlers begins the list of threads in that call, which goes on by waitNext, and hints counts the times at which there may
// have come work. The scheduler's lock protects them.
var (
	idlers uint32
	hints  uint64
)

const idleLook = 100_000 // ns

// idle is sys.NumIdle, until a time by CLOCK_REALTIME, 0 for any.
func (w *world) idle(until uint64) int64 {
	deadline := uint64(0)
	if until != 0 {
		deadline = until - atomic.LoadUint64(&wallOffset)
		if int64(deadline-nanotime()) <= 0 {
			return 0
		}
	}
	sched.lock()
	if w.hinted != hints || w.signalled() {
		w.hinted = hints
		sched.unlock()
		return 0
	}
	hintNext()
	w.waitNext, idlers = idlers, w.id
	w.block(waitIdle, deadline)
	sched.unlock()
	return resultSet
}

// hint has threads without work look for some. The lock is held.
func hint() {
	if spins.n != 0 {
		hints++
		hintNext()
	}
}

// hintNext wakes a thread that hasn't looked since the last hint. The lock is held.
func hintNext() {
	for id := idlers; id != 0; id = worldAt(id).waitNext {
		if w := worldAt(id); w.hinted != hints {
			w.leaveIdle()
			wake(w)
			return
		}
	}
}

// leaveIdle ends w's wait. The lock is held.
func (w *world) leaveIdle() {
	leaveList(&idlers, w)
	w.hinted = hints
	w.setResult(0)
}

// leaveList takes w out of a list that goes on by waitNext. The lock is held.
func leaveList(first *uint32, w *world) {
	for p := first; *p != 0; p = &worldAt(*p).waitNext {
		if *p == w.id {
			*p, w.waitNext = w.waitNext, 0
			return
		}
	}
}
