package sched

// activate counts a world that wants to run into the groups above it. It returns how many levels,
// from the world on, had nothing runnable before.
func (s *Scheduler) activate(id ID) (fresh int) {
	s.Nodes[id].nactive = 1
	fresh = 1
	for n := id; n != Root; {
		x := &s.Nodes[n]
		p := &s.Nodes[x.parent]
		p.active += uint64(x.shares)
		p.nactive++
		if p.flags&meant != 0 {
			s.enter(n)
		}
		if p.nactive != 1 {
			break
		}
		fresh++
		n = x.parent
	}
	return fresh
}

// deactivate is the reverse: the world is blocked.
func (s *Scheduler) deactivate(id ID) {
	s.Nodes[id].nactive = 0
	for n := id; n != Root; {
		x := &s.Nodes[n]
		p := &s.Nodes[x.parent]
		x.slept = p.free
		p.active -= uint64(x.shares)
		p.nactive--
		if p.flags&meant != 0 {
			s.leave(n)
		}
		if p.nactive != 0 {
			break
		}
		n = x.parent
	}
	s.hasten(id)
}

// hasten has the first of those that wait in the groups above a world wait for no longer than they are to by now: it has been parked,
// or blocked, and while it waited itself they were that much later, who now have what it was to have.
func (s *Scheduler) hasten(id ID) {
	if s.Nodes[id].flags&System != 0 {
		return
	}
	for g := s.Nodes[id].parent; g != Root; g = s.Nodes[g].parent {
		if s.Nodes[g].least == None {
			continue
		}
		o := s.leastBelow(g)
		if key := s.key(o); before(key, s.Nodes[o].link[byKey].key) {
			s.rekey(o, key)
		}
	}
}
