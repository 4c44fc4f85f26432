package core

import (
	"syscall"

	policy "keel/vmkernel/sched"
	"keel/vmkernel/sys"
)

// worldStats fills what a thread's call points at for the first world from id on, or for a virtual
// processor where byVCPU is set.
func worldStats(id, byVCPU uint64, p uintptr) int64 {
	if !ensure(p, sizeOf[sys.WorldStats](), true) {
		return -int64(syscall.EFAULT)
	}
	s := at[sys.WorldStats](p)
	if byVCPU != 0 {
		v := vcpuOf(id>>8, id&0xFF)
		if v == nil {
			return -int64(syscall.EINVAL)
		}
		id = uint64(v.world)
	}
	r := -int64(syscall.ENOENT)
	sched.lock()
	for ; id <= uint64(nWorlds); id++ {
		if id == 0 || worldAt(uint32(id)).state == stateFree {
			continue
		}
		worldAt(uint32(id)).stats(s)
		r = 0
		break
	}
	sched.unlock()
	return r
}

// stats says where w's time went. The lock is held.
func (w *world) stats(s *sys.WorldStats) {
	now := nanotime()
	*s = sys.WorldStats{ID: w.id, Kind: sys.WorldThread, CPU: sched.CPU(w.node), Created: w.created, Now: now}
	s.State = stateOf(sched.State(w.node))
	s.Used, s.Ready, s.Limited, s.Paused = sched.Times(w.node, now)
	s.Stolen = s.Ready + s.Limited
	all := now - w.created
	s.Blocked = all - min(all, s.Used+s.Stolen+s.Paused)
	s.MaxReady, s.Picks = sched.MaxWait(w.node), sched.Picks(w.node)
	if w.kind != kindVCPU {
		return
	}
	v := at[vcpu](w.vcpu)
	page := v.shared()
	s.Kind, s.VM, s.VCPU = sys.WorldVCPU, sys.VMHandle(v.vm().id), v.index
	s.Outside = tscToNS(tscBase+page.Outside) + w.billed
	s.Exits = page.Exits
}

func stateOf(s policy.State) uint32 {
	switch s {
	case policy.Ready:
		return sys.WorldReady
	case policy.Running:
		return sys.WorldRunning
	case policy.Parked:
		return sys.WorldLimited
	case policy.Paused:
		return sys.WorldPaused
	}
	return sys.WorldBlocked
}

// poolStats says what the worlds of a pool had.
func poolStats(id uint64, p uintptr) int64 {
	if !ensure(p, sizeOf[sys.PoolStats](), true) {
		return -int64(syscall.EFAULT)
	}
	sched.lock()
	g := poolOf(id)
	if id == uint64(sys.SystemPool) {
		g = sched.system
	}
	if g == policy.None {
		sched.unlock()
		return -int64(syscall.EINVAL)
	}
	sched.Bring(nanotime())
	s := at[sys.PoolStats](p)
	*s = sys.PoolStats{Used: sched.Used(g), Limit: uint64(sched.Limit(g))}
	if g == sched.system && sched.Pacing() {
		s.Paced = 1
	}
	sched.unlock()
	return 0
}
