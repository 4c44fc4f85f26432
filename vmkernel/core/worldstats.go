package core

import (
	"keel/vmkernel/linux"
	policy "keel/vmkernel/sched"
	"keel/vmkernel/sys"
)

// worldStats fills what a thread's call points at for the first world from id on, or for a virtual
// processor where byVCPU is set.
func worldStats(id, byVCPU uint64, p uintptr) int64 {
	if !ensure(p, sizeOf[sys.WorldStats](), true) {
		return -int64(linux.EFAULT)
	}
	s := at[sys.WorldStats](p)
	if byVCPU != 0 {
		v := vcpuOf(id>>8, id&0xFF)
		if v == nil {
			return -int64(linux.EINVAL)
		}
		id = uint64(v.world)
	}
	r := -int64(linux.ENOENT)
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
		return -int64(linux.EFAULT)
	}
	sched.lock()
	g := poolOf(id)
	if id == uint64(sys.SystemPool) {
		g = sched.system
	}
	if g == policy.None {
		sched.unlock()
		return -int64(linux.EINVAL)
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

// callCheckWorlds is sys.CheckWorlds: it returns the length of what is wrong, 0 for nothing.
func callCheckWorlds(p uintptr) int64 {
	const size = 128
	if !ensure(p, size, true) {
		return -int64(linux.EFAULT)
	}
	machinesLock.lock()
	sched.lock()
	bad := sched.Check()
	if bad == "" {
		bad = checkWorlds()
	}
	sched.unlock()
	machinesLock.unlock()
	putString(bytesAt(p, size), bad)
	return int64(len(bad))
}

// checkWorlds compares what the rest of the lower half takes worlds for with what the policy does. The
// lock is held, and that of the table of machines.
func checkWorlds() string {
	nodes, free := uint32(1+numPools), uint32(0) // the system group's
	for _, addr := range machines {
		if addr != 0 && at[machine](addr).group != policy.None {
			nodes++
		}
	}
	for id := freeWorlds; id != 0; id = worldAt(id).waitNext {
		free++
		if free > nWorlds || worldAt(id).state != stateFree {
			return "the list of free worlds is broken"
		}
	}
	for id := uint32(1); id <= nWorlds; id++ {
		w := worldAt(id)
		if w.state == stateFree {
			free--
			continue
		}
		nodes++
		if sched.Owner(w.node) != policy.ID(id) {
			return "a world has another's node"
		}
		if w.timerPos != 0 && (w.state != stateBlocked || *cpus[w.cpu].timers.item(w.timerPos - 1) != id) {
			return "a world's timer isn't where it should be"
		}
		lent := cpus[w.cpu].lent
		ok := false
		switch s := sched.State(w.node); w.state {
		case stateRunnable:
			ok = s == policy.Ready || s == policy.Parked || s == policy.Paused
		case stateRunning:
			ok = cpus[w.cpu].current == id && (s == policy.Running || s == policy.Blocked && lent != 0) || w.kind == kindVCPU && lent == id
		case stateBlocked:
			ok = s == policy.Blocked || s == policy.Paused || s == policy.Running && cpus[sched.CPU(w.node)].lent == id
		}
		if !ok {
			return "a world isn't what the policy takes it for"
		}
	}
	if free != 0 {
		return "a free world is in no list"
	}
	if nodes != sched.Live() {
		return "the policy has more or fewer worlds and groups than there are"
	}
	return ""
}
