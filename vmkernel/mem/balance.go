package mem

// How Balance keeps targets from swinging.
//
// Where all that guests may have fits into what there is to divide, each has it for a target, whatever it uses: nobody
// needs what it leaves idle. Else targets divide all memory but for a part that is kept free (high), whether there is
// pressure or not: they follow from what guests hold and use, not from what was asked of them before, and guests that grow
// to their targets cause no pressure. First comes what guests claim, which is what they hold and room to grow by; then all
// that nobody claims, at the same price: kept back it would serve nobody, while guests whose kernels keep more free than that
// room stayed as small as their balloons have made them. A target falls at once, so that the sum is never more than there is
// to divide; it rises by a step a round, and only if it is off by more than the dead band. Pressure, during which growth
// beyond a target is slowed, begins when less than low is unreserved and ends at high.
const (
	highShare = 32   // high is a 32nd of the host's memory
	highLeast = 2048 // pages, at least
	bandShare = 64   // the dead band is a 64th of a VM's memory
	bandLeast = 256  // pages, at least
	stepShare = 16   // a target rises by a 16th of a VM's memory a round
)

// A Sample is what a guest is seen to do. Amounts are in pages.
type Sample struct {
	Active  uint64 // touched lately; more than it holds counts as all
	Balloon bool   // it has a balloon driver that answers
	Held    uint64 // what the balloon holds, as the guest says
}

// Observe takes a sample of g. A guest's own word for what is active may be a lie: it then has at most as much as if it
// used all that it holds, which is what its shares entitle it to at most.
func (g *Guest) Observe(s Sample) {
	s.Active = min(s.Active, g.size)
	s.Held = min(s.Held, g.size)
	// A single sample says little: half of the one before stays in it.
	s.Active = (s.Active + g.sample.Active) / 2
	g.sample = s
}

// Target is how many pages g is to hold at most. Its balloon should hold Size − Target.
func (g *Guest) Target() uint64 { return g.target }

// BalloonTarget is how many pages g's balloon is to hold: all beyond its target, whether it uses them or not. A guest's
// kernel may touch pages to put them into its balloon (Linux with init_on_alloc does), which is cheap while there is memory
// and can't be done any more when there is none.
//
// It rises at once and falls by a step a round: a balloon fills slowly, and a guest that is told something else each time
// doesn't get anywhere.
func (g *Guest) BalloonTarget() uint64 { return max(g.size-g.target, g.asked) }

func (g *Guest) band() uint64 { return max(g.size/bandShare, bandLeast) }

func (g *Guest) step() uint64 { return max(g.size/stepShare, bandLeast) }

// active is how many pages g would use now. Of one that uses all that it holds nobody knows how many it would use if it
// held more: it is believed to use what it could get within two rounds as well, and the less of that the more of what it
// holds is idle, down to none at an eighth. Without that it would pay for what it doesn't hold yet as if that were idle.
func (g *Guest) active() uint64 {
	held := g.node.granted
	used := min(g.sample.Active, held)
	if idle := (held - used) * 8; idle < held {
		used += 2 * g.step() / 256 * ((held - idle) * 256 / held) // 256: it can't overflow, and a step is as much at least
	}
	return used
}

// cap is what g could use now: all that it may have, if it holds about all that it was left or was refused more; else what
// it holds and what it may grow by in four rounds, which has to be more than a kernel never touches or keeps for bad times.
func (g *Guest) cap() uint64 {
	n := g.node
	most := g.max()
	if g.hungry || n.granted+g.band() >= min(g.target, most) {
		return most
	}
	return min(most, max(n.budget.Reservation, n.granted+4*g.step()))
}

// expects is what others are to give back for g before it can come.
func (g *Guest) expects() uint64 {
	if g.wants == nil {
		return 0
	}
	return g.wants.Reservation + g.wants.Overhead
}

// Balance sets targets anew, from what guests hold and use. Call it once a second.
func (t *Tree) Balance() {
	unreserved := t.Unreserved()
	switch {
	case unreserved < t.low:
		t.pressure = true
	case unreserved >= t.high:
		t.pressure = false
	}
	pages := t.Pages() - t.overheads()
	pages -= min(pages, t.high+t.host.spare())
	t.sum = 0
	t.divide(&t.host, pages)
}

// Pressure says whether growth beyond targets is slowed.
func (t *Tree) Pressure() bool { return t.pressure }

// claimOf is what a child claims of its parent: a pool's is the sum of its children's within its own budget.
func claimOf(n *node) claim {
	c := claim{shares: n.budget.Shares, least: n.budget.Reservation}
	if g := n.guest; g != nil {
		c.active = g.active()
		c.least = max(c.least, g.expects())
		c.most = max(g.cap(), c.least)
		return c
	}
	var least uint64
	for _, child := range n.children {
		below := claimOf(child)
		c.active += below.active
		c.most += below.most
		least += below.least
	}
	c.most = min(c.most, n.usable())
	c.least = min(max(c.least, least), max(c.most, least)) // no more than those below can use, nor less than is theirs
	c.most = max(c.most, c.least)
	return c
}

// wish returns what n may have at most: a guest, or all of a pool together.
func wish(n *node) (pages uint64) {
	if n.guest != nil {
		return max(n.guest.max(), n.guest.expects())
	}
	for _, c := range n.children {
		pages += wish(c)
	}
	return min(pages, n.usable())
}

// spare is how many pages are kept for n and the pools in it that nobody in them can use: nobody has those.
func (n *node) spare() (pages uint64) {
	if n.guest != nil {
		return 0
	}
	below := uint64(0)
	for _, c := range n.children {
		pages += c.spare()
		below += wish(c)
	}
	return max(pages, n.budget.Reservation-min(n.budget.Reservation, below))
}

// usable is how many pages the VMs in a pool may be granted.
func (n *node) usable() uint64 {
	most := n.most()
	for _, c := range n.children {
		most -= min(most, c.spare())
	}
	return most
}

// divide divides pages among n's children and theirs.
func (t *Tree) divide(n *node, pages uint64) {
	claims := make([]claim, len(n.children))
	all := uint64(0)
	for i, c := range n.children {
		claims[i].gets = wish(c)
		all += claims[i].gets
	}
	if all > pages {
		for i, c := range n.children {
			claims[i] = claimOf(c)
		}
		divide(claims, pages)
		for i, c := range n.children {
			claims[i].least, claims[i].most = claims[i].gets, max(claims[i].gets, wish(c))
		}
		divide(claims, pages)
	}
	for i, c := range n.children {
		if c.guest == nil {
			t.divide(c, claims[i].gets)
		} else {
			c.guest.aim(min(claims[i].gets, c.guest.max()))
			c.guest.asked = max(c.guest.size-c.guest.target, c.guest.asked-min(c.guest.asked, c.guest.step()))
			t.sum += c.guest.target
		}
	}
}

// aim moves g's target towards what it was given.
func (g *Guest) aim(to uint64) {
	g.hungry = false
	if to < g.target {
		g.target = to
	} else if to > g.target+g.band() || to == g.max() {
		g.target += min(to-g.target, g.step())
	}
}
