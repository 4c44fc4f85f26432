//go:build tamago

package boot

import (
	"reflect"
	"runtime"
	_ "unsafe" // go:linkname

	"keel/vmkernel/sys"
)

//go:linkname semasleep runtime.semasleep
func semasleep(ns int64) int

// TamaGo's runtime starts with one processor, has no monitor that would take the P from a thread in a call, and its
// threads wait for each other in semasleep.
func init() {
	sys.KeepsP = true
	lo := reflect.ValueOf(semasleep).Pointer()
	hi := lo
	for runtime.FuncForPC(hi).Entry() == lo { // whatever is inlined there
		hi++
	}
	sys.Spins(lo, hi)
	var info sys.Info
	if sys.GetInfo(&info) == nil {
		runtime.GOMAXPROCS(int(info.CPUs))
	}
}
