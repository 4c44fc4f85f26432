package core

import (
	"sync/atomic"

	"keel/arch/amd64"
	"keel/vmkernel/linux"
)

// Signals and their codes, as the Go runtime knows them from Linux.
const (
	sigILL  = 4
	sigTRAP = 5
	sigFPE  = 8
	sigSEGV = 11
	sigURG  = 23
	maxSig  = 64

	segvMapErr = 1
	fpeIntDiv  = 1
	siKernel   = 0x80
	siTkill    = -6

	saOnStack = 0x0800_0000
	saNoDefer = 0x4000_0000

	ssDisable = 2
)

// A sigAction is struct kernel_sigaction.
type sigAction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

// A stackT is stack_t.
type stackT struct {
	sp    uintptr
	flags int32
	_     int32
	size  uintptr
}

// A sigFrame is what a handler finds on its stack: struct rt_sigframe, with the vector registers
// behind it (Linux arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h and ucontext.h).
type sigFrame struct {
	restorer uintptr
	// ucontext
	ucFlags uint64
	ucLink  uint64
	ucStack stackT
	// sigcontext
	r8, r9, r10, r11, r12, r13, r14, r15   uint64
	rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp uint64
	rip, rflags                            uint64
	segments                               uint64
	err, trapno, oldmask, cr2              uint64
	fpstate                                uintptr
	reserved                               [8]uint64
	sigmask                                uint64
	// siginfo
	signo, errno, code, _ int32
	addr                  uint64
	rest                  [13]uint64
	// full of the interrupted context
	full uint64
}

const sigFrameSize = 8 + 16 + 24 + 8*8*2 + 16 + 8 + 32 + 8 + 64 + 8 + 16 + 8 + 104 + 8

var sigActions [maxSig + 1]sigAction

// fault raises a synchronous signal for an exception of the current thread. A thread that can't
// take it (no handler, blocked) is a fatal fault.
func (w *world) fault(sig int, code int32, addr, vector, errCode uint64) {
	if sigActions[sig].handler <= 1 || w.sigMask&(1<<(sig-1)) != 0 || !w.pushSignal(sig, code, addr, vector, errCode) {
		fatalWorld(w, vector, errCode)
	}
}

// sendSignal marks a signal for a thread and makes it take it soon.
func sendSignal(w *world, sig int) {
	sched.lock()
	atomic.OrUint64(&w.sigPending, 1<<(sig-1)) // its processor clears bits without the lock
	switch w.state {
	case stateRunning:
		// Whether it is masked is known there only.
		if c := &cpus[w.cpu]; c != me() {
			c.kick()
		} else {
			c.resched = true
		}
	case stateRunnable:
		sched.Urge(w.node, nanotime())
	case stateBlocked:
		if w.signalled() {
			w.interruptWait()
		}
	}
	sched.unlock()
}

// signalled says whether a signal waits for the thread that it doesn't block. A system call asks,
// with the scheduler's lock held, before it blocks.
func (w *world) signalled() bool { return atomic.LoadUint64(&w.sigPending)&^w.sigMask != 0 }

// interruptWait ends a blocked thread's system call with EINTR. The scheduler's lock is held.
func (w *world) interruptWait() {
	switch w.wait {
	case waitFutex:
		leaveFutex(w)
	case waitEpoll:
		leaveList(&event.waiters, w)
	case waitIRQ:
		leaveIRQ(w)
	case waitSleep:
	default:
		return
	}
	w.setResult(-int64(linux.EINTR))
	wake(w)
}

// deliverSignals prepares the current thread to take its pending signals when it is resumed.
func (w *world) deliverSignals() {
	for w.signalled() {
		set := atomic.LoadUint64(&w.sigPending) &^ w.sigMask
		sig := 1
		for set&1 == 0 {
			set >>= 1
			sig++
		}
		atomic.AndUint64(&w.sigPending, ^uint64(1<<(sig-1)))
		switch sigActions[sig].handler {
		case 0, 1: // SIG_DFL, SIG_IGN: the runtime handles whatever it sends
			continue
		}
		if !w.pushSignal(sig, siTkill, 0, 0, 0) {
			fatalWorld(w, vecGP, uint64(sig))
		}
	}
}

// pushSignal makes a frame on the thread's signal stack and points the thread at its handler.
func (w *world) pushSignal(sig int, code int32, addr, vector, errCode uint64) bool {
	a := &sigActions[sig]
	g := &w.ctx.gpr
	sp := uintptr(g[4]) - 128 // beyond the ABI's red zone
	onAlt := w.altStack.size != 0 && sp-w.altStack.sp < w.altStack.size
	if a.flags&saOnStack != 0 && w.altStack.size != 0 && !onAlt {
		sp = w.altStack.sp + w.altStack.size
	}
	vec := (sp - xsaveSize) &^ 63
	base := (vec-sigFrameSize)&^15 - 8
	if !ensure(base, sp-base, true) {
		return false
	}
	f := at[sigFrame](base)
	f.restorer = a.restorer
	f.ucFlags, f.ucLink = 1, 0
	f.ucStack.sp, f.ucStack.size, f.ucStack.flags = w.altStack.sp, w.altStack.size, 0
	f.rax, f.rcx, f.rdx, f.rbx, f.rsp, f.rbp, f.rsi, f.rdi = g[0], g[1], g[2], g[3], g[4], g[5], g[6], g[7]
	f.r8, f.r9, f.r10, f.r11, f.r12, f.r13, f.r14, f.r15 = g[8], g[9], g[10], g[11], g[12], g[13], g[14], g[15]
	f.rip, f.rflags, f.segments = w.ctx.rip, w.ctx.rflags, amd64.CodeSelector
	f.err, f.trapno, f.oldmask, f.cr2 = errCode, vector, w.sigMask, addr
	f.fpstate = 0
	if w.ctx.full == fullVec {
		f.fpstate = vec
		for i := uintptr(0); i < xsaveSize; i += 8 {
			*at[uint64](vec + i) = *at[uint64](addrOf(&w.ctx.xsave) + i)
		}
	}
	f.sigmask = w.sigMask
	f.signo, f.errno, f.code = int32(sig), 0, code
	f.addr = addr
	if code == siTkill {
		f.addr = 1 // pid, and uid 0
	}
	f.full = w.ctx.full

	w.sigMask |= a.mask
	if a.flags&saNoDefer == 0 {
		w.sigMask |= 1 << (sig - 1)
	}
	g[7] = uint64(sig)
	g[6] = uint64(addrOf(&f.signo))
	g[2] = uint64(addrOf(&f.ucFlags))
	g[0] = 0
	g[4] = uint64(base)
	w.ctx.rip = uint64(a.handler)
	w.ctx.rflags &^= 0x10D00 // RF, OF, DF, TF
	w.ctx.rflags |= 0x202
	w.ctx.full = fullInt
	return true
}

// sysSigreturn is rt_sigreturn(2): the handler's RET has popped the restorer.
func (w *world) sysSigreturn() {
	base := uintptr(w.ctx.gpr[4]) - 8
	if !ensure(base, sigFrameSize, false) {
		fatalWorld(w, vecGP, 0)
	}
	f := at[sigFrame](base)
	g := &w.ctx.gpr
	g[0], g[1], g[2], g[3], g[4], g[5], g[6], g[7] = f.rax, f.rcx, f.rdx, f.rbx, f.rsp, f.rbp, f.rsi, f.rdi
	g[8], g[9], g[10], g[11], g[12], g[13], g[14], g[15] = f.r8, f.r9, f.r10, f.r11, f.r12, f.r13, f.r14, f.r15
	w.ctx.rip = f.rip
	w.ctx.rflags = f.rflags&0xCD5 | 0x202 // status flags and DF
	w.sigMask = f.sigmask
	w.ctx.full = fullInt
	if f.fpstate != 0 && f.fpstate&63 == 0 && ensure(f.fpstate, xsaveSize, false) {
		x := addrOf(&w.ctx.xsave)
		for i := uintptr(0); i < xsaveSize; i += 8 {
			*at[uint64](x + i) = *at[uint64](f.fpstate + i)
		}
		// What XRSTOR would refuse: reserved bits of MXCSR and of the header (SDM 1 13.8).
		*at[uint32](x + 24) &= 0xFFFF
		*at[uint64](x + 512) &= xcr0
		for i := uintptr(8); i < 64; i += 8 {
			*at[uint64](x + 512 + i) = 0
		}
		w.ctx.full = fullVec
	}
}

// sysSigaction is rt_sigaction(2).
func sysSigaction(sig uint64, act, old uintptr, size uint64) int64 {
	if sig == 0 || sig > maxSig || size != 8 {
		return -int64(linux.EINVAL)
	}
	a := &sigActions[sig]
	if old != 0 {
		if !ensure(old, 32, true) {
			return -int64(linux.EFAULT)
		}
		*at[sigAction](old) = *a
	}
	if act != 0 {
		if !ensure(act, 32, false) {
			return -int64(linux.EFAULT)
		}
		*a = *at[sigAction](act)
	}
	return 0
}

// sysSigprocmask is rt_sigprocmask(2).
func (w *world) sysSigprocmask(how uint64, set, old uintptr) int64 {
	if old != 0 {
		if !ensure(old, 8, true) {
			return -int64(linux.EFAULT)
		}
		*at[uint64](old) = w.sigMask
	}
	if set == 0 {
		return 0
	}
	if !ensure(set, 8, false) {
		return -int64(linux.EFAULT)
	}
	m := *at[uint64](set)
	switch how {
	case 0:
		w.sigMask |= m
	case 1:
		w.sigMask &^= m
	case 2:
		w.sigMask = m
	default:
		return -int64(linux.EINVAL)
	}
	if w.signalled() {
		me().resched = true
	}
	return 0
}

// sysSigaltstack is sigaltstack(2).
func (w *world) sysSigaltstack(ss, old uintptr) int64 {
	if old != 0 {
		if !ensure(old, 24, true) {
			return -int64(linux.EFAULT)
		}
		*at[stackT](old) = w.altStack
		if w.altStack.size == 0 {
			at[stackT](old).flags = ssDisable
		}
	}
	if ss != 0 {
		if !ensure(ss, 24, false) {
			return -int64(linux.EFAULT)
		}
		w.altStack = *at[stackT](ss)
		if w.altStack.flags&ssDisable != 0 {
			w.altStack = stackT{}
		}
	}
	return 0
}
