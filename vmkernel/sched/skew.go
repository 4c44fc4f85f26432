package sched

// Skew: a guest's kernel spins for a lock whose holder waits for a processor, and its clocks and
// watchdogs compare virtual processors. So one doesn't run further ahead of one that wants to run and
// can't than SkewMax of service. Worlds of a group with flag Cosched count their progress; those that
// wait for a processor, or for a limit to let them go on, are in a ring, least progress first. It is relaxed: who blocks isn't waited
// for, and a sibling that also runs may be ahead by what it was when both began. Nor is one waited for that
// gave its turn up, which spins: it would have its siblings stopped, and be given their turns, when what it
// spins for is that one of those goes on. It counts again once it has run, as if it had slept.
//
// The bound: of two worlds of the group that are runnable all the time, the one ahead stops at
// SkewMax + Scheduler.soonest; its processor runs the other one in its stead if that is allowed there, and has
// another look after what the other needs at least to be half of SkewMax behind. While both run nothing stops it:
// each time that the one behind then stops before it has caught up, the other goes on until it is told. A world that wakes
// starts at most WakeCredit behind the foremost, so the bound also holds from then on.
//
// The cost: when a world begins to wait, or is parked, that has the least progress of its group, the processors of
// its running siblings get a timer: a walk over at most MaxSiblings.

// ahead says whether a world is too far ahead of a sibling that waits.
func (s *Scheduler) ahead(id ID) bool {
	n := &s.Nodes[id]
	w := s.Nodes[n.parent].waiting
	return w != None && w != id && before(s.Nodes[w].progress+SkewMax, n.progress)
}

// lead is for how long a running world may go on before it is too far ahead.
func (s *Scheduler) lead(id ID) uint64 {
	n := &s.Nodes[id]
	w := s.Nodes[n.parent].waiting
	if w == None || w == id {
		return Never
	}
	if end := s.Nodes[w].progress + SkewMax; before(n.progress, end) {
		return end - n.progress
	}
	return 0
}

// holdFor returns the sibling that processor c is to run in the stead of a waiting world that is too
// far ahead of it; None if c may not: then the world is parked.
func (s *Scheduler) holdFor(id ID, c uint32, now uint64) ID {
	n := &s.Nodes[id]
	w := s.Nodes[n.parent].waiting
	if s.allowed(w, c) && s.recall(w, c, now) {
		return w
	}
	d := n.progress - s.Nodes[w].progress - SkewMax/2
	s.dequeue(id, now)
	s.park(id, c, now+min(d, holdMax), now)
	return None
}

// await has a virtual processor's siblings not get too far ahead of it while it waits or is parked, and forgo ends that.
func (s *Scheduler) await(id ID) {
	n := &s.Nodes[id]
	if g := &s.Nodes[n.parent]; g.flags&Cosched != 0 && n.flags&gaveUp == 0 {
		s.sort(&g.waiting, id, byProgress, n.progress)
	}
}

func (s *Scheduler) forgo(id ID) {
	if g := &s.Nodes[s.Nodes[id].parent]; g.flags&Cosched != 0 {
		s.unlink(&g.waiting, id, byProgress)
	}
}

// recall says whether a world could run on processor c now that waits or is parked. It waits then.
func (s *Scheduler) recall(id ID, c uint32, now uint64) bool {
	n := &s.Nodes[id]
	if n.state != Ready && n.state != Parked || s.release(id, now) > now {
		return false
	}
	if n.state == Parked {
		s.unpark(id, now)
		s.enqueue(id, c, 0, now)
	}
	return true
}

// bound is called for a world that has begun to wait, or was parked. If none of its group has less progress, the
// processors that run siblings look in time at whether those are too far ahead.
func (s *Scheduler) bound(id ID, now uint64) {
	g := &s.Nodes[s.Nodes[id].parent]
	if g.waiting != id || g.nrun == 0 {
		return
	}
	i := s.Nodes[id].sibling
	for n := 0; n < MaxSiblings && i != id; n++ {
		if x := &s.Nodes[i]; x.state == Running {
			s.charge(x.cpu, now)
			s.kick(x.cpu, add(now, s.lead(i)+s.soonest()))
		}
		i = s.Nodes[i].sibling
	}
}

// catchUp bounds how far behind its siblings a world is that wakes.
func (s *Scheduler) catchUp(id ID) {
	n := &s.Nodes[id]
	if g := &s.Nodes[n.parent]; g.flags&Cosched != 0 {
		if floor := sub(g.progress, WakeCredit); n.progress < floor {
			n.progress = floor
		}
	}
}
