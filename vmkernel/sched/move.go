package sched

// Move puts a group of virtual processors into another pool, Root for none, with all that its worlds do and had. It keeps
// what it was served ahead of its part, up to LagMax, so that nobody gains by moving to and fro; below the root by the clocks that
// its worlds have, see affinity.go. False where it can't be:
// no such group or pool, one of the system group, or it would be too deep.
func (s *Scheduler) Move(id, to ID, now uint64) bool {
	if id <= Root || int(id) >= len(s.Nodes) || to == None || int(to) >= len(s.Nodes) {
		return false
	}
	n, g := &s.Nodes[id], &s.Nodes[to]
	if n.flags&(Cosched|System) != Cosched || g.flags&Group == 0 || g.flags&(Cosched|System) != 0 || g.depth+2 > MaxDepth {
		return false
	}
	if n.parent == to {
		return true
	}
	waited := s.leaveParent(id, now)
	old := &s.Nodes[n.parent]
	clock := old.clock
	if n.parent == Root {
		s.Bring(now)
		clock = s.clockOfSet(n.base, id, now)
	}
	ahead := s.debt(n, clock)
	old.children--
	g.children++
	s.addWorlds(n.parent, -int32(n.children))
	s.addWorlds(to, int32(n.children))
	s.addSets(n.parent, -n.sets, -n.squares)
	s.addSets(to, n.sets, n.squares)
	s.followRest(n.parent, n, now)
	n.parent, n.depth = to, g.depth+1
	n.tag, n.slept, n.base = g.clock+ahead, g.free, 0
	if n.first != None {
		s.follow(id, s.Nodes[n.first].set, now)
	}
	s.joinParent(id, waited, now)
	return true
}

// leaveParent takes what the worlds of a group of virtual processors count for out of the groups above it. It returns
// those that wanted a processor and had none, a bit each in the order of the ring, which are blocked now.
func (s *Scheduler) leaveParent(id ID, now uint64) (waited uint64) {
	n := &s.Nodes[id]
	w := n.first
	for i := uint32(0); i < n.children; i++ {
		x := &s.Nodes[w]
		if x.state == Running {
			s.charge(x.cpu, now)
			s.repay(x.cpu, 0)
		} else if s.withdraw(w, now) {
			waited |= 1 << i
		}
		w = x.sibling
	}
	for p := n.parent; p != None; p = s.Nodes[p].parent {
		s.Nodes[p].nrun -= n.nrun
	}
	if running := n.nactive; running != 0 {
		s.deactivate(id)
		n.nactive = running
	}
	return waited
}

// joinParent is the reverse, after the group got another parent.
func (s *Scheduler) joinParent(id ID, waited, now uint64) {
	n := &s.Nodes[id]
	for p := n.parent; p != None; p = s.Nodes[p].parent {
		s.Nodes[p].nrun += n.nrun
	}
	if running := n.nactive; running != 0 {
		s.activate(id)
		n.nactive = running
	}
	w := n.first
	for i := uint32(0); i < n.children; i++ {
		x := &s.Nodes[w]
		x.depth = n.depth + 1
		if x.state == Running {
			s.kick(x.cpu, now) // it may have less now, or more
		} else if waited>>i&1 != 0 {
			s.arrive(w, s.place(w, now), now)
		}
		w = x.sibling
	}
}
