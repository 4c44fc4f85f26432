package sched

// enqueue has a world wait for processor c. fresh is what activate returned, 0 if it was runnable.
func (s *Scheduler) enqueue(id ID, c uint32, fresh int, now uint64) {
	p, n := &s.CPUs[c], &s.Nodes[id]
	if p.nq == 0 {
		s.begin(c, now)
	}
	if n.state != Ready && n.state != Parked {
		n.since = now
	}
	n.cpu, n.state = c, Ready
	if n.flags&System == 0 {
		s.raise(id, c, fresh) // shares mean nothing to the others
	}
	for g, x := id, n; x.parent != Root; {
		up := &s.Nodes[x.parent]
		up.nwait++
		if !x.link[byTag].in {
			s.rank(up, g, x.tag)
			up.contending += uint64(x.shares)
		}
		g, x = x.parent, up
	}
	if n.flags&System != 0 {
		n.timed = qSystem
		p.nsys++
		s.insert(&p.queue[qSystem], id, byDue, n.since)
		s.replay(cupSystem, c)
	} else {
		if _, key := s.dueKey(id, now); key != Never {
			n.timed = qDue
			s.insert(&p.queue[qDue], id, byDue, key)
			s.replay(cupDue, c)
		} else {
			n.timed = qLook
			s.append(&p.queue[qLook], id, byDue, p.lookAgain(now))
		}
		s.insertKey(id, c)
	}
	p.nq++
	s.clearBit(setIdle, c)
	if n.flags&movable != 0 {
		if s.waiting == 0 {
			s.contendedSince = now
		}
		s.waiting++
		if n.flags&(System|anywhere) == 0 {
			s.some++
		}
	}
	s.await(id)
}

// insertKey puts a world into the queue by virtual time of processor c.
func (s *Scheduler) insertKey(id ID, c uint32) {
	p, n := &s.CPUs[c], &s.Nodes[id]
	key := s.key(id)
	if n.timed == qDue {
		n.top = p.clock + 2*maxDistance // it has its reservation to rely on
	} else {
		n.top = p.clock + s.turns(id)
	}
	if before(n.top, key) {
		key = n.top
	}
	n.heap = qSome
	if n.flags&anywhere != 0 {
		n.heap = qAny
	} else if n.flags&movable == 0 {
		n.heap = qPinned
	}
	s.insert(&p.queue[n.heap], id, byKey, key)
	if p.queue[qAny] == id {
		s.replay(cupAny, c)
	}
}

// dequeue takes a waiting world out of its processor's queues. Its state is the caller's to set.
func (s *Scheduler) dequeue(id ID, now uint64) {
	n := &s.Nodes[id]
	c := n.cpu
	p := &s.CPUs[c]
	if p.nq == 1 {
		s.charge(c, now) // from now on it isn't contended
	}
	switch n.timed {
	case qSystem:
		s.remove(&p.queue[qSystem], id, byDue)
		p.nsys--
		s.replay(cupSystem, c)
	case qDue:
		s.remove(&p.queue[qDue], id, byDue)
		s.replay(cupDue, c)
	case qLook:
		s.unlink(&p.queue[qLook], id, byDue)
	}
	if n.timed != qSystem {
		first := p.queue[qAny]
		s.remove(&p.queue[n.heap], id, byKey)
		if first == id {
			s.replay(cupAny, c)
		}
	}
	for g, x := id, n; x.parent != Root; {
		up := &s.Nodes[x.parent]
		up.nwait--
		if x.nwait == 0 {
			s.unrank(up, g)
			up.contending -= uint64(x.shares)
		}
		g, x = x.parent, up
	}
	p.nq--
	if n.flags&movable != 0 {
		s.waiting--
		if s.waiting == 0 && now > s.contendedSince {
			s.contendedNS += now - s.contendedSince
		}
		if n.flags&(System|anywhere) == 0 {
			s.some--
		}
	}
	s.forgo(id)
}

// park keeps a runnable world, which is in no queue, from running until a time.
func (s *Scheduler) park(id ID, c uint32, until, now uint64) {
	p, n := &s.CPUs[c], &s.Nodes[id]
	if n.state == Ready {
		n.wait(now)
	}
	n.cpu, n.state, n.since = c, Parked, now
	s.insert(&p.queue[qParked], id, byKey, until)
	s.await(id)
	s.hasten(id)
}

// unpark takes a parked world out.
func (s *Scheduler) unpark(id ID, now uint64) {
	n := &s.Nodes[id]
	s.remove(&s.CPUs[n.cpu].queue[qParked], id, byKey)
	s.forgo(id)
	if now > n.since {
		n.parked += now - n.since
	}
	n.since = now
}

// submit has a runnable world, which is in no queue, wait for processor c or be parked there. Where it waits bound is the
// caller's to call: it may be picked at once.
func (s *Scheduler) submit(id ID, c uint32, fresh int, now uint64) {
	if t := s.release(id, now); t > now {
		s.forfeit(id, now)
		s.park(id, c, min(t, now+parkMax), now)
		s.bound(id, now)
		return
	}
	s.enqueue(id, c, fresh, now)
}

// refresh brings the key of a waiting world up to date if it has grown, and says so: then another may
// be the first now. It doesn't grow beyond what it could be when the world was queued: else a world
// whose group gets all of its part elsewhere would wait for ever.
func (s *Scheduler) refresh(id ID) bool {
	n := &s.Nodes[id]
	key := s.key(id)
	if before(n.top, key) {
		key = n.top
	}
	if !before(n.link[byKey].key, key) {
		return false
	}
	s.rekey(id, key)
	return true
}

func (s *Scheduler) rekey(id ID, key uint64) {
	n := &s.Nodes[id]
	top := &s.CPUs[n.cpu].queue[n.heap]
	s.remove(top, id, byKey)
	s.insert(top, id, byKey, key)
	if n.heap == qAny {
		s.replay(cupAny, n.cpu)
	}
}

// lookAgain is when the key of a world that begins to wait is to be looked at again though it isn't
// at the head of its queue: it may be too late by now, since siblings have blocked. A processor so looks at one
// world in a turn. Those that it looks at so are in a ring: qLook is the one whose turn it is, and the one before it
// the last.
func (p *CPU) lookAgain(now uint64) uint64 { return now + max(4, uint64(p.nq))*Slice }

// review does so.
func (s *Scheduler) review(c uint32, now uint64) {
	p := &s.CPUs[c]
	for i := 0; i < 2; i++ {
		id := p.queue[qLook]
		if id == None || s.Nodes[id].link[byDue].key > now {
			return
		}
		n := &s.Nodes[id]
		n.link[byDue].key = p.lookAgain(now)
		p.queue[qLook] = n.link[byDue].right
		if s.due(id, now) != Never { // it, or a group above it, got a reservation
			s.dequeue(id, now)
			s.enqueue(id, c, 0, now)
			continue
		}
		key := s.key(id)
		if top := p.clock + s.turns(id); before(top, n.top) {
			n.top = top // it got more shares
		}
		if before(n.top, key) {
			key = n.top
		}
		if before(key, n.link[byKey].key) {
			s.rekey(id, key)
		}
	}
}

// wait ends a wait for a processor.
func (n *Node) wait(now uint64) {
	if now > n.since {
		w := now - n.since
		n.waited += w
		n.maxWait = max(n.maxWait, w)
	}
}

// run gives processor c to a world that is in no queue.
func (s *Scheduler) run(id ID, c uint32, now uint64) {
	p, n := &s.CPUs[c], &s.Nodes[id]
	n.wait(now)
	if n.flags&gaveUp != 0 {
		n.flags &^= gaveUp
		s.catchUp(id, now)
	}
	n.nrun = 1
	for g := n.parent; g != Root; {
		x := &s.Nodes[g]
		x.nrun++
		g = x.parent
	}
	n.state, n.cpu, n.picks = Running, c, n.picks+1
	p.current = id
	p.since, p.started, p.contended = now, now, s.contendedAt(now)
	p.picks++
	s.clearBit(setIdle, c)
	s.noteAway(id, c)
	if n.flags&System != 0 {
		s.clearBit(setGuest, c)
	} else {
		s.setBit(setGuest, c)
	}
}

// advance has the clocks follow a world that processor c picks before others that wait there, or that goes on before them: it is
// owed most of those. What was queued under a lesser key counts as that, and one that goes on may be ahead by now of those that
// wait. Where it is due for a reservation only the clocks of the groups follow that divide the turn by shares, see owed.
//
// The root's own clock follows those that may run anywhere. While none of them waits it follows whom else a processor picks that is open
// to them: else it would stand still, and they would come back with a claim to all that was done meanwhile. A processor that an affinity
// set has alone passes time as it likes.
func (s *Scheduler) advance(id ID, c uint32, now uint64) {
	p, n := &s.CPUs[c], &s.Nodes[id]
	top := Root
	if p.dueTurn {
		top, _, _ = s.dueFor(id, now)
	}
	m := id
	for m != top && s.Nodes[m].parent != Root {
		x := &s.Nodes[m]
		m = x.parent
		if g, tag := &s.Nodes[m], s.leastTag(&s.Nodes[m], x.tag); before(g.clock, tag) {
			g.clock = tag
		}
	}
	if p.dueTurn {
		return
	}
	tag := s.Nodes[m].tag
	if p.current == id {
		for q := qAny; q <= qPinned; q++ {
			if o := p.queue[q]; o != None && before(s.Nodes[o].link[byKey].key, tag) {
				tag = s.Nodes[o].link[byKey].key
			}
		}
		if before(tag, p.clock) {
			return
		}
	} else if before(n.link[byKey].key, tag) {
		tag = n.link[byKey].key
	}
	p.clock = tag
	root := &s.Nodes[Root]
	if n.flags&anywhere == 0 {
		if p.exclusive != 0 || s.winner(cupAny) != noCPU {
			return
		}
		// The processors of the confined go each at its own pace: no faster than all together would.
		if most := root.clock + s.gap(min(sub(now, s.rootAt), 1<<30)); before(most, tag) {
			tag = most
		}
	}
	s.rootAt = now
	if before(root.clock, tag) {
		root.clock = tag
	}
}

// begin is called when a world begins to wait for processor c, where none did: from now on the
// running one's time is contended, and the clock is that one's.
func (s *Scheduler) begin(c uint32, now uint64) {
	s.charge(c, now)
	p := &s.CPUs[c]
	if id := p.current; id != None && !p.dueTurn && s.Nodes[id].flags&System == 0 {
		s.raise(id, c, 0)
		for s.Nodes[id].parent != Root {
			id = s.Nodes[id].parent
		}
		p.clock = s.Nodes[id].tag
	} else if before(p.clock, s.Nodes[Root].clock) {
		p.clock = s.Nodes[Root].clock
	}
}

// stop takes processor c from its running world, which is charged and then in no queue.
func (s *Scheduler) stop(c uint32, now uint64) ID {
	s.charge(c, now)
	p := &s.CPUs[c]
	id := p.current
	if id == None {
		return None
	}
	s.repay(c, 0)
	if s.reserves != 0 {
		s.bringForward(s.Nodes[id].parent, c, now)
	}
	n := &s.Nodes[id]
	n.nrun = 0
	for g := n.parent; g != Root; {
		x := &s.Nodes[g]
		x.nrun--
		g = x.parent
	}
	n.since = now
	p.current = None
	s.clearBit(setAway, c)
	s.clearBit(setGuest, c)
	return id
}

// kick notes that processor c is to call Pick, unless it does so by itself before a time.
func (s *Scheduler) kick(c uint32, by uint64) {
	p := &s.CPUs[c]
	if p.until <= by || s.bit(setKick, c) {
		return
	}
	s.setBit(setKick, c)
	s.kicks++
	p.kicked++
}

// TakeKick returns a processor that is to call Pick as soon as it can, -1 when there is none. The
// caller of any other method takes all of them before it gives its lock back; its own processor may
// be among them.
func (s *Scheduler) TakeKick() int {
	if s.kicks == 0 {
		return -1
	}
	for w := uint32(0); w < s.words; w++ {
		if m := s.Bits[setKick*s.words+w]; m != 0 {
			c := w*64 + lowest(m)
			s.clearBit(setKick, c)
			s.kicks--
			s.CPUs[c].until = 0 // no further kick is needed until it picks
			return int(c)
		}
	}
	return -1
}
