package core

import (
	"keel/arch/amd64/virt"
	"keel/vmkernel/sys"
)

// shortNS is how long a short run may take, see sys.RunShort.
const shortNS = 100_000

// mayBeShort says whether a short run of g may begin, by 0, or what its call is to return. The lock is held.
func (c *cpu) mayBeShort(g *world, now uint64) int64 {
	switch {
	case pacedOnly(c) || !sched.Contended(c.id):
		if sched.CanSwitch(c.id, g.node, now) {
			return 0
		}
	case sched.OnlyThreads(c.id):
		// As for brief runs: most likely they only find that there is nothing to do, and sleep.
		sched.Yield(c.id)
		return sys.RunAgain
	}
	return sys.RunOver
}

// over ends a short run without an exit.
func (c *cpu) over(w *world, v *vcpu) {
	worldAt(w.caller).setResult(sys.RunOver)
	v.shared().State.Exit.Kind = virt.KindNop
	c.handBack(w, v)
}
