package sched

// A Policy is what a node may have. The ranges are the caller's to keep (package admit); beyond them
// Create and SetPolicy refuse.
type Policy struct {
	Shares      uint32 // 1 to MaxShares, relative to its siblings'
	Reservation uint32 // 1/1000 of a processor, to MaxRate
	Limit       uint32 // likewise, 0: none
}

// Valid says whether the values are in range, and the limit isn't below the reservation.
func (p *Policy) Valid() bool {
	return p.Shares != 0 && p.Shares <= MaxShares && p.Reservation <= MaxRate && p.Limit <= MaxRate &&
		(p.Limit == 0 || p.Limit >= p.Reservation)
}

// Online adds processor c, which runs nothing yet and is to call Pick.
func (s *Scheduler) Online(c uint32, now uint64) bool {
	if c >= uint32(len(s.CPUs)) || s.CPUs[c].online {
		return false
	}
	p := &s.CPUs[c]
	*p = CPU{online: true, until: Never, since: now, idleSince: now, idling: true, clock: p.clock, contended: s.contendedAt(now)}
	s.online++
	s.setBit(fixedSets, c)
	s.setBit(setIdle, c)
	return true
}

// Create makes a node below a group: another group, or a world, blocked. flags are Group, System (one
// group below the root, once; what is below inherits it) and Cosched. owner is the caller's. None
// where that can't be: no free node, too deep, values out of range.
func (s *Scheduler) Create(parent, owner ID, flags uint8, p *Policy) ID {
	if int(parent) >= len(s.Nodes) || s.free == None || !p.Valid() {
		return None
	}
	g := &s.Nodes[parent]
	if g.flags&Group == 0 || g.depth >= MaxDepth || g.flags&Cosched != 0 && (flags&Group != 0 || g.children >= MaxSiblings) {
		return None
	}
	if flags&System != 0 && (parent != Root || s.system != None || flags&Group == 0) || flags&Cosched != 0 && flags&Group == 0 {
		return None
	}
	id := s.free
	n := &s.Nodes[id]
	s.free = n.sibling
	*n = Node{parent: parent, owner: owner, depth: g.depth + 1, state: Blocked}
	n.flags = uint16(flags)&(Group|System|Cosched) | g.flags&System
	if n.flags&(Group|System|Cosched) == Group {
		n.flags |= meant
	}
	n.setShares(p.Shares)
	s.setRates(n, p.Reservation, p.Limit)
	n.tag = g.clock
	if n.flags&Group == 0 {
		n.flags |= movable | anywhere
		n.cpu = lowestOr0(s.Bits[fixedSets*s.words])
		s.addWorlds(parent, 1)
	}
	if flags&System != 0 {
		s.system = id
	}
	g.children++
	s.nodes++
	if g.flags&Cosched != 0 {
		n.progress = g.progress
		if g.first == None {
			g.first, n.sibling = id, id
		} else {
			f := &s.Nodes[g.first]
			n.sibling, f.sibling = f.sibling, id
		}
	} else {
		n.sibling = None
	}
	return id
}

// addWorlds counts worlds into the groups above them. Where a limit can be reached from now on, who runs below it has to look: at once,
// which is by 0, as Create isn't told the time. That would spare nobody a kick but a processor whose timer has just ended.
func (s *Scheduler) addWorlds(g ID, n int32) {
	for ; g != Root; g = s.Nodes[g].parent {
		x := &s.Nodes[g]
		was := x.reachable()
		x.worlds += uint32(n)
		if !was && x.reachable() && x.flags&System == 0 {
			s.kickBusy(0)
		}
	}
}

// Destroy frees a node: a group without children, or a world that isn't running (the caller takes it
// off its processor with Block first).
func (s *Scheduler) Destroy(id ID, now uint64) bool {
	if id <= Root || int(id) >= len(s.Nodes) {
		return false
	}
	n := &s.Nodes[id]
	if n.state == Free || n.state == Running || n.children != 0 {
		return false
	}
	s.withdraw(id, now)
	g := &s.Nodes[n.parent]
	if g.flags&Cosched != 0 {
		prev := id
		for i := 0; i < MaxSiblings && s.Nodes[prev].sibling != id; i++ {
			prev = s.Nodes[prev].sibling
		}
		s.Nodes[prev].sibling = n.sibling
		g.first = n.sibling
		if n.sibling == id {
			g.first = None
		}
	}
	if id == s.system {
		s.system, s.pacing = None, false
	}
	g.children--
	if n.flags&Group == 0 {
		s.addWorlds(n.parent, -1)
		s.addSets(n.parent, -uint64(n.set), -uint64(n.set)*uint64(n.set))
		s.followRest(n.parent, n, now)
	}
	s.nodes--
	s.setRates(n, 0, 0)
	*n = Node{sibling: s.free}
	s.free = id
	return true
}

// withdraw makes a waiting or parked world blocked.
func (s *Scheduler) withdraw(id ID, now uint64) bool {
	n := &s.Nodes[id]
	switch n.state {
	case Ready:
		s.dequeue(id, now)
		n.wait(now)
	case Parked:
		s.unpark(id, now)
	default:
		return false
	}
	s.deactivate(id)
	n.state = Blocked
	n.flags &^= gaveUp
	return true
}

// SetPolicy changes what a node may have. It takes effect at once for what is picked next, within a
// turn for what waits, and within parkMax for what is parked.
func (s *Scheduler) SetPolicy(id ID, p *Policy, now uint64) bool {
	if id <= Root || int(id) >= len(s.Nodes) || s.Nodes[id].state == Free || !p.Valid() {
		return false
	}
	n := &s.Nodes[id]
	s.reshare(id, p.Shares)
	if p.Reservation != n.reservation || p.Limit != n.limit {
		first := n.reservation == 0 && p.Reservation != 0
		if p.Reservation != n.reservation {
			n.reserve(perRate(p.Reservation), now)
		}
		s.setRates(n, p.Reservation, p.Limit)
		if first {
			s.queueByDue(id, now)
		}
		n.limTag = min(n.limTag, now+LimitBurst)
		s.bringForward(id, noCPU, now)
		s.pace(now)
		s.kickBusy(now)
	}
	return true
}

// queueByDue has the world that is owed most of those that wait below a node, which got a reservation, wait for that as well. The turns
// of others are its own until they are looked at, see review.
func (s *Scheduler) queueByDue(id ID, now uint64) {
	if g := &s.Nodes[id]; g.flags&Group != 0 {
		if g.least == None {
			return
		}
		id = s.leastBelow(id)
	}
	if n := &s.Nodes[id]; n.state == Ready && n.timed == qLook {
		s.dequeue(id, now)
		s.enqueue(id, n.cpu, 0, now)
		s.notice(id, n.cpu, now)
	}
}

// reshare changes a node's shares, and what depends on them.
func (s *Scheduler) reshare(id ID, shares uint32) {
	n := &s.Nodes[id]
	g := &s.Nodes[n.parent]
	counted := n.nactive != 0 && g.flags&meant != 0
	if n.nactive != 0 {
		g.active -= uint64(n.shares)
	}
	if counted {
		s.leave(id)
	}
	s.rescale(n, uint64(n.shares), uint64(shares))
	if n.link[byTag].in {
		g.contending += uint64(shares) - uint64(n.shares) // modulo 2^64, as the sum isn't negative
	}
	n.setShares(shares)
	if n.nactive != 0 {
		g.active += uint64(shares)
	}
	if counted {
		s.enter(id)
	}
	if n.link[byTag].in {
		s.retag(id)
	}
}

// setRates sets a node's reservation and limit, and keeps the numbers of nodes that have one.
func (s *Scheduler) setRates(n *Node, reservation, limit uint32) {
	if n.flags&System == 0 {
		s.reserves += one(reservation) - one(n.reservation)
		s.limits += one(limit) - one(n.limit)
	}
	n.reservation, n.limit = reservation, limit
	n.perLimit = perRate(limit)
	if reservation != 0 {
		n.perReserved = perRate(reservation) // else what it was is remembered, see reserve
	}
}

func one(rate uint32) uint32 { return min(rate, 1) }

// rescale keeps, at a change of shares, what a node was served ahead of its part, in service. What it
// is behind doesn't grow by it: else who changes shares to and fro would gain.
func (s *Scheduler) rescale(n *Node, from, to uint64) {
	clock := s.Nodes[n.parent].clock
	if n.parent == Root {
		clock = s.clockOf(n)
	}
	if before(clock, n.tag) {
		n.tag = clock + min(mul20(min(n.tag-clock, maxDistance), from<<20/to), maxDistance)
	} else if from < to {
		n.tag = clock - mul20(min(clock-n.tag, maxDistance), from<<20/to)
	}
}

// clockOf is the root's virtual time for a child of it: of the processors' clocks, and the root's own, the one that its tag is
// least far from, since what is confined to some processors is served by their clocks.
func (s *Scheduler) clockOf(n *Node) uint64 {
	clock := s.Nodes[Root].clock
	for c := range s.CPUs {
		if p := &s.CPUs[c]; p.online && apart(p.clock, n.tag) < apart(clock, n.tag) {
			clock = p.clock
		}
	}
	return clock
}

// apart is how far two tags are apart.
func apart(a, b uint64) uint64 {
	if before(a, b) {
		return b - a
	}
	return a - b
}

// kickBusy has all processors that run guests look again by a time, as kick does.
func (s *Scheduler) kickBusy(by uint64) {
	for w := uint32(0); w < s.words; w++ {
		for m := s.Bits[setGuest*s.words+w]; m != 0; m &= m - 1 {
			s.kick(w*64+lowest(m), by)
		}
	}
}

// Requeue has a world that waits or is parked begin to wait anew, so that a change of what it or a group
// above it may have takes effect for it at once.
func (s *Scheduler) Requeue(id ID, now uint64) {
	if s.withdraw(id, now) {
		s.arrive(id, s.place(id, now), now)
	}
}

// Pause keeps a world from running until it is resumed. The processor of a running one is kicked,
// and pauses it at its Pick: in guest mode it is a vCPU that stops, never a thread in its kernel.
func (s *Scheduler) Pause(id ID, now uint64) bool {
	if id <= Root || int(id) >= len(s.Nodes) || s.Nodes[id].flags&(Group|System) != 0 {
		return false
	}
	n := &s.Nodes[id]
	switch n.state {
	case Running:
		n.flags |= wantStop
		s.kick(n.cpu, now)
	case Ready, Parked:
		s.withdraw(id, now)
		n.state, n.since = Paused, now
		n.flags &^= blocked0
	case Blocked:
		n.state, n.since = Paused, now
		n.flags |= blocked0
	default:
		return n.state == Paused
	}
	return true
}

// Resume ends a pause: a world that was blocked, and hasn't been woken since, is blocked again.
func (s *Scheduler) Resume(id ID, now uint64) bool {
	if id <= Root || int(id) >= len(s.Nodes) {
		return false
	}
	n := &s.Nodes[id]
	switch {
	case n.state == Running:
		n.flags &^= wantStop
	case n.state != Paused:
		return n.state != Free
	default:
		n.paused += sub(now, n.since)
		n.state = Blocked
		if n.flags&blocked0 == 0 {
			s.arrive(id, s.place(id, now), now)
		}
		n.flags &^= blocked0
	}
	return true
}

// Bill adds ns of service, which was given to a world in another's name, to its account: time in Go
// on behalf of a VM. It is repaid like its own.
func (s *Scheduler) Bill(id ID, ns, now uint64) {
	s.bill(id, ns, min(ns, maxCharge), 0, 0, now)
}

func lowestOr0(m uint64) uint32 {
	if m == 0 {
		return 0
	}
	return lowest(m)
}
