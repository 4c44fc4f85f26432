//go:build tamago

package boot

import (
	"encoding/binary"
	"reflect"
	"runtime"
	"runtime/goos"
	"unsafe"

	"keel/vmkernel/sys"
)

//go:linkname semasleep runtime.semasleep
func semasleep(ns int64) int

//go:linkname semawakeup runtime.semawakeup
func semawakeup(m unsafe.Pointer)

// firstM is the runtime's m of the first thread, which package initialisers run on.
func firstM() unsafe.Pointer

// TamaGo's runtime starts with one processor, has no monitor that would take the P from a thread in a call, and its
// threads wait for each other by spinning in semasleep. It has one clock.
func init() {
	sys.KeepsP, sys.OneClock = true, true
	count := semaphoreOffset()
	for i, l := range spinLoops(count) {
		sys.Spins(l[0], l[1], count-goos.TLS-8, i == 0) // FS points 8 bytes behind the thread-local storage's start
	}
	var info sys.Info
	if sys.GetInfo(&info) == nil {
		runtime.GOMAXPROCS(int(info.CPUs))
	}
}

// spinLoops are the beginnings and ends of semasleep's loops, of which the first watches the clock as well. Each looks at
// the count and then takes from it, and nothing else names the count's place in an m. A loop ends where it takes: behind
// that the count may be 0 again and the thread not wait any more.
func spinLoops(count uintptr) [2][2]uintptr {
	lo := reflect.ValueOf(semasleep).Pointer()
	hi := lo
	for runtime.FuncForPC(hi).Entry() == lo { // whatever is inlined there
		hi++
	}
	code := unsafe.Slice((*byte)(reflect.ValueOf(semasleep).UnsafePointer()), hi-lo)
	var places []uintptr
	for i := range len(code) - 3 {
		if binary.LittleEndian.Uint32(code[i:]) == uint32(count) {
			places = append(places, lo+uintptr(i))
		}
	}
	if len(places) != 4 {
		panic("boot: this TamaGo's semasleep isn't two loops that look and take")
	}
	const opcode = 2 // of the look, bytes
	return [2][2]uintptr{{lo, places[1]}, {places[2] - opcode, places[3]}}
}

// semaphoreOffset is where an m has the count of its semaphore: what counts along when it is woken thrice.
func semaphoreOffset() uintptr {
	const words, times = 512, 3 // an m is in the allocator's class of 2 KiB
	m := (*[words]uint32)(firstM())
	before := *m
	for range times {
		semawakeup(unsafe.Pointer(m))
	}
	after := *m
	for range times {
		semasleep(-1) // takes what was given, and doesn't wait for that
	}
	for i := range after {
		if before[i] == 0 && after[i] == times {
			return uintptr(i) * 4
		}
	}
	panic("boot: this TamaGo's m has no semaphore's count in its first 2 KiB")
}
