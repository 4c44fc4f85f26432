package boot

import (
	"runtime"

	"keel/vmkernel/sys"
)

// TamaGo's runtime starts with one processor, and has no monitor that would take the P from a thread in a call.
func init() {
	sys.KeepsP = true
	var info sys.Info
	if sys.GetInfo(&info) == nil {
		runtime.GOMAXPROCS(int(info.CPUs))
	}
}
