package core

import (
	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
)

// systemCall is entered from assembly with the thread's state saved. Afterwards whatever world is
// to run is resumed.
func systemCall() {
	c := me()
	c.counter.syscalls++
	w := at[world](c.world)
	id := w.id
	if g := &w.ctx.gpr; g[0] == sys.NumVMRun {
		c.vmrun(w, g[7], g[6], g[2])
	} else {
		c.answer(w)
	}
	if c.current != id || c.resched {
		c.dispatch()
	}
}

// answer does what a system call asks: Linux's numbers from the Go runtime, sys's from the rest
// of the upper half. The result goes to RAX.
func (c *cpu) answer(w *world) {
	g := &w.ctx.gpr
	n := g[0]
	a0, a1, a2, a3 := g[7], g[6], g[2], g[10]
	var r int64
	switch n {
	case linux.SYS_CLOCK_GETTIME:
		r = sysClockGettime(a0, uintptr(a1))
	case linux.SYS_FUTEX:
		r = w.sysFutex(uintptr(a0), a1, a2, uintptr(a3))
	case linux.SYS_NANOSLEEP:
		ns, errno := readTimespec(uintptr(a0))
		if r = errno; r == 0 {
			r = w.sleep(ns)
		}
	case linux.SYS_EPOLL_PWAIT:
		r = w.sysEpollWait(uintptr(a1), int64(a2), int32(a3))
	case linux.SYS_SCHED_YIELD:
		c.yield()
	case linux.SYS_TGKILL:
		r = sysTgkill(a1, a2)
	case linux.SYS_RT_SIGRETURN:
		w.sysSigreturn()
		if w.signalled() {
			c.resched = true
		}
		return
	case linux.SYS_RT_SIGPROCMASK:
		r = w.sysSigprocmask(a0, uintptr(a1), uintptr(a2))
	case linux.SYS_RT_SIGACTION:
		r = sysSigaction(a0, uintptr(a1), uintptr(a2), a3)
	case linux.SYS_SIGALTSTACK:
		r = w.sysSigaltstack(uintptr(a0), uintptr(a1))
	case linux.SYS_MMAP:
		r = sysMmap(uintptr(a0), uintptr(a1), a2, a3)
	case linux.SYS_MUNMAP:
		r = sysMunmap(uintptr(a0), uintptr(a1))
	case linux.SYS_MADVISE:
		r = sysMadvise(uintptr(a0), uintptr(a1), a2)
	case linux.SYS_CLONE:
		r = w.sysClone(a0, a1, g[8])
	case linux.SYS_EXIT:
		w.exit()
		return
	case linux.SYS_EXIT_GROUP:
		exitGroup(a0)
	case linux.SYS_ARCH_PRCTL:
		r = w.sysArchPrctl(a0, a1)
	case linux.SYS_SCHED_GETAFFINITY:
		r = sysGetaffinity(a1, uintptr(a2))
	case linux.SYS_GETTID:
		r = int64(w.id)
	case linux.SYS_GETPID:
		r = 1
	case linux.SYS_WRITE:
		r = sysWrite(a0, uintptr(a1), a2)
	case linux.SYS_READ:
		r = sysRead(a0, uintptr(a1), a2)
	case linux.SYS_OPENAT:
		r = -int64(linux.ENOENT)
	case linux.SYS_CLOSE:
	case linux.SYS_FCNTL:
		r = sysFcntl(a0, a1)
	case linux.SYS_PRLIMIT64:
		r = sysPrlimit(uintptr(a3))
	case linux.SYS_EPOLL_CREATE1:
		r = epollFD
	case sysEventfd2:
		r = eventFD
	case linux.SYS_EPOLL_CTL:
		r = sysEpollCtl(a1, a2, uintptr(a3))
	case sysGetrandom:
		r = sysGetrandomInto(uintptr(a0), a1)
	case linux.SYS_PRCTL:
		r = -int64(linux.EINVAL)
	case sys.NumIRQWait:
		r = w.waitIRQ(a0, a1, a2 != 0)
	default:
		if n >= sys.First && n < sys.End {
			r = c.call(w, n, a0, a1, a2, a3)
		} else {
			r = -int64(linux.ENOSYS)
		}
	}
	if r != resultSet {
		w.setResult(r)
	}
}

// resultSet is what a system call returns that has put its result into the context itself, or left
// that to whoever wakes the thread.
const resultSet = -1 << 63

const (
	sysEventfd2  = 290
	sysGetrandom = 318
	epollFD      = 3
	eventFD      = 4
)

// Slack of sleeps, ns. Linux gives 50 µs. The runtime's monitor, which nearly all sleeps of 20 µs or more
// are of, gets more: it sleeps for 20 µs fifty times over whenever processors have become busy again, and
// each time takes some 4,000 ticks from the guest that made them so. What it finds, a P whose thread is
// in a system call for long, waits no more than two such sleeps.
//
// While the system group is paced the monitor sleeps for floodSleep at most, and not for up to 10 ms as it does where it finds
// nothing to do for long: it ends the turns of goroutines that have had 10 ms, and others wait for those, the ones that serve
// guests' exits among them.
const (
	sleepSlack   = 50_000
	monitorSlack = 200_000
	monitorSleep = 20_000
	floodSleep   = 1_000_000
)

// sleep blocks the thread for ns.
func (w *world) sleep(ns uint64) int64 {
	slack := uint64(sleepSlack)
	if ns >= monitorSleep {
		slack = monitorSlack
	}
	sched.lock()
	if w.signalled() {
		sched.unlock()
		return -int64(linux.EINTR)
	}
	if sched.Pacing() && slack == monitorSlack {
		ns = min(ns, floodSleep)
	}
	w.block(waitSleep, nanotime()+ns+slack)
	sched.unlock()
	return resultSet
}

func sysClockGettime(id uint64, ts uintptr) int64 {
	if !ensure(ts, 16, true) {
		return -int64(linux.EFAULT)
	}
	ns := nanotime()
	if id == 0 || id == 5 { // CLOCK_REALTIME, CLOCK_REALTIME_COARSE
		ns += wallOffset
	}
	*at[uint64](ts) = ns / 1e9
	*at[uint64](ts + 8) = ns % 1e9
	return 0
}

func sysTgkill(tid, sig uint64) int64 {
	if sig == 0 || sig > maxSig {
		return -int64(linux.EINVAL)
	}
	if tid == 0 || tid > maxWorlds || worlds[tid] == 0 || worldAt(uint32(tid)).kind != kindThread || worldAt(uint32(tid)).state == stateFree {
		return -int64(linux.ESRCH)
	}
	sendSignal(worldAt(uint32(tid)), int(sig))
	return 0
}

const (
	cloneThread = 0x10000
	cloneSetTLS = 0x80000
	archSetFS   = 0x1002
)

// sysClone is clone(2) for a thread: it goes on where its maker does, on a stack of its own, with
// a zero result.
func (w *world) sysClone(flags, stack, tls uint64) int64 {
	if flags&cloneThread == 0 || stack == 0 {
		return -int64(linux.EINVAL)
	}
	sched.lock()
	n := newWorld(kindThread, sched.system)
	if n == nil {
		sched.unlock()
		return -int64(linux.EAGAIN)
	}
	n.ctx.gpr = w.ctx.gpr
	n.ctx.rip, n.ctx.rflags, n.ctx.fsBase = w.ctx.rip, w.ctx.rflags, w.ctx.fsBase
	n.ctx.full = 0
	n.ctx.gpr[0] = 0
	n.ctx.gpr[4] = stack
	if flags&cloneSetTLS != 0 {
		n.ctx.fsBase = tls
	}
	n.sigMask = w.sigMask
	id := n.id
	wake(n)
	sched.unlock()
	return int64(id)
}

// exit ends the current thread.
func (w *world) exit() {
	sched.lock()
	w.leave()
	w.end(nanotime())
	sched.unlock()
}

// exitGroup is the end of the upper half: exit code 2 after a Go crash, which the runtime has
// reported on the console already.
func exitGroup(code uint64) {
	beginFatal()
	print("the upper half ended code=")
	printDec(code)
	print("\"\n")
	endFatal()
}

func (w *world) sysArchPrctl(op, addr uint64) int64 {
	if op != archSetFS || addr >= spaceHigh {
		return -int64(linux.EINVAL)
	}
	w.ctx.fsBase = addr
	return 0
}

// sysGetaffinity tells the runtime how many processors there are.
func sysGetaffinity(size uint64, mask uintptr) int64 {
	if size < maxCPUs/8 {
		return -int64(linux.EINVAL)
	}
	if !ensure(mask, maxCPUs/8, true) {
		return -int64(linux.EFAULT)
	}
	*at[uint64](mask) = ^uint64(0) >> (64 - uint(nCPUs))
	return maxCPUs / 8
}

// sysWrite serves the console and the runtime's eventfd.
func sysWrite(fd uint64, p uintptr, n uint64) int64 {
	if n == 0 {
		return 0
	}
	// Short writes are written on by the caller, and keep the time with interrupts off short.
	n = min(n, 4096)
	if !ensure(p, uintptr(n), false) {
		return -int64(linux.EFAULT)
	}
	switch fd {
	case 1, 2:
		writeConsole(bytesAt(p, int(n)))
		return int64(n)
	case eventFD:
		if n != 8 {
			return -int64(linux.EINVAL)
		}
		signalEvent(*at[uint64](p))
		return 8
	}
	return -int64(linux.EBADF)
}

func sysRead(fd uint64, p uintptr, n uint64) int64 {
	if fd != eventFD {
		if fd == 0 {
			return 0
		}
		return -int64(linux.EBADF)
	}
	if n < 8 || !ensure(p, 8, true) {
		return -int64(linux.EINVAL)
	}
	sched.lock()
	v := event.count
	event.count = 0
	sched.unlock()
	if v == 0 {
		return -int64(linux.EAGAIN)
	}
	*at[uint64](p) = v
	return 8
}

func sysFcntl(fd, cmd uint64) int64 {
	if fd > eventFD {
		return -int64(linux.EBADF)
	}
	if cmd == linux.F_GETFL {
		return linux.O_RDWR
	}
	return 0
}

func sysPrlimit(old uintptr) int64 {
	if old != 0 {
		if !ensure(old, 16, true) {
			return -int64(linux.EFAULT)
		}
		*at[uint64](old) = 1024
		*at[uint64](old + 8) = 1024
	}
	return 0
}

// event is the runtime's eventfd, the only thing that its epoll ever watches: it interrupts a
// thread that waits for timers.
var event struct {
	count   uint64
	data    uint64
	watched bool
	waiters uint32 // list by world.waitNext
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

func sysEpollCtl(op, fd uint64, ev uintptr) int64 {
	if op != 1 || fd != eventFD || !ensure(ev, 12, false) { // EPOLL_CTL_ADD
		return -int64(linux.EPERM)
	}
	event.data = uint64(*at[uint32](ev + 4)) | uint64(*at[uint32](ev + 8))<<32
	event.watched = true
	return 0
}

// sysEpollWait is epoll_pwait(2) with a timeout in ms; negative waits for ever.
func (w *world) sysEpollWait(events uintptr, max int64, timeout int32) int64 {
	if max < 1 || !ensure(events, 12, true) {
		return -int64(linux.EINVAL)
	}
	sched.lock()
	if event.count != 0 {
		sched.unlock()
		putEvent(events)
		return 1
	}
	if timeout == 0 {
		sched.unlock()
		return 0
	}
	if w.signalled() {
		sched.unlock()
		return -int64(linux.EINTR)
	}
	var deadline uint64
	if timeout > 0 {
		deadline = nanotime() + uint64(timeout)*1e6
	}
	w.epollBuf = events
	w.waitNext = event.waiters
	event.waiters = w.id
	w.block(waitEpoll, deadline)
	sched.unlock()
	return resultSet
}

// putEvent writes a struct epoll_event: EPOLLIN on the eventfd.
func putEvent(p uintptr) {
	*at[uint32](p) = 1
	*at[uint32](p + 4) = uint32(event.data)
	*at[uint32](p + 8) = uint32(event.data >> 32)
}

func signalEvent(n uint64) {
	sched.lock()
	event.count += n
	for event.waiters != 0 {
		w := worldAt(event.waiters)
		event.waiters, w.waitNext = w.waitNext, 0
		putEvent(w.epollBuf)
		w.setResult(1)
		wake(w)
	}
	sched.unlock()
}

// sysGetrandomInto is getrandom(2).
func sysGetrandomInto(p uintptr, n uint64) int64 {
	n = min(n, 4096)
	if !ensure(p, uintptr(n), true) {
		return -int64(linux.EFAULT)
	}
	for i := uint64(0); i < n; {
		v := random()
		for k := 0; k < 8 && i < n; k++ {
			*at[byte](p + uintptr(i)) = byte(v)
			v >>= 8
			i++
		}
	}
	return int64(n)
}
