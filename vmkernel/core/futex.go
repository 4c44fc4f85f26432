package core

import "keel/vmkernel/linux"

// Threads that wait on a futex stand in the bucket of its address, first come first served.
const futexBuckets = 64

var futexes [futexBuckets]struct{ head, tail uint32 }

func futexBucket(addr uintptr) *struct{ head, tail uint32 } {
	return &futexes[(addr>>2^addr>>12)%futexBuckets]
}

const (
	futexWait    = 0
	futexWake    = 1
	futexPrivate = 128
)

// sysFutex is futex(2), FUTEX_WAIT with a relative timeout and FUTEX_WAKE.
func (w *world) sysFutex(addr uintptr, op, val uint64, timeout uintptr) int64 {
	if addr&3 != 0 || !ensure(addr, 4, false) {
		return -int64(linux.EFAULT)
	}
	switch op &^ futexPrivate {
	case futexWait:
		var deadline uint64
		if timeout != 0 {
			ns, errno := readTimespec(timeout)
			if errno != 0 {
				return errno
			}
			deadline = nanotime() + ns
		}
		sched.lock()
		if *at[uint32](addr) != uint32(val) {
			sched.unlock()
			return -int64(linux.EAGAIN)
		}
		if w.signalled() {
			sched.unlock()
			return -int64(linux.EINTR)
		}
		b := futexBucket(addr)
		w.futex, w.waitNext = addr, 0
		if b.tail != 0 {
			worldAt(b.tail).waitNext = w.id
		} else {
			b.head = w.id
		}
		b.tail = w.id
		w.block(waitFutex, deadline)
		sched.unlock()
		return resultSet
	case futexWake:
		sched.lock()
		n := wakeFutex(addr, val&0x7FFFFFFF)
		sched.unlock()
		return n
	}
	return -int64(linux.ENOSYS)
}

func wakeFutex(addr uintptr, max uint64) int64 {
	b := futexBucket(addr)
	n := uint64(0)
	prev := uint32(0)
	for id := b.head; id != 0 && n < max; {
		w := worldAt(id)
		next := w.waitNext
		if w.futex != addr {
			prev, id = id, next
			continue
		}
		unlinkFutex(w, prev)
		w.ctx.gpr[0] = 0
		wake(w)
		n++
		id = next
	}
	return int64(n)
}

// unlinkFutex takes w, which follows prev (0: none), out of its bucket.
func unlinkFutex(w *world, prev uint32) {
	b := futexBucket(w.futex)
	if prev == 0 {
		b.head = w.waitNext
	} else {
		worldAt(prev).waitNext = w.waitNext
	}
	if b.tail == w.id {
		b.tail = prev
	}
	w.waitNext, w.futex = 0, 0
}

// leaveFutex takes w out of the bucket that it waits in.
func leaveFutex(w *world) {
	prev := uint32(0)
	for id := futexBucket(w.futex).head; id != 0; id = worldAt(id).waitNext {
		if id == w.id {
			unlinkFutex(w, prev)
			return
		}
		prev = id
	}
}

// timeout is called when a blocked world's time has come: it undoes the wait and sets the result.
func (w *world) timeout() {
	switch w.wait {
	case waitFutex:
		leaveFutex(w)
		w.setResult(-int64(linux.ETIMEDOUT))
	case waitSleep, waitEpoll:
		if w.wait == waitEpoll {
			leaveList(&event.waiters, w)
		}
		w.setResult(0)
	}
}

func (w *world) setResult(v int64) { w.ctx.gpr[0] = uint64(v) }

// readTimespec is a struct timespec as ns.
func readTimespec(addr uintptr) (ns uint64, errno int64) {
	if !ensure(addr, 16, false) {
		return 0, -int64(linux.EFAULT)
	}
	sec, nsec := *at[int64](addr), *at[int64](addr + 8)
	if sec < 0 || nsec < 0 || nsec >= 1e9 {
		return 0, -int64(linux.EINVAL)
	}
	if sec > 1<<33 {
		sec = 1 << 33
	}
	return uint64(sec)*1e9 + uint64(nsec), 0
}
