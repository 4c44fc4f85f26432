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
	InitRNG = func() {}
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

// Nanotime is in ns since 1970 by the clock that was read at boot, and never goes back.
func Nanotime() int64

// Printk writes a byte to the console.
func Printk(c byte)

//go:noescape
func getrandom(p *byte, n int)

// GetRandomData fills b.
func GetRandomData(b []byte) {
	if len(b) > 0 {
		getrandom(unsafe.SliceData(b), len(b))
	}
}

// longestIdle is how long a thread without work sleeps at most, ns: no call tells it that another thread has
// made some.
const longestIdle = 100_000

//go:noescape
func nanosleep(t *[2]int64)

// idle sleeps until a time by Nanotime, 0 for any.
func idle(until int64) {
	ns := int64(longestIdle)
	if until != 0 {
		ns = min(ns, until-Nanotime())
	}
	if ns > 0 {
		nanosleep(&[2]int64{0, ns})
	}
}

// stackSize is what the runtime allocates for a thread (os_tamago.go).
const stackSize = 8 << 20

// TLS is where the runtime's m has its thread-local storage, bytes. hwinit0 finds it.
var TLS uintptr

//go:noescape
func clone(mp, gp, fn unsafe.Pointer)

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

//go:linkname sysFreeOS runtime.sysFreeOS
func sysFreeOS(p unsafe.Pointer, n uintptr)

// task starts a thread: a world that runs fn on the stack of its g, as the stock runtime has it. The stack that ends
// at sp goes back at once, so that the next thread's is the same memory, which has been zeroed already.
func task(sp, mp, gp, fn unsafe.Pointer) {
	sysFreeOS(unsafe.Pointer(uintptr(sp)-stackSize), stackSize)
	clone(mp, gp, fn)
}

// A fault of Go code is a panic: signal makes it look as if the instruction had called one of these.

//go:linkname panicmem runtime.panicmem
func panicmem()

//go:linkname panicdivide runtime.panicdivide
func panicdivide()

func memoryFault() { panicmem() }
func divideFault() { panicdivide() }
