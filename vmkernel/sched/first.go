package sched

// Who goes first of those that wait, on a processor: threads of the system group, who is due for a reservation, and by shares.

// first is the world that goes before all others on processor c. It stays where it waits.
func (s *Scheduler) first(c uint32, skip ID, now uint64) ID {
	if id := s.firstSystem(c, skip, now); id != None {
		return id
	}
	if id := s.firstDue(c, skip, now); id != None {
		return id
	}
	if id := s.firstKey(c, skip); id != None {
		if r := s.pull(true, s.Nodes[id].link[byKey].key, c); r != None {
			return r
		}
		return id
	}
	if r := s.pull(false, 0, c); r != None {
		return r
	}
	// Nothing but paced threads is left.
	if id := s.CPUs[c].queue[qSystem]; id != None && id != skip {
		return id
	}
	if o := s.winner(cupSystem); o != noCPU && o != c && s.allowed(s.CPUs[o].queue[qSystem], c) {
		return s.CPUs[o].queue[qSystem]
	}
	return None
}

// firstSystem is the thread of the system group that is due for the longest time, here, or elsewhere
// if that is longer by a turn. Here it is due already if it will be before another decision can be made.
func (s *Scheduler) firstSystem(c uint32, skip ID, now uint64) ID {
	if s.winner(cupSystem) == noCPU {
		return None // none waits anywhere
	}
	p := &s.CPUs[c]
	id, here := p.queue[qSystem], now
	if id == skip || id != None && s.systemDue(p) > now+s.soonest() {
		id = None
	}
	if id != None {
		here = s.Nodes[id].link[byDue].key
	}
	if o := s.winner(cupSystem); o != noCPU && o != c {
		r := s.CPUs[o].queue[qSystem]
		if s.Nodes[r].link[byDue].key+PacedSlice <= here && s.systemDue(&s.CPUs[o]) <= now && s.allowed(r, c) {
			return r
		}
	}
	return id
}

// firstDue is the waiting world whose reservation is due for the longest time, here, or elsewhere if
// that is longer by DueLag. Where another of its group is owed that turn it is that one, unless it is skip.
func (s *Scheduler) firstDue(c uint32, skip ID, now uint64) ID {
	if s.winner(cupDue) == noCPU {
		return None // none waits anywhere
	}
	p := &s.CPUs[c]
	here, least := Never, Never
	id, good := None, None
	for i := 0; i < 3; i++ {
		id = p.queue[qDue]
		if id == None {
			break
		}
		// Service of others of its group may have put it off.
		here = s.Nodes[id].link[byDue].key
		t, key := s.dueKey(id, now)
		if key <= here {
			break
		}
		if key == Never {
			// It has none any more.
			s.dequeue(id, now)
			s.enqueue(id, c, 0, now)
			id, here = None, Never
			continue
		}
		s.rekeyDue(id, key)
		if t < least {
			good, least = id, t
		}
		id, here = None, Never
	}
	if id == None {
		// Others may be due for longer, but it is good enough: of a group that is far behind all are put off all the time.
		id, here = good, least
	}
	if o := s.winner(cupDue); o != noCPU && o != c {
		r := s.CPUs[o].queue[qDue]
		k := s.Nodes[r].link[byDue].key
		if k+DueLag < min(here, now) && s.due(r, now)+DueLag < min(here, now) && s.allowed(r, c) {
			return r
		}
	}
	if here > now || id == None {
		return None
	}
	if id == skip {
		if id = p.queue[qDue]; id == skip {
			id = s.second(skip, byDue)
		}
		if id == None || s.due(id, now) > now {
			return None
		}
	}
	if o := s.owed(id, c, now); o != skip {
		return o
	}
	return id
}

// firstKey is the world with the least key that waits for processor c. The heads of the three queues
// are brought up to date; where that doesn't settle it in a few steps, the next turn does.
func (s *Scheduler) firstKey(c uint32, skip ID) ID {
	p := &s.CPUs[c]
	if id := p.queue[qAny]; skip == None && p.queue[qSome]|p.queue[qPinned] == None {
		for i := 0; i < 3 && id != None && s.refresh(id); i++ {
			id = p.queue[qAny]
		}
		return id
	}
	best := None
	for q := qAny; q <= qPinned; q++ {
		if p.queue[q] == None {
			continue
		}
		for i := 0; i < 3; i++ {
			if id := p.queue[q]; id == None || !s.refresh(id) {
				break
			}
		}
		id := p.queue[q]
		if id != None && id == skip {
			id = s.second(id, byKey)
		}
		if id != None && (best == None || before(s.Nodes[id].link[byKey].key, s.Nodes[best].link[byKey].key)) {
			best = id
		}
	}
	return best
}

// second is the node of the least key but for the root of its heap, which is one of these links.
func (s *Scheduler) second(id ID, by int) ID {
	l := &s.Nodes[id].link[by]
	if l.right == None || !before(s.Nodes[l.right].link[by].key, s.Nodes[l.left].link[by].key) {
		return l.left
	}
	return l.right
}
