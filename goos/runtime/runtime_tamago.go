//go:build tamago

// Package runtime has what TamaGo's package runtime gets from Keel, instead of its own under the same names, see package goos. What
// is added begins with keel. Each is what the stock runtime has for Linux, in its own words.
package runtime

import (
	"internal/abi"
	"internal/goarch"
	"internal/runtime/atomic"
	"internal/runtime/sys"
	"runtime/goos"
	"unsafe"
)

// There is a monitor: it takes Ps from threads that are long in a call, and has goroutines make room for others after 10 ms.
const haveSysmon = true

func hwinit0() { goos.SetTLS(unsafe.Pointer(&m0.tls)) }

// osinit has the allocator give addresses from the heap's start on, and not clear what it hasn't used: it is zeros, and not
// backed before it is touched.
func osinit() {
	physPageSize = 4096
	numCPUStartup = int32(sys.OnesCount64(goos.CPUs()))
	goos.Preempt = abi.FuncPCABIInternal(keelPreempt)
	bloc = goos.Bloc
	blocMax = bloc + goos.HeapSize
}

func newosproc(mp *m) {
	goos.Clone(unsafe.Pointer(mp.g0.stack.hi), unsafe.Pointer(&mp.tls), unsafe.Pointer(mp.g0), unsafe.Pointer(abi.FuncPCABI0(mstart)))
}

func minit() {
	mp := getg().m
	mp.procid = goos.ProcID()
	goos.SetSignalStack(unsafe.Pointer(mp.gsignal.stack.lo), mp.gsignal.stack.hi-mp.gsignal.stack.lo)
	goos.SetSignalMask(0) // a thread begins with its maker's, which may be about to exit
}

//go:nosplit
func unminit() {
	getg().m.procid = 0
	goos.SetSignalStack(nil, 0)
}

// exitThread ends a thread, and says at wait that it has left its stack.
func exitThread(wait *atomic.Uint32) { goos.ExitThread((*uint32)(unsafe.Pointer(wait))) }

//go:nosplit
func walltime() (sec int64, nsec int32) {
	ns := goos.Walltime()
	return ns / 1e9, int32(ns % 1e9)
}

//go:nosplit
func usleep(us uint32) { goos.Sleep(int64(us) * 1e3) }

//go:nosplit
func osyield() { goos.Yield() }

//go:nosplit
func osyield_no_g() { goos.Yield() }

// sysUnusedOS gives memory back. What is used again is backed anew, with zeros.
func sysUnusedOS(v unsafe.Pointer, n uintptr) { goos.GiveBack(v, n) }

func needZeroAfterSysUnusedOS() bool { return false }

// syscall is for package syscall, which has write only. A write to the console waits for that.
//
//go:nosplit
func syscall(number, fd, buf, n uintptr) (r1, r2, err uintptr) {
	if number != 1 {
		throw("a system call that isn't write")
	}
	entersyscall()
	r := goos.Write(fd, unsafe.Pointer(buf), int32(n))
	exitsyscall()
	if r < 0 {
		return ^uintptr(0), 0, uintptr(-r)
	}
	return uintptr(r), 0, 0
}

//go:nosplit
func write1(fd uintptr, buf unsafe.Pointer, n int32) int32 { return goos.Write(fd, buf, n) }

// sigblock keeps signals from a thread that is about to leave its stacks.
//
//go:nosplit
func sigblock(exiting bool) {
	if exiting {
		goos.SetSignalMask(^uint64(0))
	}
}

const preemptMSupported = true

func preemptM(mp *m) {
	if mp.signalPending.CompareAndSwap(0, 1) {
		goos.Preempted(mp.procid)
	}
}

// keelPreempt is the signal's handler, which interrupted gp and has the context c: where gp may stop there, it goes on as if it had
// called asyncPreempt.
//
//go:nosplit
//go:nowritebarrierrec
func keelPreempt(gp *g, c *goos.Context) {
	mp := gp.m
	setg(mp.gsignal)
	if wantAsyncPreempt(gp) {
		if ok, pc := isAsyncSafePoint(gp, c.RIP, c.RSP, 0); ok {
			c.RSP -= goarch.PtrSize
			*(*uintptr)(unsafe.Pointer(c.RSP)) = pc
			c.RIP = abi.FuncPCABI0(asyncPreempt)
		}
	}
	mp.preemptGen.Add(1)
	mp.signalPending.Store(0)
	setg(gp)
}

// A thread waits for its semaphore's count, which semawakeup adds to, as futex(2) has it.
//
//go:nosplit
func semasleep(ns int64) int {
	count := &getg().m.waitsemacount
	until := int64(0)
	if ns >= 0 {
		until = nanotime() + ns
	}
	for {
		if n := atomic.Load(count); n > 0 {
			if atomic.Cas(count, n, n-1) {
				return 0
			}
			continue
		}
		left := int64(-1)
		if ns >= 0 {
			if left = until - nanotime(); left <= 0 {
				return -1
			}
		}
		goos.FutexWait(count, 0, left)
	}
}

//go:nosplit
func semawakeup(mp *m) {
	atomic.Xadd(&mp.waitsemacount, 1)
	goos.FutexWake(&mp.waitsemacount)
}

// beforeIdle has nothing to do: a thread without work gives its P back and waits for its semaphore, or as netpoll.
func beforeIdle(now, pollUntil int64) (*g, bool) { return nil, false }

// What is polled is timers only: a thread waits until the first, or until it is told of an earlier one.

var keelPollBroken uint32

func netpollBreak() {
	if atomic.Cas(&keelPollBroken, 0, 1) {
		goos.FutexWake(&keelPollBroken)
	}
}

func netpoll(delay int64) (gList, int32) {
	if delay != 0 {
		goos.FutexWait(&keelPollBroken, 0, delay)
		atomic.Store(&keelPollBroken, 0)
	}
	return gList{}, 0
}
