package sched

// Turns for a reservation
//
// A turn for a reservation counts from its beginning, and what it leaves doesn't: else all that wait on several processors would have
// one at once, whatever their shares, before the first is charged. What is prepaid is kept apart from what was served, for each node
// and in ns of service: so what comes back is just what wasn't used, whatever the reservation's rate is by then, and nothing of it is
// cut off.
//
// So a world may come due sooner than it was to when its key in the queue by that was computed, and nobody computes those of all that
// wait anew. It is done for one: whenever a world stops, for that one of each reserved group above it that is owed most by its shares,
// which has the turn whichever of the group is found to be due (owed). So there is one whose key is right. Where it doesn't take the
// turn, as it is parked, paused or destroyed, the others are looked at after putOffMax, which is less than what a group saves up. To
// look at all of them as often as turns end would have a processor do little else where many wait.

// prepay has what is left of the turn that processor c's world begins for a reservation count. What is served takes its place bit by
// bit, so that nothing is prepaid when the turn is over. Nor is anything when it begins: who ran before has stopped, and who goes on had no
// such turn, or is charged up to its end.
func (s *Scheduler) prepay(c uint32, now uint64) {
	p := &s.CPUs[c]
	p.prepaid = sub(p.started+Slice, max(now, p.since))
	for n := p.current; n != Root; n = s.Nodes[n].parent {
		s.Nodes[n].prepaid += p.prepaid
	}
}

// repay leaves no more than some ns of what processor c's turn has prepaid: it ends early, or some of it wasn't the world's.
func (s *Scheduler) repay(c uint32, left uint64) {
	p := &s.CPUs[c]
	if p.prepaid <= left {
		return
	}
	d := p.prepaid - left
	p.prepaid = left
	for n := p.current; n != Root; n = s.Nodes[n].parent {
		s.Nodes[n].prepaid -= d
	}
}

// bringForward has the world that is owed most of those that wait in a group wait no longer than until it is due, and so for those above.
// Processor c decides anyway.
func (s *Scheduler) bringForward(group ID, c uint32, now uint64) {
	for n := group; n != Root; n = s.Nodes[n].parent {
		x := &s.Nodes[n]
		if x.reservation == 0 || x.least == None {
			continue
		}
		o := s.leastBelow(n)
		w := &s.Nodes[o]
		if w.timed != qDue {
			continue
		}
		if _, key := s.dueKey(o, now); key < w.link[byDue].key {
			s.rekeyDue(o, key)
			if w.cpu != c {
				s.notice(o, w.cpu, now)
			}
		}
	}
}

// rekeyDue changes a waiting world's place in the queue of those with a reservation.
func (s *Scheduler) rekeyDue(id ID, key uint64) {
	n := &s.Nodes[id]
	top := &s.CPUs[n.cpu].queue[qDue]
	s.remove(top, id, byDue)
	s.insert(top, id, byDue, key)
	s.replay(cupDue, n.cpu)
}

// leastBelow is the waiting world of a group that is owed most by shares.
func (s *Scheduler) leastBelow(id ID) ID {
	for s.Nodes[id].flags&Group != 0 {
		id = s.Nodes[id].least
	}
	return id
}

// dueKey is when a waiting world is due, and its key in the queue by that. That is no later than it would be if all turns that were
// prepaid ended now, or in putOffMax.
func (s *Scheduler) dueKey(id ID, now uint64) (due, key uint64) {
	if s.reserves == 0 {
		return Never, Never
	}
	_, due, unpaid := s.dueFor(id, now)
	return due, min(due, max(unpaid, now+putOffMax))
}
