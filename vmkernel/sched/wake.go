package sched

// Wake makes a blocked world runnable; a world that is so already, or paused, stays as it is (a
// paused one is runnable once it is resumed). The processors to kick are noted.
func (s *Scheduler) Wake(id ID, now uint64) {
	n := &s.Nodes[id]
	switch n.state {
	case Paused:
		n.flags &^= blocked0
		return
	case Blocked:
	default:
		return
	}
	s.arrive(id, s.place(id, now), now)
}

// arrive has a world that was blocked wait for processor c.
func (s *Scheduler) arrive(id ID, c uint32, now uint64) {
	s.Nodes[id].since = now
	s.catchUp(id, now)
	s.submit(id, c, s.activate(id), now)
	s.notice(id, c, now)
	if s.Nodes[id].state == Ready {
		s.bound(id, now)
	}
}

// Block ends the turn of processor c's running world, which wants no processor until it is woken. c
// is to call Pick next. What wakes the world must not come before Block: the caller's lock sees to it.
func (s *Scheduler) Block(c uint32, now uint64) ID {
	id := s.stop(c, now)
	if id == None {
		return None
	}
	s.deactivate(id)
	n := &s.Nodes[id]
	n.state = Blocked
	if n.flags&wantStop != 0 {
		n.flags = n.flags&^wantStop | blocked0
		n.state, n.since = Paused, now
	}
	return id
}

// Yield has processor c's running world give up its turn, which Pick does next. A virtual processor
// that spins gives what is left of it to a sibling that waits and doesn't spin, the one with the least
// progress: it lost its processor longest ago, and is the likeliest to hold the lock. Spinners would hand
// the turn to and fro among themselves, who use little and so would be owed more than the holder; where none
// but they wait, the one that has waited here for longest has it. Others go behind all that wait.
func (s *Scheduler) Yield(c uint32) {
	p := &s.CPUs[c]
	if p.current == None {
		return
	}
	p.yielded = true
	g := &s.Nodes[s.Nodes[p.current].parent]
	if p.next = g.waiting; p.next == None && g.nwait != 0 && g.flags&Cosched != 0 {
		p.next = s.spinner(p.current)
	}
}

// spinner is the sibling of a running world that gave its turn up and has waited longest for that one's
// processor, None where there is none: a walk over at most MaxSiblings.
func (s *Scheduler) spinner(id ID) ID {
	c, found := s.Nodes[id].cpu, None
	i := s.Nodes[id].sibling
	for n := 0; n < MaxSiblings && i != id; n++ {
		x := &s.Nodes[i]
		if x.state == Ready && x.flags&gaveUp != 0 && x.cpu == c && (found == None || x.since < s.Nodes[found].since) {
			found = i
		}
		i = x.sibling
	}
	return found
}

// Switch gives the processor directly from its running world, which blocks, to one that is blocked,
// within what is left of the turn. It returns false if that may not run here now (a limit, a pause,
// its affinity): then it is woken as by Wake, and c is to call Pick.
func (s *Scheduler) Switch(c uint32, to ID, now uint64) bool {
	p, n := &s.CPUs[c], &s.Nodes[to]
	turn := p.started
	s.Block(c, now)
	if n.state != Blocked {
		s.Wake(to, now) // it is paused
		return false
	}
	n.since = now
	s.catchUp(to, now)
	// A thread goes on even where the processor isn't its own: the exit of one that has it for itself leads there. Its
	// next turn is elsewhere.
	if n.flags&System == 0 && !s.allowed(to, c) || s.release(to, now) > now || s.ahead(to, now) {
		s.Wake(to, now)
		return false
	}
	s.raise(to, c, s.activate(to))
	p.clearIdle(now)
	s.run(to, c, now)
	p.excess, p.dueTurn = 0, false
	p.started = turn
	p.until = min(p.until, s.timer(c, now))
	return true
}

// CanSwitch says whether Switch would return true.
func (s *Scheduler) CanSwitch(c uint32, to ID, now uint64) bool {
	if s.Nodes[to].state != Blocked || !s.allowed(to, c) || s.release(to, now) > now {
		return false
	}
	s.catchUp(to, now)
	return !s.ahead(to, now)
}

// Urge has a thread of the system group that waits go before the others that do, at once: the runtime wants it to stop, and
// does nothing else until it has. It does nothing for others.
func (s *Scheduler) Urge(id ID, now uint64) {
	n := &s.Nodes[id]
	if n.state != Ready || n.timed != qSystem {
		return
	}
	p := &s.CPUs[n.cpu]
	s.remove(&p.queue[qSystem], id, byDue)
	s.insert(&p.queue[qSystem], id, byDue, sub(n.since, 2*SystemWait))
	s.replay(cupSystem, n.cpu)
	s.notice(id, n.cpu, now)
}

// Withdraw makes a world that waits for a processor, is parked, or is paused until it may go on, one
// that wants none until it is woken. It does nothing for others.
func (s *Scheduler) Withdraw(id ID, now uint64) {
	if n := &s.Nodes[id]; n.state == Paused {
		n.flags |= blocked0
		return
	}
	s.withdraw(id, now)
}

// Contended says whether any world waits that processor c could run, or at processor c.
func (s *Scheduler) Contended(c uint32) bool {
	p := &s.CPUs[c]
	return p.nq != 0 || s.waiting != 0 && p.exclusive == 0
}

// OnlyThreads says whether threads of the system group wait at processor c, and nobody else does.
func (s *Scheduler) OnlyThreads(c uint32) bool {
	p := &s.CPUs[c]
	return p.nsys != 0 && p.nsys == p.nq
}

// Until is what the last Pick or Switch of processor c returned: when it has to call Pick.
func (s *Scheduler) Until(c uint32) uint64 { return s.CPUs[c].until }

// notice has processor c look, in time, at a world that began to wait or was parked there.
func (s *Scheduler) notice(id ID, c uint32, now uint64) {
	p, n := &s.CPUs[c], &s.Nodes[id]
	if n.state == Parked {
		s.kick(c, max(n.link[byKey].key, now+s.soonest()))
		return
	}
	if p.current == None {
		s.kick(c, now)
		return
	}
	x := &s.Nodes[p.current]
	switch {
	case n.flags&System != 0:
		if x.flags&System == 0 {
			s.kick(c, max(s.systemDue(p), now))
		} else {
			s.kick(c, max(p.started+s.systemSlice(p), now))
		}
	case x.flags&System != 0:
		if s.paced(p) {
			s.kick(c, max(p.started+s.pacedTurn(p), now))
		} else {
			by := now + min(s.allowance(p.current, now), Slice) + s.soonest()
			if s.inTheWay(p) {
				by = min(by, max(p.started+Slice, now))
			}
			s.kick(c, by)
		}
	case s.precedes(id, c, now):
		s.kick(c, now)
	default:
		t := max(p.started+Slice, now)
		if n.timed == qDue {
			t = min(t, max(n.link[byDue].key, now))
		}
		s.kick(c, t)
	}
}

// precedes says whether a guest's world goes before the one that processor c runs by so much that it
// is to take its place at once.
func (s *Scheduler) precedes(id ID, c uint32, now uint64) bool {
	s.charge(c, now)
	p := &s.CPUs[c]
	if p.dueTurn {
		return false
	}
	if n := &s.Nodes[id]; n.timed == qDue && n.link[byDue].key <= now {
		return true
	}
	key := s.key(p.current)
	return before(s.Nodes[id].link[byKey].key+s.gap(PreemptLag), key-p.excess)
}

// place is the processor where a world is to wait: the one where it ran last if that is idle, else
// an idle one. A thread of the system group then takes one where a guest runs. Of the others the one
// where it ran last, unless one of two looked at runs a world that is further ahead, or as far and
// fewer wait there.
func (s *Scheduler) place(id ID, now uint64) uint32 {
	n := &s.Nodes[id]
	last := n.cpu
	mayStay := s.allowed(id, last)
	if c := s.idleFor(id, last); c != noCPU {
		return c
	}
	if n.flags&System != 0 {
		if c := s.displace(id, last, now); c != noCPU {
			return c
		}
	}
	if mayStay && n.flags&movable == 0 {
		return last
	}
	best, found := last, mayStay
	var most uint64
	if found {
		most = s.front(last, now) + s.gap(PreemptLag) - s.away(id, last)
	}
	for i := 0; i < 2; i++ {
		c := s.probe(last, id)
		if c == noCPU || c == best {
			continue
		}
		f := s.front(c, now) - s.away(id, c)
		if !found || before(most, f) || s.CPUs[c].nq < s.CPUs[best].nq && before(most, f+s.gap(Slice)) {
			best, most, found = c, f, true
		}
	}
	return best
}

// displace is the processor where a thread of the system group takes a guest's place: the first from last on, unless one of
// two looked at runs a guest that is MigrateLag further ahead. One that may have a processor for itself, for its shares, is
// behind those that share the others: it would be the only one to pay for the threads that happened to run there. noCPU where
// no guest runs that it could displace.
func (s *Scheduler) displace(id ID, last uint32, now uint64) uint32 {
	best := s.find(setGuest, id, last)
	if best == noCPU || s.online == 1 {
		return best
	}
	most := s.front(best, now) + s.gap(MigrateLag)
	for i := 0; i < 2; i++ {
		c := s.probe(last, id)
		if c == noCPU || c == best || !s.bit(setGuest, c) {
			continue
		}
		if f := s.front(c, now); before(most, f) {
			best, most = c, f
		}
	}
	return best
}

// front is the key of processor c's running world: how far it has come.
func (s *Scheduler) front(c uint32, now uint64) uint64 {
	s.charge(c, now)
	p := &s.CPUs[c]
	if p.current == None || s.Nodes[p.current].flags&System != 0 {
		return p.clock
	}
	if p.nq == 0 {
		s.raise(p.current, c, 0) // who runs alone isn't charged, and so behind by as long as others slept
	}
	key := s.key(p.current)
	return key - p.excess
}

// probe returns some processor on which a world may run, another each time it is called for
// processor c, noCPU if a few words of the set show none but c.
func (s *Scheduler) probe(c uint32, id ID) uint32 {
	p := &s.CPUs[c]
	aff := (fixedSets + s.Nodes[id].set) * s.words
	from := p.probe + 1
	for i := uint32(0); i <= s.words; i++ {
		if from >= s.words*64 {
			from = 0
		}
		m := s.Bits[aff+from/64] &^ (1<<(from%64) - 1)
		for ; m != 0; m &= m - 1 {
			o := from&^63 + lowest(m)
			if o != c && s.allowed(id, o) {
				p.probe = o
				return o
			}
		}
		from = from&^63 + 64
	}
	p.probe = 0
	return noCPU
}
