package sched

// Skew: a guest's kernel spins for a lock whose holder waits for a processor, and its clocks and watchdogs compare virtual
// processors. So one doesn't run further ahead of one that wants to run and can't than SkewMax of service. Worlds of a group with
// flag Cosched count their progress, which is what they ran, not what they were billed for; those that wait for a processor, or for
// a limit to let them go on, are in a ring, least progress first. It is relaxed: who blocks isn't waited for. Nor is one waited for
// that gave its turn up, which spins: it would have its siblings stopped, and be given their turns, when what it spins for is that
// one of those goes on. It counts again once it has run, as if it had slept.
//
// The bound: of two worlds of the group that are runnable all the time, the one ahead stops at SkewMax + Scheduler.soonest, and what
// the machine is late by; its processor runs the other one in its stead if that is allowed there, and has another look after what
// the other needs at least to be half of SkewMax behind. For their difference grows only while the one behind waits or is parked.
// From when it is SkewMax on, the processor of the one ahead decides within soonest, as it was told when the other one stopped
// (bound); and whatever the other does meanwhile, that decision has it stop, and no later one has it begin, until the other is no
// further behind, running or not (ahead). A world that wakes starts at most WakeCredit behind the foremost as of then, so the bound
// also holds from then on.
//
// The cost: when a world begins to wait, or is parked, that has the least progress of its group, the processors of its running
// siblings get a timer: a walk over at most MaxSiblings. So is it to have those charged as one wakes, since who runs alone hasn't
// been for long, and to find the one that is furthest behind; that is done only for a world that is SkewMax ahead of where that one
// was when it was last looked for (floor).

// ahead says whether a world is too far ahead of a sibling that waits, is parked, or runs.
func (s *Scheduler) ahead(id ID, now uint64) bool {
	n := &s.Nodes[id]
	g := &s.Nodes[n.parent]
	if g.flags&Cosched == 0 || n.progress <= g.floor+SkewMax {
		return false
	}
	s.findFloor(id, now)
	return n.progress > g.floor+SkewMax
}

// findFloor brings the floor of a world's group up to date.
func (s *Scheduler) findFloor(id ID, now uint64) {
	g := &s.Nodes[s.Nodes[id].parent]
	floor := s.Nodes[id].progress
	if g.waiting != None {
		floor = min(floor, s.Nodes[g.waiting].progress)
	}
	for i := s.runner(id, id, now); i != id; i = s.runner(id, i, now) {
		floor = min(floor, s.Nodes[i].progress)
	}
	g.floor = floor
}

// runner is the next sibling of a world that runs, after node i of their ring, and charges it: the world itself after the last.
func (s *Scheduler) runner(id, i ID, now uint64) ID {
	for i = s.Nodes[i].sibling; i != id; i = s.Nodes[i].sibling {
		if x := &s.Nodes[i]; x.state == Running {
			s.charge(x.cpu, now)
			break
		}
	}
	return i
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
// far ahead of it; None if c may not, or if that one runs: then the world is parked.
func (s *Scheduler) holdFor(id ID, c uint32, now uint64) ID {
	n := &s.Nodes[id]
	g := &s.Nodes[n.parent]
	d := n.progress - g.floor - SkewMax // until one that runs has caught up
	if w := g.waiting; w != None && n.progress > s.Nodes[w].progress+SkewMax {
		if s.allowed(w, c) && s.recall(w, c, now) {
			return w
		}
		d = n.progress - s.Nodes[w].progress - SkewMax/2
	}
	s.dequeue(id, now)
	s.park(id, c, now+min(max(d, s.soonest()), holdMax), now)
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
	for i := s.runner(id, id, now); i != id; i = s.runner(id, i, now) {
		s.kick(s.Nodes[i].cpu, add(now, s.lead(i)+s.soonest()))
	}
}

// catchUp bounds how far behind its siblings a world is that wakes.
func (s *Scheduler) catchUp(id ID, now uint64) {
	n := &s.Nodes[id]
	g := &s.Nodes[n.parent]
	if g.flags&Cosched == 0 {
		return
	}
	if g.nrun != 0 {
		for i := s.runner(id, id, now); i != id; {
			i = s.runner(id, i, now)
		}
	}
	if floor := sub(g.progress, WakeCredit); n.progress < floor {
		n.progress = floor
	}
	g.floor = min(g.floor, n.progress)
}
