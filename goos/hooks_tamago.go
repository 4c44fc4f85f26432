//go:build tamago

package goos

import "unsafe"

// The heap's place, bytes: addresses that the lower half backs where they are touched, up to a limit of its own. The
// first thread's stack is at their end, and HeapSize leaves out more than it has.
const (
	ramStart = 0x4000_0000
	ramSize  = 0x8000_0000
	HeapSize = ramSize - 1<<20
)

var (
	RamStart       uint = ramStart
	RamSize        uint = ramSize
	RamStackOffset uint = 64

	Bloc uintptr = ramStart
)

// The hooks, see the runtime's own documentation of package goos.
var (
	Hwinit0 = func() {}
	Hwinit1 = func() {}
	InitRNG = func() {}
	Exit    = exit

	// The runtime asks nothing of these: what would have is Keel's, as is what would call Printk.
	Idle   func(until int64)
	Printk func(c byte)
	Task   func(sp, mp, gp, fn unsafe.Pointer)
)

// CPUInit is the first code of the runtime.
func CPUInit()

func exit(code int32)

// Nanotime is CLOCK_MONOTONIC in ns.
func Nanotime() int64

// Walltime is CLOCK_REALTIME in ns since 1970.
func Walltime() int64

//go:noescape
func getrandom(p *byte, n int) int

// GetRandomData fills b, by as many calls as that takes.
func GetRandomData(b []byte) {
	for len(b) > 0 {
		b = b[getrandom(unsafe.SliceData(b), len(b)):]
	}
}

// What follows is for the functions of package runtime that are Keel's: Linux's system calls, without their errors.

// Write writes n bytes at buf to a file, and returns how many it has written.
//
//go:noescape
func Write(fd uintptr, buf unsafe.Pointer, n int32) int32

// GiveBack takes the memory from n bytes of address space at v.
func GiveBack(v unsafe.Pointer, n uintptr)

// CPUs is a bit for each processor.
func CPUs() uint64

// SetTLS sets the first thread's FS base to the end of the word at tls.
func SetTLS(tls unsafe.Pointer)

// Clone starts a thread on a stack that ends at sp, with its g in the word at tls. It runs fn.
//
//go:noescape
func Clone(sp, tls, gp, fn unsafe.Pointer)

// ExitThread ends the thread, after it has set *wait to 0.
func ExitThread(wait *uint32)

// ProcID is the thread's number.
func ProcID() uint64

// SetSignalStack gives the thread a stack of n bytes for signals; 0 takes it away.
//
//go:noescape
func SetSignalStack(lo unsafe.Pointer, n uintptr)

// SetSignalMask keeps from the thread those signals whose bits, that of signal n being n-1, are set.
func SetSignalMask(mask uint64)

// Preempted sends SIGURG to the thread with number id: it calls the function at Preempt, of Go's own ABI, with its g and the
// signal's context, on its stack for signals.
func Preempted(id uint64)

var Preempt uintptr

// A Context is a signal's, a ucontext: where what it interrupted goes on.
type Context struct {
	_        [20]uint64
	RSP, RIP uintptr
}

// Sleep waits for ns.
func Sleep(ns int64)

// Yield lets other threads run.
func Yield()

// FutexWait waits while *addr is val, for ns at most, or without end where ns is negative. It may return at any time.
//
//go:noescape
func FutexWait(addr *uint32, val uint32, ns int64)

// FutexWake wakes a thread that waits for addr.
//
//go:noescape
func FutexWake(addr *uint32)

// What the console says where the hooks can't go on.
var (
	noHeap   = "goos: the lower half doesn't map the heap\n"
	noThread = "goos: failed to make a thread: the lower half has none left, or no memory for one\n"
)

// A fault of Go code is a panic, and one in the heap, all of which is there, says that the lower half has no memory for it:
// signal makes it look as if the instruction had called one of these.

//go:linkname panicmem runtime.panicmem
func panicmem()

// sigpanic has the name of what the stock runtime calls then, by which stacks are read: the caller stopped at the fault,
// where nothing says which of its variables are alive, and goes on at its deferred calls, if at all.
//
//go:linkname sigpanic runtime.sigpanic
func sigpanic() { panicmem() }

//go:linkname throw runtime.throw
func throw(s string)

func noMemory() { throw("out of memory") }

// Both for assembly, which can't name functions of Go's own ABI here.
var (
	sigpanicFunc = sigpanic
	noMemoryFunc = noMemory
)
