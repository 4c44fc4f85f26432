//go:build tamago

package goos

import "unsafe"

// The heap's place, bytes: addresses that the lower half backs where they are touched, up to a limit of its own. The
// first thread's stack is at their end.
var (
	RamStart       uint = 0x4000_0000
	RamSize        uint = 0x8000_0000
	RamStackOffset uint = 64

	Bloc = uintptr(RamStart)
)

// The hooks, see the runtime's own documentation of package goos.
var (
	Hwinit0 = hwinit0
	Hwinit1 = func() {}
	InitRNG = heapIsZeroed
	Exit    = exit
	Idle    = idle
	ProcID  = procID
	Task    = task
)

// CPUInit is the first code of the runtime.
func CPUInit()

func hwinit0()
func exit(code int32)
func procID() uint64

// Nanotime is in ns since 1970 by the time of day, and so what timers go by as well. Setting that moves it: forward by any
// step, after which what has become due is due at once, and back by up to a minute (sys.SetClock).
func Nanotime() int64

// Printk writes a byte to the console.
func Printk(c byte)

//go:noescape
func getrandom(p *byte, n int) int

// GetRandomData fills b, by as many calls as that takes.
func GetRandomData(b []byte) {
	for len(b) > 0 {
		b = b[getrandom(unsafe.SliceData(b), len(b)):]
	}
}

// idle waits until a time by Nanotime, 0 for any, or until there may be work.
func idle(until int64)

// stackSize is what the runtime allocates for a thread (os_tamago.go).
const stackSize = 8 << 20

// TLS is where the runtime's m has its thread-local storage, bytes. hwinit0 finds it.
var TLS uintptr

// owner is where the runtime's g names its m, bytes. hwinit0 finds it.
var owner uintptr

//go:noescape
func clone(mp, gp, fn unsafe.Pointer)

// What the console says where the hooks can't go on.
var (
	noHeap   = "goos: the lower half doesn't map the heap\n"
	noFields = "goos: this TamaGo's m and g have no fields where those of the supported one have them\n"
	noThread = "goos: failed to make a thread: the lower half has none left, or no memory for one\n"
)

// A thread takes its signals on one of alts, of altSize bytes; altTaken says which are in use. The first thread has
// the first.
const (
	altSize = 2048
	altMost = 512
)

var (
	alts     [altMost][altSize]byte
	altTaken [altMost]uint32
)

// The runtime's allocator: it gives addresses from bloc on, and clears those from blocMax on before.

//go:linkname bloc runtime.bloc
var bloc uintptr

//go:linkname blocMax runtime.blocMax
var blocMax uintptr

//go:linkname memlock runtime.memlock
var memlock uintptr

//go:linkname lock runtime.lock
func lock(l *uintptr)

//go:linkname unlock runtime.unlock
func unlock(l *uintptr)

//go:linkname sysFault runtime.sysFault
func sysFault(p unsafe.Pointer, n uintptr)

//go:linkname memFreelist runtime.memFreelist
var memFreelist uintptr

// memHdr begins a piece of memory in memFreelist, which goes by address. The rest of the piece is zeros.
type memHdr struct {
	next uintptr
	size uintptr
}

// heapIsZeroed has the runtime not clear memory that it hasn't used, which would have it backed. It is called after the
// runtime has set these variables, and before it allocates.
func heapIsZeroed() { blocMax = uintptr(RamStart+RamSize) - firstStack }

// firstStack is more than the first thread's stack has, bytes.
const firstStack = 1 << 20

// task starts a thread: a world that runs fn on the stack of its g, as the stock runtime has it. The stack that ends
// at sp goes back at once: to where it came from if it was allocated last, and else to the free memory. The runtime's
// own way to there would clear it, and so have it backed. Nor does it count any more as memory in use, by which the
// collector paces itself.
func task(sp, mp, gp, fn unsafe.Pointer) {
	stack := uintptr(sp) - stackSize
	sysFault(unsafe.Pointer(stack), stackSize)
	lock(&memlock)
	if uintptr(sp) == bloc {
		bloc = stack
	} else {
		before := &memFreelist
		for *before != 0 && *before < stack {
			before = &(*memHdr)(unsafe.Pointer(*before)).next
		}
		*(*memHdr)(unsafe.Pointer(stack)) = memHdr{*before, stackSize}
		*before = stack
	}
	unlock(&memlock)
	clone(mp, gp, fn)
}

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
