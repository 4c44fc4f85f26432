package sched

import "math/bits"

// Check looks at everything that must hold between two calls and returns what doesn't, "" if all
// does. It is for tests: it looks at all nodes.
func (s *Scheduler) Check() string {
	var free, live, waiting, some, kicks uint32
	for id := s.free; id != None; id = s.Nodes[id].sibling {
		if free++; s.Nodes[id].state != Free || int(free) > len(s.Nodes) {
			return "the list of free nodes is broken"
		}
	}
	if !s.checkPrepaid() {
		return "a node has more prepaid, or less, than turns are under way below it"
	}
	var inQueues, inParked, running, limits, reserves uint32
	for i := range s.Nodes[Root:] {
		id := Root + ID(i)
		n := &s.Nodes[id]
		if n.state == Free {
			continue
		}
		if id != Root {
			live++
		}
		if n.flags&System == 0 {
			limits += one(n.limit)
			reserves += one(n.reservation)
		}
		if n.flags&Group != 0 {
			if bad := s.checkGroup(id); bad != "" {
				return bad
			}
			continue
		}
		if bad := s.checkWorld(id); bad != "" {
			return bad
		}
		switch n.state {
		case Ready:
			inQueues++
			if n.flags&movable != 0 {
				waiting++
				if n.heap == qSome && n.flags&System == 0 {
					some++
				}
			}
		case Parked:
			inParked++
		case Running:
			running++
		}
	}
	if live != s.nodes || live+free+2 != uint32(len(s.Nodes)) {
		return "a node is neither free nor live"
	}
	if limits != s.limits || reserves != s.reserves {
		return "the number of nodes with a limit or a reservation is wrong"
	}
	if waiting != s.waiting || some != s.some {
		return "the number of waiting worlds is wrong"
	}
	for i := range s.CPUs {
		p := &s.CPUs[i]
		c := uint32(i)
		var size [queues]uint32
		for q, top := range p.queue {
			k := byKey
			if q == qSystem || q == qDue || q == qLook {
				k = byDue
			}
			var n uint32
			var ok bool
			if q == qLook {
				n, ok = s.checkRing(top, byDue, false)
			} else {
				n, ok = s.checkHeap(top, k)
			}
			if !ok {
				return "a heap is broken"
			}
			size[q] = n
		}
		if p.nq != size[qAny]+size[qSome]+size[qPinned]+size[qSystem] || p.nsys != size[qSystem] || p.nq != size[qSystem]+size[qDue]+size[qLook] {
			return "a queue's length is wrong"
		}
		inQueues -= p.nq
		inParked -= size[qParked]
		if p.current != None {
			running--
			if n := &s.Nodes[p.current]; n.state != Running || n.cpu != c {
				return "a processor runs a world that isn't running there"
			}
		}
		if p.prepaid > sub(p.started+Slice, p.since) || p.prepaid != 0 && (p.current == None || !p.dueTurn) {
			return "a processor's turn has prepaid more than is left of it"
		}
		if s.bit(setIdle, c) && (p.current != None || p.nq != 0) || s.bit(setGuest, c) != (p.current != None && s.Nodes[p.current].flags&System == 0) {
			return "the set of idle processors or of those that run guests is wrong"
		}
		if s.bit(setAway, c) != (p.current != None && !s.atHome(p.current, c)) {
			return "the set of processors that run worlds away from home is wrong"
		}
		if s.bit(setKick, c) {
			kicks++
		}
	}
	if inQueues != 0 || inParked != 0 || running != 0 {
		return "a world is lost"
	}
	if kicks != s.kicks {
		return "the number of kicks is wrong"
	}
	for cup := cupAny; cup < cups; cup++ {
		if !s.checkCup(cup) {
			return "a tournament has the wrong winner"
		}
	}
	return ""
}

func (s *Scheduler) checkGroup(id ID) string {
	n := &s.Nodes[id]
	var children, worlds, nactive, nwait, nrun, awaited uint32
	var active, sets, squares uint64
	for i := range s.Nodes[Root+1:] {
		x := &s.Nodes[Root+1+ID(i)]
		if x.state == Free || x.parent != id {
			continue
		}
		children++
		if x.nactive != 0 {
			nactive++
			active += uint64(x.shares)
		}
		worlds += x.worlds
		sets, squares = sets+x.sets, squares+x.squares
		if x.flags&Group == 0 {
			worlds++
			sets, squares = sets+uint64(x.set), squares+uint64(x.set)*uint64(x.set)
		}
		if x.flags&Group != 0 {
			nwait += x.nwait
		} else if x.state == Ready {
			nwait++
		}
		if (x.state == Ready || x.state == Parked) && x.flags&gaveUp == 0 {
			awaited++
		}
		if n.flags&Cosched != 0 && x.nactive != 0 && x.flags&gaveUp == 0 && x.progress < n.floor {
			return "a virtual processor is further behind than its group knows"
		}
		nrun += x.nrun
	}
	if id == Root {
		nwait, nrun = n.nwait, n.nrun // not kept
	}
	if id != Root && (worlds != n.worlds || sets != n.sets || squares != n.squares) || children != n.children || nactive != n.nactive || active != n.active || nwait != n.nwait || nrun != n.nrun {
		return "a group's sums are wrong"
	}
	waiting, contending := uint32(0), uint64(0)
	for i := range s.Nodes[Root+1:] {
		x := &s.Nodes[Root+1+ID(i)]
		if x.state == Free || x.parent != id || id == Root {
			continue
		}
		if (x.state == Ready || x.nwait != 0) != (x.link[byTag].in) || x.link[byTag].in && x.link[byTag].key != x.tag {
			return "a child isn't where its tag says"
		}
		if x.link[byTag].in {
			waiting++
			contending += uint64(x.shares)
		}
	}
	if n.nactive != 0 && n.flags&meant != 0 && !s.checkMean(id) {
		return "a pool's mean is wrong"
	}
	size, ok := uint32(0), false
	if n.flags&Cosched != 0 {
		size, ok = s.checkRing(n.least, byTag, true)
	} else {
		size, ok = s.checkHeap(n.least, byTag)
	}
	if !ok || size != waiting || n.contending != contending {
		return "a group's order by tag is broken"
	}
	if n.flags&Cosched != 0 {
		if size, ok := s.checkRing(n.waiting, byProgress, true); !ok || size != awaited {
			return "a group's waiting worlds are wrong"
		}
		ring := uint32(0)
		for i := n.first; i != None; {
			if ring++; s.Nodes[i].parent != id || ring > MaxSiblings {
				return "a group's ring is broken"
			}
			if i = s.Nodes[i].sibling; i == n.first {
				break
			}
		}
		if ring != children {
			return "a group's ring has lost a world"
		}
	}
	return ""
}

// checkPrepaid says whether of all nodes together as much is prepaid as the turns that are under way have, and of none less than
// those below it have.
func (s *Scheduler) checkPrepaid() bool {
	var all, sum uint64
	for c := range s.CPUs {
		p := &s.CPUs[c]
		all += p.prepaid * uint64(s.Nodes[p.current].depth)
		for n := p.current; n > Root; n = s.Nodes[n].parent {
			if s.Nodes[n].prepaid < p.prepaid {
				return false
			}
		}
	}
	for i := range s.Nodes {
		sum += s.Nodes[i].prepaid
	}
	return sum == all
}

// checkMean says whether the mean of a pool's children is where their tags and shares have it, exactly.
func (s *Scheduler) checkMean(id ID) bool {
	g := &s.Nodes[id]
	var sum, carry uint64 // of two words, the upper one in carry
	for i := range s.Nodes[Root+1:] {
		x := &s.Nodes[Root+1+ID(i)]
		if x.state == Free || x.parent != id || x.nactive == 0 {
			continue
		}
		d := x.tag - g.mean
		hi, lo := bits.Mul64(d, uint64(x.shares))
		if int64(d) < 0 {
			hi -= uint64(x.shares)
		}
		var c uint64
		sum, c = bits.Add64(sum, lo, 0)
		carry += hi + c
	}
	return carry == 0 && sum == g.rest && g.rest < g.active
}

func (s *Scheduler) checkWorld(id ID) string {
	n := &s.Nodes[id]
	p := &s.CPUs[n.cpu]
	switch n.state {
	case Ready, Parked:
		if !n.link[byKey].in && !n.link[byDue].in || n.nactive != 1 || n.nrun != 0 {
			return "a waiting world is in no queue"
		}
		if n.state == Ready && p.idling && s.allowed(id, n.cpu) && !s.bit(setKick, n.cpu) && p.until == Never {
			return "a world waits for an idle processor that nobody kicks"
		}
		if p.current != None && p.until == Never && n.state == Ready && !s.bit(setKick, n.cpu) && s.Nodes[p.current].flags&System == 0 {
			return "a world waits for a processor that has no timer"
		}
	case Running:
		if p.current != id || n.nactive != 1 || n.nrun != 1 || n.link[byKey].in || n.link[byDue].in {
			return "a running world is in a queue"
		}
	default:
		if n.link[byKey].in || n.link[byDue].in || n.link[byProgress].in || n.nactive|n.nrun != 0 {
			return "a blocked world is in a queue"
		}
	}
	return ""
}

// checkHeap returns a heap's size and whether it is one. A heap of worlds that came in the order of their keys is a
// single way down to the left, as deep as there are worlds, and this runs on a stack of the lower half: so it walks, each
// node before what is below it, and back by the links upwards, which it has seen to be right on its way down.
func (s *Scheduler) checkHeap(top ID, k int) (size uint32, ok bool) {
	up := None
	for id := top; id != None; {
		l := &s.Nodes[id].link[k]
		if size++; !s.checkLink(id, up, k) || int(size) > len(s.Nodes) {
			return size, false
		}
		if up, id = id, l.left; id != None {
			continue
		}
		// Nothing at the left, so there is nothing at the right either: the next is the right child of the nearest node
		// above that has one and was left by its left child.
		for child := None; up != None; child, up = up, l.up {
			if l = &s.Nodes[up].link[k]; l.left == child && l.right != None {
				id = l.right
				break
			}
		}
	}
	return size, true
}

// checkLink says whether a node of a heap stands rightly to the one above it and to its children.
func (s *Scheduler) checkLink(id, up ID, k int) bool {
	l := &s.Nodes[id].link[k]
	return l.in && l.up == up && (up == None || !before(l.key, s.Nodes[up].link[k].key)) &&
		l.ld >= l.rd && s.distOf(l.left, k) == l.ld && s.distOf(l.right, k) == l.rd && (l.left != l.right || l.left == None)
}

// checkRing returns a ring's length and whether it is one, sorted if it is to be.
func (s *Scheduler) checkRing(first ID, k int, sorted bool) (n uint32, ok bool) {
	for id := first; id != None; {
		l := &s.Nodes[id].link[k]
		next := &s.Nodes[l.right].link[k]
		if n++; !l.in || next.left != id || int(n) > len(s.Nodes) || sorted && l.right != first && before(next.key, l.key) {
			return n, false
		}
		if id = l.right; id == first {
			break
		}
	}
	return n, true
}

func (s *Scheduler) checkCup(cup int) bool {
	w := s.winner(cup)
	for c := range s.CPUs {
		if s.entry(cup, uint32(c)) == None {
			continue
		}
		if w == noCPU || before(s.cupKey(cup, uint32(c)), s.cupKey(cup, w)) {
			return false
		}
	}
	return true
}

func (s *Scheduler) distOf(id ID, k int) uint8 {
	if id == None {
		return 0
	}
	return s.Nodes[id].link[k].dist()
}
