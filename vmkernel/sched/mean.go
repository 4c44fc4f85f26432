package sched

import "math/bits"

// The mean of a pool's children: of the tags of those that are runnable, weighted by their shares, which is where each would be had
// the pool's service been divided at will. Who is ahead of it had more than its part, and who waits there is due once the
// pool has been served so much more that the mean is there too, see key. It is kept exactly, at no more than a division
// for each change: the sum of shares * (tag - mean) is rest, which is not negative and less than the sum of shares.
//
// Pools are the groups below the root but for the system group, where shares mean nothing, and the groups with bounded skew: the
// virtual processors of one VM are equals, which skew.go holds together.

// shift moves the mean by what a number of shares that are d further make.
func (g *Node) shift(d int64, shares uint64) {
	if g.active == 0 {
		return
	}
	if d >= 0 {
		hi, lo := bits.Mul64(uint64(d), shares)
		lo, carry := bits.Add64(lo, g.rest, 0)
		q, r := divide(hi+carry, lo, g.active)
		g.mean, g.rest = g.mean+q, r
		return
	}
	hi, lo := bits.Mul64(-uint64(d), shares)
	if hi == 0 && lo <= g.rest {
		q, r := divide(0, g.rest-lo, g.active)
		g.mean, g.rest = g.mean+q, r
		return
	}
	lo, borrow := bits.Sub64(lo, g.rest, 0)
	q, r := divide(hi-borrow, lo, g.active)
	if r != 0 {
		q, r = q+1, g.active-r
	}
	g.mean, g.rest = g.mean-q, r
}

// beyond is how much further than the mean a child is that waits, or the first that does, 0 where none of the group's children runs
// with all that it has: then they are only to be compared with each other.
func (g *Node) beyond(tag uint64) uint64 {
	if g.flags&meant != 0 && g.active != g.contending && before(g.mean, tag) {
		return min(tag-g.mean, maxDistance)
	}
	return 0
}

// early is how much service a child's pool is to have, in ns, before what is below the child is due, which is due after so much of the
// child's: 0 in groups that are no pools.
func (s *Scheduler) early(x *Node, below uint64) uint64 {
	g := &s.Nodes[x.parent]
	if below == 0 && g.flags&meant == 0 {
		return 0
	}
	return mul20(mul20(below, x.inverse)+g.beyond(s.leastTag(g, x.tag)), g.active)
}

// leastTag is the lesser of a tag and that of the first of a group's children that wait.
func (s *Scheduler) leastTag(g *Node, tag uint64) uint64 {
	if g.least != None && before(s.Nodes[g.least].tag, tag) {
		return s.Nodes[g.least].tag
	}
	return tag
}

// divide is a quotient and its rest, 0 where the quotient is too large: it isn't while tags of a group are less than 2^63 apart. Those of
// a child that has a processor for itself, which isn't charged, and of its siblings are after five hours of contended service with one
// share, 200 days with 1,000 shares. Then the mean is wrong until the pool has been empty, and keys are by no more than EarlyMax.
func divide(hi, lo, by uint64) (q, r uint64) {
	if hi >= by {
		return 0, 0
	}
	return bits.Div64(hi, lo, by)
}

// enter counts a child, which has become runnable and is in the sum of shares already, into its pool's mean. One that slept is no
// further behind than any child is kept; what was charged while nobody waited, see short, the pool's clock didn't follow.
func (s *Scheduler) enter(id ID) {
	x := &s.Nodes[id]
	g := &s.Nodes[x.parent]
	if g.nactive == 1 {
		g.mean, g.rest, g.over = x.tag, 0, 0
		return
	}
	v := g.mean - g.over
	if before(g.clock, v) {
		g.clock = v
	}
	if most := mul20(LagMax, x.inverse); before(x.tag, g.clock-most) {
		x.tag = g.clock - most
	}
	g.shift(int64(x.tag-g.mean), uint64(x.shares))
	g.keep(v)
}

// leave is the reverse, of one that isn't in the sum of shares any more.
func (s *Scheduler) leave(id ID) {
	x := &s.Nodes[id]
	g := &s.Nodes[x.parent]
	v := g.mean - g.over
	g.shift(-int64(x.tag-g.mean), uint64(x.shares))
	g.keep(v)
}

// keep has a pool's virtual time be what it was, v, though the mean of its children's tags is another now that one has come or gone: else
// what the others had beyond their part would be forgotten whenever who is behind sleeps for a moment. No more is remembered than LagMax.
func (g *Node) keep(v uint64) {
	g.over = 0
	if g.active != 0 && before(v, g.mean) {
		g.over = min(g.mean-v, LagMax<<20/g.active)
	}
}

// setTag changes a node's tag, and what depends on it.
func (s *Scheduler) setTag(id ID, tag uint64) {
	x := &s.Nodes[id]
	if g := &s.Nodes[x.parent]; g.flags&meant != 0 && x.nactive != 0 {
		g.shift(int64(tag-x.tag), uint64(x.shares))
	}
	x.tag = tag
	if x.link[byTag].in {
		s.retag(id)
	}
}
