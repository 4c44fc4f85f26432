package sched

import "math/bits"

// The rule of shares
//
// Every child of a group has a tag: the service it got, divided by its shares (start-time fair
// queueing, of a whole tree). Serving a world for d ns adds d/shares to its own tag and to that of
// each group above it. The group that is owed most is the one with the least tag, and in it likewise
// the child that is owed most. A world waits in the queue of a processor under its key: the tag of
// the topmost group above it, plus what must be served before it in the groups between:
//
//	key(world) = tag(world)
//	key        = tag(group) + max(0, key - least(group)) * contending(group)/shares(group)   upwards
//
// where least(group) is the least tag of its children that have a waiting world, and contending(group)
// the sum of the shares of these. So the child that is owed most has its group's
// tag, and siblings come as much later as the service takes that is owed to the group's children
// before. Service moves tag(group) forward by d/shares(group) and the least tags by about
// d/contending(group), so a key stays right while its world waits; it is computed anew whenever the
// world is queued, when it has come to the head of its queue, after some turns elsewhere in it, and,
// of the first in each group, when one of that group stops waiting without being served (hasten).
//
// In a pool, children that run with all that they have don't wait, and may be owed more than those that do: these would be alone
// in waiting, and taken to be due as soon as their pool is. So whoever waits is due later by what the pool is to be served until the
// mean of its children's tags has come to the least of those that wait (mean.go),
//
//	early(group) = max(0, least(group) - mean(group)) * active(group)/shares(group)
//
// with active(group) the sum of the shares of its runnable children. Who runs with all that it has may be unable to use more, though, and
// then its tag, and the mean, stay behind for good. That shows in the pool's tag, which falls behind those of its siblings as nobody
// uses what it is due. So early, of all levels together, is no more than EarlyMax of wall time, and than LagMax/2 of a
// group's service, which is below what raise leaves a group to be behind: a pool of whose children some have
// all that they can use is behind by that, once, and the others are served whenever it is further behind.
//
// So shares are kept at each level by tags that are exact, whatever happens below: forks, worlds
// that take turns in sleeping and children that use less than their part change the key, that is
// when a world is served, but not what its group is charged. What a child can't use goes to its
// siblings first, then to those of its parent.
//
// The bound. For two nodes i and j of one group that have waiting worlds all the time and are picked
// by key on one processor, at any time
//
//	|service(i)/shares(i) - service(j)/shares(j)| <= Slice/shares(i) + Slice/shares(j)
//
// (a tag is charged at most one turn beyond the least one before it has to wait). Each level between
// a node and its worlds adds one turn, since its key can be late by what its siblings are served
// meanwhile. On several processors a world is moved as soon as it is MigrateLag behind the one that
// would be picked; to both sides that adds MigrateLag of the root's virtual time. So with the default
// times a VM is never further from its part than some 2 ms of service, plus 1 ms for each pool above
// it, plus 2 ms for each processor that it is due; that is below 2 % of one second for one that is due
// a seventh of a processor, and below 0.4 % for one that is due two. A pool that has to be behind before those of its children are
// served that wait, see above, adds EarlyMax for each processor that it is due. Affinity sets are not in that bound: what may not be
// moved gets its part of its own processors only. Nor is what a VM in such a pool is due within a few per cent of all that its virtual
// processors can use: the mean can't tell it from one that can't use its part. In the worst of 300 random trees it has a fifth less by
// shares, and two fifths by its pool's reservation; one tree in a hundred has a VM with more than a twentieth less. So have eight in a
// hundred trees with limits at several levels, at worst two fifths (sim.TestRandomTrees).
//
// Sleepers. A node that wants to run again after all of it slept starts at least at clock -
// WakeCredit/shares, so that sleeping earns 1 ms of service and no more; if it used more than its
// part before, it still has its old tag. All children that are queued start at least at
// clock - LagMax/shares: who can't use its part (more shares than processors that it can fill) doesn't
// save it up.
//
// Service is charged to tags only while it is contended: while a world waits on this processor, or
// one waits elsewhere that could run here. What nobody else wants is free, so worlds that ran alone
// meet as equals; that of a processor which is theirs alone isn't counted at all. Below a group that
// has reached its limit lately it is charged to the tags of pools' children, whoever wants the
// processor: they compete for what the limit leaves, see rates.go. But a node that slept meanwhile
// is let off as much of what it is ahead as its tag would have fallen back by, had that been charged
// (Node.free): else who halts often, beside one that saturates the processor, would pay for all it
// uses, the other for next to nothing, and be no sooner on the processor for having used little. A
// reservation may have a node served beyond its part by shares: of that no more than debtTurns turns
// are remembered.
//
// Processors have a clock of the root each, the tag that was picked last there. A key is never queued
// further ahead of it than keyTurns turns of the world's own would take, and doesn't grow beyond that
// while the world waits, so that worlds whose group gets its part on a processor to which others
// can't move wait a bounded time.
//
// Overflow. Tags count 2^-20 ns of service of a node with one share. A single charge is at most
// maxCharge = 2^36 ns, so 2^56. Tags wrap after 2^44 ns = 4.9 hours of contended service of a
// node with one share, and are therefore only compared by their signed difference. That is right while
// two tags of a group are less than 2^63 apart: a waiting child's tag stands still and the clock
// passes no tag that waits by more than a turn; a child's tag is at least clock - LagMax*2^20 >
// clock - 2^45 when queued, and queue cuts it off at clock + maxDistance = clock + 2^60 (13 days of
// debt with 1,000 shares, 18 minutes with one). Products are computed in 128 bits and saturate.

// mul20 is a*b/2^20, at most 2^62.
func mul20(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	if hi >= 1<<18 {
		return 1 << 62
	}
	return hi<<44 | lo>>20
}

// setShares keeps 2^40/shares as well: a relative error below 2^-20.
func (n *Node) setShares(shares uint32) {
	n.shares = shares
	n.inverse = (1<<40 + uint64(shares)/2) / uint64(shares)
}

// contendedAt is the time up to now during which a world waited that could have run elsewhere.
func (s *Scheduler) contendedAt(now uint64) uint64 {
	if s.waiting != 0 && now > s.contendedSince {
		return s.contendedNS + now - s.contendedSince
	}
	return s.contendedNS
}

// charge brings the account of processor c's running world up to date.
func (s *Scheduler) charge(c uint32, now uint64) {
	if p := &s.CPUs[c]; now > p.since { // else it is, and clocks of processors may differ by a little
		s.chargeTo(p, now)
	}
}

func (s *Scheduler) chargeTo(p *CPU, now uint64) {
	total := s.contendedAt(now)
	d, fair := now-p.since, sub(total, p.contended) // a clock that is behind may have ended it
	if p.nq != 0 || fair > d {
		fair = d
	}
	free := d - fair
	if p.exclusive != 0 && p.nq == 0 {
		fair, free = 0, 0 // nobody else could have it: it tells nothing about shares
	}
	p.since, p.contended = now, total
	if p.current != None {
		x := &s.Nodes[p.current]
		x.progress += d
		if g := &s.Nodes[x.parent]; g.flags&Cosched != 0 && before(g.progress, x.progress) {
			g.progress = x.progress
		}
		paid := min(d, p.prepaid)
		p.prepaid -= paid
		s.bill(p.current, d, fair, free, paid, now)
	}
}

// bill adds d ns of service that ended now, of which fair were contended, free nobody else wanted, and paid were prepaid, to a world
// and to all above it but the root. It needn't have run for that, so its progress is another matter.
func (s *Scheduler) bill(id ID, d, fair, free, paid, now uint64) {
	if fair > maxCharge {
		fair = maxCharge
	}
	x := &s.Nodes[id]
	free = min(free, maxCharge) << 20
	if x.flags&System != 0 {
		free = 0 // guests don't compete with it for shares
	}
	short := s.short(id, sub(now, d))
	for n := id; n != Root; n, x = x.parent, &s.Nodes[x.parent] {
		x.used += d
		g := &s.Nodes[x.parent]
		if n == short {
			short = None
		}
		more := mul20(fair, x.inverse)
		if short != None && g.flags&meant != 0 && g.nactive > 1 {
			more = mul20(min(d, maxCharge), x.inverse)
		}
		x.tag += more
		if g.flags&meant != 0 && x.nactive != 0 {
			g.shift(int64(more), uint64(x.shares))
		}
		if free != 0 && g.active != 0 {
			g.free += free / g.active
		}
		if x.link[byTag].in {
			s.retag(n)
		}
		if short != None && (x.flags&Group == 0 || x.flags&Cosched != 0 && x.nrun == x.nactive) {
			s.forgive(n, LimitBurst/2) // it may be unable to use more
		}
		x.prepaid -= paid
		if x.perReserved != 0 {
			x.serveReservation(d, now)
		}
		if x.limit != 0 {
			x.serveLimit(d, now)
			if n == s.system {
				x.limTag = min(x.limTag, now+SystemDebt)
			}
		}
	}
	s.pace(now)
}

// key is when a world is due in the root's virtual time.
func (s *Scheduler) key(id ID) uint64 {
	n := &s.Nodes[id]
	key, early := n.tag, uint64(0)
	for p := n.parent; p != Root; {
		g := &s.Nodes[p]
		first := s.leastTag(g, key)
		ahead := min(key-first, maxDistance)
		key = g.tag
		if ahead != 0 {
			key += mul20(ahead, mul20(g.contending, g.inverse)) // 2^20 * contending/shares
		}
		if early += g.beyond(first); early != 0 {
			early = min(mul20(early, mul20(g.active, g.inverse)), mul20(LagMax/2, g.inverse))
		}
		p = g.parent
	}
	if early != 0 {
		key += min(early, s.gap(EarlyMax))
	}
	return key
}

// turns is what keyTurns turns of a world cost in the root's virtual time.
func (s *Scheduler) turns(id ID) uint64 {
	n := &s.Nodes[id]
	slope := n.inverse
	for p := n.parent; p != Root; {
		g := &s.Nodes[p]
		p = g.parent
		slope = mul20(slope, mul20(g.active, g.inverse))
	}
	return mul20(keyTurns*Slice, slope)
}

// raise has the tags of a world and of the groups above it follow the clocks: no further behind than
// the bounds allow. fresh are the levels that have just become runnable, counted from the world.
func (s *Scheduler) raise(id ID, c uint32, fresh int) {
	x := &s.Nodes[id]
	for n := id; n != Root; fresh-- {
		p := &s.Nodes[x.parent]
		alone := p.nwait|p.nrun == 0 && (p.flags&meant == 0 || p.nactive == 1)
		clock := p.clock
		if x.parent == Root {
			clock = s.present(id, c)
		} else if alone {
			// Nobody else is there to measure by.
			p.clock, clock = x.tag, x.tag
		}
		tag := x.tag
		lag := uint64(LagMax)
		if fresh > 0 {
			lag = WakeCredit
			if x.parent == Root || !alone {
				tag -= min(p.free-x.slept, maxDistance)
			}
			x.slept = p.free
		}
		if before(tag, clock) {
			if most := mul20(lag, x.inverse); clock-tag > most {
				tag = clock - most
			}
		} else if x.reservation != 0 {
			if most := mul20(debtTurns*Slice, x.inverse); tag-clock > most {
				tag = clock + most
			}
		} else if x.parent != Root && tag-clock > maxDistance {
			tag = clock + maxDistance
		}
		if x.tag != tag {
			s.setTag(n, tag)
		}
		n, x = x.parent, p
	}
}

// present is the root's virtual time for a world that is queued at processor c. For one that may run
// anywhere it is the tag that was picked before others somewhere, the furthest such, see advance; so a world that
// runs alone, with less than it is due or with more, doesn't move it. For others it is what was
// picked last on that processor.
func (s *Scheduler) present(id ID, c uint32) uint64 {
	if s.Nodes[id].flags&anywhere != 0 {
		return s.Nodes[Root].clock
	}
	return s.CPUs[c].clock
}

// retag puts a node into its place by its tag, which has changed.
func (s *Scheduler) retag(id ID) {
	n := &s.Nodes[id]
	g := &s.Nodes[n.parent]
	s.unrank(g, id)
	s.rank(g, id, n.tag)
}

// gap is the root's virtual time that passes in ns of wall time.
func (s *Scheduler) gap(ns uint64) uint64 {
	a := s.Nodes[Root].active
	if a == 0 {
		return 0
	}
	return ns * uint64(s.online) << 20 / a // below 2^(30+12+20), and active is at least 1
}
