package sched

// Home. A world may be at home on some processors, a NUMA node's, since its memory is there: an affinity set like others, that keeps
// it from nowhere. It costs no share. A world that is to have an idle processor has one at home if there is any, and no processor is
// left idle for it; to go to a busy one that isn't at home it must be behind by AwayLag more than MigrateLag, and so where it begins to
// wait counts a processor that isn't as one whose world has come less far by that. What is picked by key, or is due for a reservation, on the
// processor where it waits is so whether at home or not.
//
// A processor that becomes idle calls one back that runs elsewhere and is at home there: else one that was given the only idle processor once
// would stay there, since who runs alone makes no decisions.
//
// The bound of shares, see tags.go: where all worlds of a home wait for more than others do elsewhere, these are moved as soon as they are
// MigrateLag + AwayLag behind, rather than MigrateLag.

// SetHome says where a world is at home, 0: anywhere. One of the system group is at home nowhere.
func (s *Scheduler) SetHome(id ID, set uint32) bool {
	if id <= Root || int(id) >= len(s.Nodes) || set >= s.sets || set != 0 && set < s.Homes {
		return false
	}
	n := &s.Nodes[id]
	if n.state == Free || n.flags&(Group|System) != 0 {
		return false
	}
	n.home = set
	s.settle(id)
	return true
}

// settle notes whether a world's affinity set has a processor of its home, which may have none at all, and whether it is away.
func (s *Scheduler) settle(id ID) {
	n := &s.Nodes[id]
	n.flags &^= homeless
	if !s.reaches(n.set, n.home) {
		n.flags |= homeless
	}
	if n.state == Running {
		s.noteAway(id, n.cpu)
	}
}

// reaches says whether an affinity set, 0 being all processors, has one of a home: a NUMA node may have memory only.
func (s *Scheduler) reaches(set, home uint32) bool {
	if set == 0 {
		return s.count(fixedSets+home) != 0
	}
	for w := uint32(0); w < s.words; w++ {
		if s.Bits[(fixedSets+set)*s.words+w]&s.Bits[(fixedSets+home)*s.words+w] != 0 {
			return true
		}
	}
	return false
}

// atHome says whether processor c is one of a world's home.
func (s *Scheduler) atHome(id ID, c uint32) bool {
	n := &s.Nodes[id]
	return n.home == 0 || n.flags&homeless != 0 || s.bit(fixedSets+n.home, c)
}

// couldGoHome says whether a world on processor c is away from home, and has an idle processor there.
func (s *Scheduler) couldGoHome(id ID, c uint32) bool {
	return !s.atHome(id, c) && s.idleHome(id, c) != noCPU
}

// noteAway notes whether the world that processor c runs isn't at home there.
func (s *Scheduler) noteAway(id ID, c uint32) {
	if s.atHome(id, c) {
		s.clearBit(setAway, c)
	} else {
		s.setBit(setAway, c)
	}
}

// idleFor is an idle processor for a world, one of its home if there is any, noCPU without any.
func (s *Scheduler) idleFor(id ID, from uint32) uint32 {
	if c := s.idleHome(id, from); c != noCPU {
		return c
	}
	return s.find(setIdle, id, from)
}

// idleHome is one of its home.
func (s *Scheduler) idleHome(id ID, from uint32) uint32 {
	home := s.Nodes[id].home
	if home == 0 {
		return noCPU
	}
	return s.findIn(setIdle, fixedSets+home, id, from)
}

// away is the lag that a world must be behind in addition to be moved to processor c, in the root's virtual time.
func (s *Scheduler) away(id ID, c uint32) uint64 {
	if s.atHome(id, c) {
		return 0
	}
	return s.gap(AwayLag)
}

// arrives says whether a waiting world is to be picked at once by a processor of its home, which runs nothing.
func (s *Scheduler) arrives(id ID) bool {
	c := s.Nodes[id].cpu
	return s.Nodes[id].home != 0 && s.CPUs[c].current == None && s.atHome(id, c)
}

// callBack has a processor look again whose world is at home on processor c, which has nothing to do: a few are looked at, others the
// next time.
func (s *Scheduler) callBack(c uint32, now uint64) {
	for range 8 {
		o := s.after(setAway, s.called)
		if o == noCPU {
			return
		}
		s.called = o
		// One that is to look anyway is going home to another, perhaps.
		if id := s.CPUs[o].current; s.CPUs[o].until != 0 && !s.bit(setKick, o) && s.atHome(id, c) && s.allowed(id, c) {
			s.kick(o, now)
			return
		}
	}
}
