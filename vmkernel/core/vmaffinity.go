package core

import (
	"sync/atomic"

	"keel/vmkernel/sys"
)

// An affinity is the processors that a machine's virtual processors may run on, 0 for all; exclusive: nobody else may.
type affinity struct {
	set       uint64
	exclusive bool
}

// affinities are those of the machines, by number, and stay readable when one is gone. The scheduler's lock protects them.
var affinities [maxMachines]affinity

// affinityOf is what p says of processors.
func affinityOf(p *sys.CPUPolicy) affinity { return affinity{p.Affinity, p.Exclusive != 0} }

// allCPUs is the set of the processors that were started.
func allCPUs() uint64 { return ^uint64(0) >> (64 - uint(nCPUs)) }

// valid says whether all of the processors exist, and those that are to be exclusive can be: there is one, and the one that takes
// the host's interrupts isn't among them.
func (a affinity) valid() bool {
	return a.set&^allCPUs() == 0 && (!a.exclusive || a.set != 0 && a.set>>sys.HostCPU&1 == 0)
}

// setID is the machine's affinity set in the policy.
func (m *machine) setID() uint32 { return m.id + 1 }

// placeable says whether the machine can have a valid affinity. Then no other has an exclusive one with a processor of it for an
// exclusive one, and each machine has a processor that isn't another's. The lock is held.
func (m *machine) placeable(to affinity) bool {
	taken := uint64(0)
	if to.exclusive {
		taken = to.set
	}
	for i := range affinities {
		if o := &affinities[i]; o.exclusive && uint32(i) != m.id {
			if o.set&taken != 0 {
				return false
			}
			taken |= o.set
		}
	}
	if !to.exclusive && to.set != 0 && to.set&^taken == 0 {
		return false
	}
	for i := range affinities {
		if o := &affinities[i]; !o.exclusive && o.set != 0 && o.set&^taken == 0 && uint32(i) != m.id {
			return false
		}
	}
	return true
}

// setAffinity gives the machine's virtual processors a placeable affinity. They leave the policy's set before that changes. The
// lock is held.
func (m *machine) setAffinity(to affinity, now uint64) {
	if to.set == allCPUs() {
		to.set = 0
	}
	if to == affinities[m.id] {
		return
	}
	for i := uint32(0); i < m.nvcpu; i++ {
		sched.SetAffinity(m.node(i), 0, now)
	}
	m.dropAffinity(now)
	affinities[m.id] = to
	if to.set == 0 {
		return
	}
	for i := 0; i < nCPUs; i++ {
		if to.set>>i&1 != 0 {
			sched.SetMember(m.setID(), uint32(i), true)
			if to.exclusive {
				cpus[i].giveTo(m, now)
			}
		}
	}
	for i := uint32(0); i < m.nvcpu; i++ {
		sched.SetAffinity(m.node(i), m.setID(), now)
	}
}

// dropAffinity makes the machine's set, which no virtual processor is in any more, empty. The lock is held.
func (m *machine) dropAffinity(now uint64) {
	old := &affinities[m.id]
	for i := 0; i < nCPUs; i++ {
		if old.set>>i&1 != 0 {
			if old.exclusive {
				sched.SetExclusive(uint32(i), 0, now)
				atomic.StoreUint32(&cpus[i].owner, 0)
			}
			sched.SetMember(m.setID(), uint32(i), false)
		}
	}
	*old = affinity{}
}

// settleDown gives the new machine its processors; false where it can't have them.
func (m *machine) settleDown(to affinity) bool {
	sched.lock()
	ok := m.placeable(to)
	if ok {
		m.setAffinity(to, nanotime())
	}
	sched.unlock()
	return ok
}

// A processor that is a machine's alone has an owner. Nobody else's world runs there, nor is anybody else's sleep ended there. But
// the exit of a virtual processor leads to the thread that waits for it on that processor, as on any: it works for the machine, and
// its next decision has the policy send it away. If its goroutine comes to wait it may take up others', which nobody here can see:
// so that decision comes after ownedNS at the latest, and with any interrupt.
const ownedNS = 100_000

// giveTo makes c the machine's alone. The lock is held.
func (c *cpu) giveTo(m *machine, now uint64) {
	if !sched.SetExclusive(c.id, m.setID(), now) {
		fatal("a processor can't be a virtual machine's alone", uint64(c.id))
	}
	atomic.StoreUint32(&c.owner, m.id+1)
	c.evict(m)
	cpus[sys.HostCPU].kick() // to set its own timer
}

// evict has all that sleeps on c until a time, but the machine's, be woken on the processor that can't be a machine's alone.
func (c *cpu) evict(m *machine) {
	h := &c.timers
	// From the end, so that what takes the place of one that goes is looked at: it was before it, or has been looked at.
	for i := h.n; i > 0; {
		w := worldAt(*h.item(i - 1))
		if w.belongs(m) {
			i--
			continue
		}
		cancelTimer(w)
		w.cpu = sys.HostCPU
		startTimer(w, w.deadline)
		i = min(i, h.n)
	}
}

// belongs says whether w is one of the machine's virtual processors.
func (w *world) belongs(m *machine) bool {
	return w.kind == kindVCPU && at[vcpu](w.vcpu).machine == addrOf(m)
}

// owned says whether c is a machine's alone.
func (c *cpu) owned() bool { return atomic.LoadUint32(&c.owner) != 0 }

// endVisit has the policy asked soon where a thread runs on a processor that is a machine's alone.
func (c *cpu) endVisit() {
	if c.owned() {
		c.armGuest(nanotime() + ownedNS)
	}
}
