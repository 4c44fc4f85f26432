package core

import (
	"keel/vmkernel/linux"
	policy "keel/vmkernel/sched"
	"keel/vmkernel/sys"
)

// callPolicy answers the calls of the processor policy.
func callPolicy(n, a0, a1, a3 uint64) int64 {
	switch n {
	case sys.NumPoolCreate, sys.NumPoolSet:
		p := uintptr(a0)
		if n == sys.NumPoolSet {
			p = uintptr(a1)
		}
		if !ensure(p, sizeOf[sys.CPUPolicy](), false) {
			return -int64(linux.EFAULT)
		}
		to := *at[sys.CPUPolicy](p) // once: another thread may write there meanwhile
		if n == sys.NumPoolCreate {
			return poolCreate(&to)
		}
		return poolSet(a0, &to)
	case sys.NumPoolDestroy:
		return poolDestroy(a0)
	case sys.NumPoolStats:
		return poolStats(a0, uintptr(a3))
	case sys.NumWorldStats:
		return worldStats(a0, a1, uintptr(a3))
	}
	if n == sys.NumCheckWorlds {
		return callCheckWorlds(uintptr(a0))
	}
	m := machineOf(a0)
	if m == nil {
		return -int64(linux.EINVAL)
	}
	switch n {
	case sys.NumVMSetCPU:
		if !ensure(uintptr(a1), sizeOf[sys.CPUPolicy](), false) {
			return -int64(linux.EFAULT)
		}
		to := *at[sys.CPUPolicy](uintptr(a1))
		return m.setPolicy(&to)
	case sys.NumVMPause:
		m.pause(a1 != 0)
		return 0
	}
	return -int64(linux.ENOSYS)
}

// shareOf is what the policy knows of p.
func shareOf(p *sys.CPUPolicy) policy.Policy {
	return policy.Policy{Shares: p.Shares, Reservation: p.Reservation, Limit: p.Limit}
}

// poolOf is the group of a pool: the root's for 0, None where there is no such pool. The lock is held.
func poolOf(id uint64) policy.ID {
	if id == 0 {
		return policy.Root
	}
	if id >= maxEntries || sched.State(policy.ID(id)) == policy.Free || sched.Owner(policy.ID(id)) != ownerPool {
		return policy.None
	}
	return policy.ID(id)
}

// numPools counts those there are; the scheduler's lock protects it.
var numPools int

func poolCreate(p *sys.CPUPolicy) int64 {
	share := shareOf(p)
	r := -int64(linux.EINVAL)
	sched.lock()
	switch parent := poolOf(uint64(p.Pool)); {
	case parent == policy.None || !share.Valid():
	case numPools == maxPools:
		r = -int64(linux.ENOSPC)
	default:
		r = int64(sched.Create(parent, ownerPool, policy.Group, &share))
		if r == int64(policy.None) {
			r = -int64(linux.ENOSPC)
			break
		}
		numPools++
	}
	sched.unlock()
	return r
}

func poolSet(id uint64, p *sys.CPUPolicy) int64 {
	share := shareOf(p)
	r := -int64(linux.EINVAL)
	sched.lock()
	switch g := poolOf(id); {
	case g <= policy.Root:
	case sched.Parent(g) != poolOf(uint64(p.Pool)):
		r = -int64(linux.EXDEV)
	case sched.SetPolicy(g, &share, nanotime()):
		r = 0
	}
	sched.unlock()
	return r
}

func poolDestroy(id uint64) int64 {
	r := -int64(linux.EINVAL)
	sched.lock()
	if g := poolOf(id); g > policy.Root {
		r = -int64(linux.EBUSY)
		if sched.Destroy(g, nanotime()) {
			numPools--
			r = 0
		}
	}
	sched.unlock()
	return r
}

// join makes the machine's group, with a default for what p leaves out; false where that can't be.
func (m *machine) join(p *sys.CPUPolicy) bool {
	share := shareOf(p)
	if share.Shares == 0 {
		share.Shares = worldShares * m.nvcpu
	}
	sched.lock()
	if parent := poolOf(uint64(p.Pool)); parent != policy.None {
		m.group = sched.Create(parent, ownerMachine+policy.ID(m.id), policy.Group|policy.Cosched, &share)
	}
	sched.unlock()
	return m.group != policy.None
}

// setPolicy changes what the machine may have: from the next decision on, which is at once where a processor
// has to change its mind.
func (m *machine) setPolicy(p *sys.CPUPolicy) int64 {
	share, to := shareOf(p), affinityOf(p)
	r := -int64(linux.EINVAL)
	sched.lock()
	now := nanotime()
	switch pool := poolOf(uint64(p.Pool)); {
	case !share.Valid() || !to.valid() || pool == policy.None:
	case !m.placeable(to):
		r = -int64(linux.EBUSY)
	case !sched.Move(m.group, pool, now):
		r = -int64(linux.ENOSPC)
	default:
		sched.SetPolicy(m.group, &share, now)
		m.setAffinity(to, now)
		for i := uint32(0); i < m.nvcpu; i++ {
			sched.Requeue(m.node(i), now)
		}
		r = 0
	}
	sched.unlock()
	return r
}

// node is virtual processor i as the policy knows it.
func (m *machine) node(i uint32) policy.ID { return worldAt(at[vcpu](m.vcpus[i]).world).node }

// pause keeps the machine's virtual processors from guest mode, or ends that. One that a thread has left
// for a device model is kept from the next entry.
func (m *machine) pause(on bool) {
	sched.lock()
	now := nanotime()
	for i := uint32(0); i < m.nvcpu; i++ {
		if on {
			sched.Pause(m.node(i), now)
		} else {
			sched.Resume(m.node(i), now)
		}
	}
	sched.unlock()
}
