package core

// An affinity is the processors that a machine's virtual processors may run on, 0 for all; exclusive: nobody else may.
type affinity struct {
	set       uint64
	exclusive bool
}

// affinities are those of the machines, by number, and stay readable when one is gone. The scheduler's lock protects them.
var affinities [maxMachines]affinity

// allCPUs is the set of the processors that were started.
func allCPUs() uint64 { return ^uint64(0) >> (64 - uint(nCPUs)) }

// affinityValid says whether all of a set's processors exist, and there is one to be exclusive.
func affinityValid(set uint64, exclusive bool) bool {
	return set&^allCPUs() == 0 && (set != 0 || !exclusive)
}

// setID is the machine's affinity set in the policy.
func (m *machine) setID() uint32 { return m.id + 1 }

// placeable says whether the machine can have an affinity. Then no other has an exclusive one with a processor of it for an
// exclusive one, and each other machine has a processor that isn't exclusive, as have those that may run anywhere. The lock is held.
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
	if taken == allCPUs() || !to.exclusive && to.set != 0 && to.set&^taken == 0 {
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
				sched.SetExclusive(uint32(i), m.setID(), now)
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

// affinityOf is what p says of processors.
func affinityOf(set uint64, exclusive uint32) affinity { return affinity{set, exclusive != 0} }
