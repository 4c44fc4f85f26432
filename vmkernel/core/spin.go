package core

// A runtime may have its threads wait for each other by spinning, as TamaGo's does: its semaphore is a loop over a
// word, and no call tells that the word has changed. sys.Spins says where that loop is. A thread that an interrupt
// finds there sleeps for a while instead, which the loop doesn't notice, and longer each time that it is found there
// again. So it takes neither time from guests nor, of an idle processor, more than a hundredth.

// spins is the loop's code, [lo, hi). Package sys sets it once, before there is a second thread.
var spins struct{ lo, hi uint64 }

const (
	spinLook  = 10_000    // ns after which a thread is looked at that was found in the loop last time
	spinFirst = 20_000    // ns that a thread sleeps which is found there for the first time
	spinMost  = 1_000_000 // and the longest, and after which any thread is looked at
)

// spinning says whether the interrupted current thread waits by spinning.
func (w *world) spinning() bool {
	return w.ctx.full != 0 && w.ctx.rip-spins.lo < spins.hi-spins.lo
}

// sleepSpinning has the current thread, which an interrupt found in the loop, sleep.
func (w *world) sleepSpinning() {
	w.spun = min(max(2*w.spun, spinFirst), spinMost)
	sched.lock()
	if !w.signalled() {
		w.block(waitSpin, nanotime()+w.spun)
	}
	sched.unlock()
}

// spinDue is when the thread that runs from now on is to be looked at, 0 for never.
func (w *world) spinDue(now uint64) uint64 {
	switch {
	case spins.hi == 0:
		return 0
	case w.spun != 0:
		return now + spinLook
	}
	return now + spinMost
}

// callSpins is sys.NumSpins.
func callSpins(lo, hi uint64) int64 {
	spins.lo, spins.hi = lo, hi
	return 0
}
