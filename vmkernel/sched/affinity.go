package sched

// Affinity sets, and the processors that one has alone
//
// The root's virtual time isn't the same everywhere: that of a processor where confined worlds crowd passes more slowly than that of
// others, see present. A child of the root has one tag, though, which is only compared with what it means where its worlds
// run: so it goes by the clocks of one set (base). That is the one where it was put at first, which is all processors, and another as soon as
// all worlds below it have that: what it is ahead of the old clock, it is of the new. Else one that is confined after it got the
// tag of all others would wait until the clock of its processors comes there.
//
// Nobody gains by going to and fro. What a child is ahead of its clock it keeps, up to LagMax, what it is behind not; and it pays a turn
// unless it has had none, as a clock is the least tag of those that have the processor by turns. With worlds of several sets it can't make
// its tag less: it may be put forward by the clocks of any, as by raise, and back only by those that all of its worlds have.

// SetMember says whether processor c belongs to an affinity set, 1 to the number of sets less 1: 0 is
// all processors. It isn't changed while worlds have it.
func (s *Scheduler) SetMember(set, c uint32, member bool) bool {
	if set == 0 || set >= s.sets || c >= uint32(len(s.CPUs)) {
		return false
	}
	if member {
		s.setBit(fixedSets+set, c)
	} else {
		s.clearBit(fixedSets+set, c)
	}
	return true
}

// SetExclusive gives processor c to the worlds of an affinity set alone; 0 gives it back to all. It
// refuses to leave set 0, or a set that isn't empty and no home, without a processor, and to take one from another set.
func (s *Scheduler) SetExclusive(c, set uint32, now uint64) bool {
	if c >= uint32(len(s.CPUs)) || !s.CPUs[c].online || set >= s.sets || set != 0 && !s.bit(fixedSets+set, c) {
		return false
	}
	p := &s.CPUs[c]
	old := p.exclusive
	if old != 0 && set != 0 && old != set {
		return false
	}
	p.exclusive = set
	if set != 0 {
		s.clearBit(fixedSets, c)
	} else {
		s.setBit(fixedSets, c)
	}
	for i := uint32(0); i < s.affinities(); i++ {
		if i != set && s.bit(fixedSets+i, c) || i == 0 {
			if !s.usable(i) {
				p.exclusive = old
				if old == 0 {
					s.setBit(fixedSets, c)
				} else {
					s.clearBit(fixedSets, c)
				}
				return false
			}
		}
	}
	s.kick(c, now)
	return true
}

// affinities is the number of sets that may be an affinity.
func (s *Scheduler) affinities() uint32 {
	if s.Homes != 0 {
		return min(s.Homes, s.sets)
	}
	return s.sets
}

// usable says whether the worlds of a set have a processor.
func (s *Scheduler) usable(set uint32) bool {
	for c := range s.CPUs {
		p := &s.CPUs[c]
		if p.online && s.bit(fixedSets+set, uint32(c)) && (p.exclusive == 0 || p.exclusive == set) {
			return true
		}
	}
	return false
}

// SetAffinity has a world run on the processors of a set only, 0: on all that aren't exclusive. What all of its VM has been served ahead
// of its part it keeps, see follow.
func (s *Scheduler) SetAffinity(id ID, set uint32, now uint64) bool {
	if id <= Root || int(id) >= len(s.Nodes) || set >= s.affinities() || !s.usable(set) {
		return false
	}
	n := &s.Nodes[id]
	if n.state == Free || n.flags&Group != 0 {
		return false
	}
	was, old := n.state, n.set
	s.withdraw(id, now)
	s.addSets(n.parent, uint64(set)-uint64(n.set), uint64(set)*uint64(set)-uint64(n.set)*uint64(n.set))
	n.set = set
	s.settle(id)
	if set != old {
		s.follow(id, set, now)
	}
	n.flags &^= movable | anywhere
	if set == 0 {
		n.flags |= movable | anywhere
	} else if s.count(fixedSets+set) > 1 {
		n.flags |= movable
	}
	switch {
	case was == Running && !s.allowed(id, n.cpu):
		s.kick(n.cpu, now)
	case was == Ready || was == Parked:
		s.arrive(id, s.place(id, now), now)
	}
	return true
}

// follow has the child of the root above a node go by the clocks of a set, which a world below it has got, or all that are left have.
func (s *Scheduler) follow(id ID, set uint32, now uint64) {
	top := s.childOfRoot(id)
	t := &s.Nodes[top]
	if t.flags&System != 0 || t.base == set && !t.only(set) {
		return
	}
	s.Bring(now)
	clock := s.clockOfSet(t.base, top, now)
	debt := s.debt(t, clock)
	if t.base == set {
		// The set may have had other processors when the tag was put by their clocks.
		if tag := clock + debt; before(tag, t.tag) {
			s.setTag(top, tag)
		}
		return
	}
	if t.used != 0 {
		debt += mul20(Slice, t.inverse)
	}
	tag := s.clockOfSet(set, top, now) + debt
	if before(tag, t.tag) && !t.only(set) {
		return
	}
	t.base = set
	s.setTag(top, tag)
}

// followRest does so where a world below a group has gone, or all of a group of worlds, and all others have one set, which not all that
// went had. Else nothing has changed, and what the child of the root is ahead isn't to be cut off.
func (s *Scheduler) followRest(g ID, gone *Node, now uint64) {
	if g == Root {
		return
	}
	t := &s.Nodes[s.childOfRoot(g)]
	if set := uint32(t.sets / max(1, uint64(t.worlds))); t.only(set) && !gone.only(set) {
		s.follow(g, set, now)
	}
}

// debt is how far a node is ahead of a clock, up to LagMax of its service.
func (s *Scheduler) debt(n *Node, clock uint64) uint64 {
	if before(n.tag, clock) {
		return 0
	}
	return min(n.tag-clock, mul20(LagMax, n.inverse))
}

// only says whether all worlds of a child of the root have an affinity set: by the sum of those that they have, and of the squares, whose
// mean is that of the sum's squared for no others.
func (n *Node) only(set uint32) bool {
	if n.flags&Group == 0 {
		return n.set == set
	}
	k, x := uint64(n.worlds), uint64(set)
	return n.sets == k*x && n.squares == k*x*x
}

// addSets counts affinity sets of worlds, and their squares, into the groups above them.
func (s *Scheduler) addSets(g ID, sets, squares uint64) {
	for ; g != Root; g = s.Nodes[g].parent {
		x := &s.Nodes[g]
		x.sets += sets
		x.squares += squares
	}
}

// childOfRoot is the topmost of the nodes above one but for the root, or itself.
func (s *Scheduler) childOfRoot(id ID) ID {
	for s.Nodes[id].parent != Root {
		id = s.Nodes[id].parent
	}
	return id
}

// clockOfSet is the root's virtual time for a child of it whose worlds have an affinity set: the clock of the processor of that set
// that has come furthest. One where nobody waits has the clock that it would have if somebody came now: that of who runs there, though it
// may be far behind the root's own since it can't use its part. What the child itself runs where nobody else wants to tells nothing
// about it, and a processor that another set has alone doesn't count.
func (s *Scheduler) clockOfSet(set uint32, child ID, now uint64) uint64 {
	root := s.Nodes[Root].clock
	if set == 0 {
		return root
	}
	furthest, found := root, false
	for i := range s.CPUs {
		c, p := uint32(i), &s.CPUs[i]
		if !p.online || !s.bit(fixedSets+set, c) || p.exclusive != 0 && p.exclusive != set {
			continue
		}
		clock := p.clock
		switch {
		case p.nq != 0:
		case p.current == None || s.childOfRoot(p.current) != child:
			s.begin(c, now)
			clock = p.clock
		case before(clock, root):
			clock = root
		}
		if !found || before(furthest, clock) {
			furthest, found = clock, true
		}
	}
	return furthest
}
