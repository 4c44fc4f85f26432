package core

// A runtime may have no monitor of its own that would take a P from a goroutine which has had it for long, as TamaGo's
// hasn't. Such a runtime's threads spin, so that each is looked at every workLook while it works: one that has worked for
// sliceNS is sent SIGURG, by which the stock runtime's monitor does the same. What the handler does is package goos's.

const sliceNS = 10_000_000 // as the stock runtime's

// worked looks whether the interrupted current thread, which was found at work, has worked for long.
func (w *world) worked() {
	if spins.n == 0 || w.ctx.full == 0 {
		return
	}
	now := nanotime()
	if now < w.began+sliceNS {
		return
	}
	w.began = now
	// It mustn't be marked pending: that ends whatever the thread waits in next. And without a stack of its own for
	// signals a goroutine's would have to do, which has no room for it.
	if sigActions[sigURG].handler > 1 && w.sigMask&(1<<(sigURG-1)) == 0 && w.altStack.size != 0 {
		w.pushSignal(sigURG, siTkill, 0, 0, 0)
	}
}
