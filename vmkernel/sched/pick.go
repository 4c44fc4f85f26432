package sched

// Pick returns the world that processor c is to run now (None: it is idle) and the time at which c
// must call Pick again at the latest, Never if there is nothing to do then: one world alone on a
// processor, without a limit to reach, takes no timer. The running world is charged and stays where
// it is, unless another goes before it.
//
// The order: threads of the system group that are due, then worlds whose reservation is due, then the
// least key, of this processor's queue or of all others' if that is MigrateLag behind. A vCPU that is
// SkewMax ahead of a sibling that waits is passed over for that sibling, or parked.
func (s *Scheduler) Pick(c uint32, now uint64) (ID, uint64) {
	p := &s.CPUs[c]
	if s.bit(setKick, c) {
		s.clearBit(setKick, c)
		s.kicks--
	}
	if !p.online {
		return None, Never
	}
	s.charge(c, now)
	s.pace(now)
	if p.queue[qParked] != None {
		s.unparkDue(c, now)
	}
	if id := p.queue[qLook]; id != None && s.Nodes[id].link[byDue].key <= now {
		s.review(c, now)
	}
	was, id := p.current, None
	p.owed = None
	if was != None {
		stays := false
		if !p.yielded {
			stays, id = s.stays(was, c, now)
		}
		if stays {
			if now >= p.started+Slice {
				p.started, p.excess, p.dueTurn = now, 0, false
			}
			if s.waiting|p.nq != 0 && !p.dueTurn {
				s.raise(was, c, 0)
			}
			if p.nq != p.nsys && s.Nodes[was].flags&System == 0 {
				s.advance(was, c, now)
			}
			if p.nq != 0 && s.online > 1 {
				s.push(c, now)
			}
			p.until = s.timer(c, now)
			return was, p.until
		}
		s.putBack(c, now)
	}
	turn := now
	if p.yielded {
		skip := None
		if s.pacing || s.Nodes[was].flags&System == 0 || p.nsys > 1 {
			skip = was
		}
		if id = s.heir(c, now); id != None {
			turn = p.started
		} else {
			id = s.choose(c, None, skip, now)
		}
	} else {
		id = s.choose(c, id, None, now)
	}
	p.yielded, p.next = false, None
	if id == None {
		if !p.idling {
			p.idling, p.idleSince = true, now
		}
		if was != None && s.Nodes[was].state == Ready {
			s.bound(was, now)
		}
		if p.nq == 0 {
			s.setBit(setIdle, c)
			s.callBack(c, now)
		}
		p.until = s.timer(c, now)
		return None, p.until
	}
	p.clearIdle(now)
	guest := s.Nodes[id].flags&System == 0
	p.dueTurn = guest && (id == p.owed || s.due(id, now) <= now)
	if guest && p.nq != 0 {
		s.advance(id, c, now)
	}
	p.excess = 0
	if guest {
		// Only a key that was cut off can have been beyond.
		if n := &s.Nodes[id]; n.link[byKey].key == n.top {
			if key := s.key(id); before(n.top, key) {
				p.excess = key - n.top
			}
		}
	}
	s.run(id, c, now)
	p.started = turn
	if p.dueTurn {
		s.prepay(c, now)
	}
	if id != was {
		p.switches++
		if was != None && s.Nodes[was].state == Ready {
			s.bound(was, now)
		}
	}
	if p.nq != 0 && s.online > 1 {
		s.push(c, now)
	}
	p.until = s.timer(c, now)
	return id, p.until
}

func (p *CPU) clearIdle(now uint64) {
	if p.idling && now > p.idleSince {
		p.idleNS += now - p.idleSince
	}
	p.idling = false
}

// stays says whether the running world goes before all that wait, so that it needn't be queued. Where
// another goes before it that is known by then, it returns that one, which stays where it waits.
func (s *Scheduler) stays(id ID, c uint32, now uint64) (bool, ID) {
	p, n := &s.CPUs[c], &s.Nodes[id]
	if n.flags&wantStop != 0 || !s.allowed(id, c) || s.couldGoHome(id, c) || s.spent(id, now) || s.ahead(id, now) {
		return false, None
	}
	if p.nq == 0 && s.waiting == 0 {
		return true, None
	}
	if first := s.firstSystem(c, None, now); first != None {
		return false, first
	}
	if n.flags&System != 0 {
		if s.inTheWay(p) && now >= p.started+Slice && s.find(setGuest, id, c) != noCPU {
			return false, None
		}
		return !s.pacing || p.nq == p.nsys && s.pull(false, 0, c) == None, None
	}
	if p.dueTurn && now < p.started+Slice {
		return true, None
	}
	if first := s.firstDue(c, None, now); first != None {
		return false, first
	}
	if s.due(id, now) <= now {
		if o := s.owed(id, c, now); o != id {
			return false, o
		}
		p.started, p.dueTurn = now, true // it comes due as it runs
		s.prepay(c, now)
		return true, None
	}
	p.dueTurn = false
	key := s.key(id)
	if now < p.started+Slice {
		key -= p.excess + s.gap(PreemptLag) // its turn isn't over: not for a little
	}
	best := s.firstKey(c, None)
	if best != None {
		if k := s.Nodes[best].link[byKey].key; before(k, key) {
			key = k // who is far behind elsewhere goes before that one as well
		} else {
			best = None
		}
	}
	if s.online > 1 {
		if r := s.pull(true, key, c); r != None {
			best = r
		}
	}
	return best == None, best
}

// putBack ends the running world's turn: it waits, is parked, paused, or goes where it may run.
func (s *Scheduler) putBack(c uint32, now uint64) {
	p := &s.CPUs[c]
	whole := now >= p.started+Slice
	id := s.stop(c, now)
	n := &s.Nodes[id]
	if n.flags&wantStop != 0 {
		n.flags &^= wantStop
		n.state = Paused
		s.deactivate(id)
		return
	}
	if n.flags&System != 0 && whole && s.inTheWay(p) {
		if to := s.find(setGuest, id, c); to != noCPU {
			s.CPUs[to].moves++
			s.submit(id, to, 0, now)
			s.notice(id, to, now)
			return
		}
	}
	if p.yielded && s.Nodes[n.parent].flags&Cosched != 0 {
		n.flags |= gaveUp
	}
	s.resubmit(id, c, now)
}

// inTheWay says whether a thread of the system group, on processor p and below the group's limit, keeps worlds from running
// that can't go where it isn't, or not to all such places. It goes on elsewhere after a turn, beyond the processors that it
// comes to next: so no more than its part of each is taken, rather than all of one, and what worlds have reserved there holds.
func (s *Scheduler) inTheWay(p *CPU) bool {
	return !s.pacing && p.queue[qSome]|p.queue[qPinned] != None
}

// resubmit has a world wait again at processor c, or elsewhere if it may not run there.
func (s *Scheduler) resubmit(id ID, c uint32, now uint64) {
	to := c
	if !s.allowed(id, c) || s.couldGoHome(id, c) {
		to = s.place(id, now)
	}
	s.submit(id, to, 0, now)
	if to != c {
		s.notice(id, to, now)
	}
}

// unparkDue has parked worlds whose time has come wait again: some at a time, the timer brings the others.
func (s *Scheduler) unparkDue(c uint32, now uint64) {
	p := &s.CPUs[c]
	for i := 0; i < 4; i++ {
		id := p.queue[qParked]
		if id == None || s.Nodes[id].link[byKey].key > now {
			return
		}
		s.unpark(id, now)
		s.resubmit(id, c, now)
		if s.Nodes[id].state == Ready {
			s.bound(id, now)
		}
	}
}

// heir takes the world out of its queue that the running one gave the rest of its turn to, None
// where there is none, or it is too far ahead. The turn isn't prolonged by that, so who yields to and fro gains nothing.
func (s *Scheduler) heir(c uint32, now uint64) ID {
	p := &s.CPUs[c]
	id := p.next
	if id == None || now >= p.started+Slice || p.queue[qSystem] != None {
		return None
	}
	if !s.allowed(id, c) || !s.recall(id, c, now) || s.ahead(id, now) {
		return None
	}
	return s.take(id, c, now)
}

// choose takes the world that processor c is to run next out of its queue: id, where stays has found out that it
// goes before all others. skip is the last choice.
func (s *Scheduler) choose(c uint32, id, skip ID, now uint64) ID {
	for try := 0; try < 4; try++ {
		if id == None || try != 0 {
			id = s.first(c, skip, now)
		}
		if id == None {
			break
		}
		if !s.allowed(id, c) {
			s.rehome(id, now)
			continue
		}
		if s.release(id, now) > now {
			s.dequeue(id, now)
			s.submit(id, c, 0, now)
			continue
		}
		if s.ahead(id, now) {
			if id = s.holdFor(id, c, now); id == None {
				continue
			}
		}
		return s.take(id, c, now)
	}
	if skip != None && s.Nodes[skip].state == Ready && s.allowed(skip, c) {
		return s.take(skip, c, now) // nobody else is there
	}
	return None
}

// take dequeues a world that processor c is to run, wherever it waits.
func (s *Scheduler) take(id ID, c uint32, now uint64) ID {
	if s.Nodes[id].cpu != c {
		s.CPUs[c].moves++
	}
	s.dequeue(id, now)
	return id
}

// timer is when processor c has to look again.
func (s *Scheduler) timer(c uint32, now uint64) uint64 {
	p := &s.CPUs[c]
	t := Never
	if id := p.queue[qParked]; id != None {
		t = s.Nodes[id].link[byKey].key
	}
	if p.current == None && p.nq != 0 {
		t = now // they may not run here, and are moved away some at a time
	}
	if id := p.current; id != None {
		n := &s.Nodes[id]
		guest := n.flags&System == 0
		switch {
		case guest:
			t = min(t, add(now, s.allowance(id, now)))
			if p.nq != 0 {
				t = min(t, p.started+Slice)
			}
			if p.nsys != 0 {
				t = min(t, s.systemDue(p), s.Nodes[s.system].limTag)
			}
			if d := p.queue[qDue]; d != None && !p.dueTurn {
				t = min(t, s.Nodes[d].link[byDue].key)
			}
			t = min(t, add(now, s.lead(id)))
		case p.nq != 0 || s.waiting != 0:
			switch {
			case p.nsys != 0 || s.paced(p):
				t = min(t, p.started+s.systemSlice(p))
			case !s.pacing: // else the limit is behind it, and who waits elsewhere is for that processor
				t = min(t, now+min(s.allowance(id, now), Slice))
			}
			if s.inTheWay(p) {
				t = min(t, p.started+Slice)
			}
		}
	}
	if t != Never {
		t = max(t, now+s.soonest())
	}
	return t
}

// soonest is how long after a decision the next one is at the earliest. The world's way to the processor begins with the
// decision, TurnCost, and goes on with what the machine does for that world: a timer that came before it is there would have it
// decided for ever, and never do anything.
func (s *Scheduler) soonest() uint64 { return Soonest + s.TurnCost }

func add(a, b uint64) uint64 {
	if b > Never-a {
		return Never
	}
	return a + b
}
