package sched

// Reservations and limits
//
// Both are rates, in 1/1000 of a processor, and are kept in wall time. d ns of service stand for
// d*1000/rate ns of it; a tag says up to when the service so far would last at that rate.
//
// A reservation is due when its tag is not ahead of the clock. Worlds with one above them wait in the
// queue by virtual time and, in addition, in that by the time at which the first such reservation
// comes due; who is due goes before all who aren't, and keeps its turn. What a node used beyond its
// reservation is remembered up to ReserveLag and keepTurns turns of service, so that a turn on each of
// some processors at once is not forgotten; a node that slept, or couldn't use it, has saved up ReserveLag
// and no more. So a node with reservation r that wants its processors all the time gets in every
// interval t at least r*(t - 2*ReserveLag) - (keepTurns+1)*Slice, given that reservations
// together leave the processors that their worlds may use, and the system group's limit, free
// (admission, package admit), since then earliest-due-first meets every rate within a turn.
//
// A turn for a reservation counts from its beginning, see prepaid.go.
//
// A turn for a group's reservation goes by shares below it (owed): which of its worlds has it is all the same to the group, and
// those below it with a reservation of their own are due for that as well. A child of a pool that had more than its part, while its
// siblings run, is due for the pool's later by as much service as brings them there, EarlyDue at most: as by shares, see tags.go. So
// a pool whose other children can't use what it has reserved is behind by EarlyDue, a turn and DueLag, which is less than
// ReserveLag: none of it is forgotten.
//
// A limit is a bucket: LimitBurst of wall time may be used ahead, so in every interval t a node with
// limit l gets at most l*(t + LimitBurst), what its worlds overrun by, which is less than
// Scheduler.soonest each, and is deducted, and what of theirs isn't in the account yet: LimitBurst/4
// each, since who runs below a limit that could be reached looks as often, though it uses no more
// than that alone. A world that has reached one (its own or one above it) is parked until half the
// burst is free again.
//
// What a pool's limit leaves is divided by shares below it: service counts for its children's tags while the limit was reached
// lately (short), and a child that had more than its part of the pool stops sooner, by a quarter of the burst at most (spent),
// and goes on later, by what brings its siblings there and half of the burst at most (releaseAbove). Who can't use its part, since it
// has a limit of its own or runs with all that it has, is owed no more than can be made up for soon (forfeit, forgive): all others
// would be ahead of the mean for good else, and their shares mean nothing.
//
// The system group isn't parked, and what it uses that nobody else wants is free: of what it used beyond its
// limit no more than SystemDebt is remembered. In every interval t in which guests wait for each of n processors that runs none it
// gets at most
//
//	l*(t + LimitBurst + 2*Slice) + n*(Slice + soonest)
//
// given that the least turns of its threads fit into the limit, see below. For a processor that runs a thread while a guest
// waits there looks again after a Slice, so that no more than that, and what it is late by, is missing in the account at any
// time: when the limit is seen to be reached, n processors may have had so much more. From then on all threads together use
// pacedPart of the limit, in turns that may begin on all processors at once, until the account is even: less than a Slice of
// wall time ahead. As much can be due to an account that was even when a turn began that this interval has the end of. Where
// guests wait elsewhere only, the account is brought up to date as they are offered to the processor, see push.
//
// The system group: below its limit its threads go before all others, the one that has waited longest first. Above it
// they are paced: they run when no guest wants the processor, and beyond that each is picked when it has waited for
// SystemWait less a turn for each that waits here, one more, and what the machine is late by, which is a decision that
// has begun already (pacedWait, systemDue). Who would come due before the next decision can be (soonest) is due now:
// else a guest picked meanwhile would have it wait on for that. So the one whose turn is last waits for SystemWait -
// leastTurn, which leaves leastTurn for an interrupt's way here, and for turns that are longer for having begun when
// fewer waited; and none waits for longer than SystemWait. Their turns are as long as pacedPart of the limit allows,
// which is 180 µs for one thread and a limit of 25 %, and no longer than the limit allows with what it costs to end them
// (Scheduler.TurnCost); and PacedSlice at least, with what it costs to begin one: what is left of the limit works off
// the excess, and who has little to do, the collector with the world stopped among them, does it in few turns. Shares
// mean nothing within the system group. It never stops a thread, since that may hold a lock that others spin for. With k
// threads wanting each processor, a flood so takes at most max(limit, k*(PacedSlice + TurnCost)/pacedWait) of it: a
// limit of 10 % holds with three spinning threads a processor whose turns cost nothing. Where the two promises
// contradict each other, with more than thirty such threads, each waits k*PacedSlice*5/4, and guests keep a fifth of the
// processor.
//
// Overflow. 1000/rate is kept times 2^20, below 2^30, and d is cut off at maxCharge = 2^36: 2^46
// after the shift. Tags stay within 2^47 of the clock, which is ns since boot and doesn't reach 2^62.

func perRate(rate uint32) uint64 {
	if rate == 0 {
		return 0
	}
	return 1000 << 20 / uint64(rate)
}

func (x *Node) serveReservation(d, now uint64) {
	t := x.resTag
	if d > maxCharge {
		d = maxCharge
	}
	if start := sub(now, d+ReserveLag); t < start {
		t = start
	}
	x.resTag = min(t+mul20(d, x.perReserved), now+ReserveLag+mul20(keepTurns*Slice, x.perReserved))
}

// reserve keeps, at a change of a reservation, what a node was served ahead of it, in service: else who changes it to and fro would
// be due each time. A node that has none for a time goes on to be served by the one that it had, perReserved. What is behind
// isn't kept, nor what is more than one with the new reservation can be ahead, see serveReservation: it would be served nothing for it for
// many seconds else.
func (x *Node) reserve(per, now uint64) {
	ahead := min(sub(x.resTag, now), ReserveLag+mul20(keepTurns*Slice, x.perReserved))
	if per != 0 && x.perReserved != 0 {
		ahead = min(mul20(ahead<<20/x.perReserved, per), ReserveLag+mul20(keepTurns*Slice, per))
	}
	x.resTag = now + ahead
}

func (x *Node) serveLimit(d, now uint64) {
	if d > maxCharge {
		d = maxCharge
	}
	if start := sub(now, d); x.limTag < start {
		x.limTag = start
	}
	x.limTag += mul20(d, x.perLimit)
}

// sub is a - b, 0 where that is negative.
func sub(a, b uint64) uint64 {
	if a < b {
		return 0
	}
	return a - b
}

// due is when the first reservation above a guest's world, or its own, comes due, Never without one.
func (s *Scheduler) due(id ID, now uint64) uint64 {
	if s.reserves == 0 {
		return Never
	}
	_, t, _ := s.dueFor(id, now)
	return t
}

// dueFor is when that is, and whose reservation it is, None without one; and when it would be if the turns that have been prepaid
// ended now. For a pool's reservation a child that had more than its part is due later, while others of the pool run, as it is by
// shares: see tags.go.
func (s *Scheduler) dueFor(id ID, now uint64) (of ID, t, unpaid uint64) {
	of, t, unpaid = None, Never, Never
	early := uint64(0) // ns of the service of n, before what is below it is due
	for n := id; n != None; {
		x := &s.Nodes[n]
		if x.reservation != 0 {
			due := max(x.resTag, sub(now, ReserveLag))
			if early != 0 {
				due += min(mul20(early, x.perReserved), EarlyDue)
			}
			unpaid = min(unpaid, due)
			if due += mul20(x.prepaid, x.perReserved); due < t {
				of, t = n, due
			}
		}
		if n = x.parent; n <= Root {
			break
		}
		early = s.early(x, early)
	}
	return of, t, unpaid
}

// owed is the world that processor c is to run for the reservation that has a world due, which waits or runs there: where that is
// a group's, it is for the child that is owed most by its shares, and so on below. One that waits elsewhere is left there unless it
// is MigrateLag behind. That is a turn for the reservation, even where the world isn't due itself yet, since it had more than its part of
// a group in between: as one by shares it would have the clocks follow it, and nobody would count what the group had beyond its part.
func (s *Scheduler) owed(id ID, c uint32, now uint64) ID {
	first, _, _ := s.dueFor(id, now)
	best := id
	for n := id; n != first && first != None; n = s.Nodes[n].parent {
		l := s.Nodes[s.Nodes[n].parent].least
		if l == None || l == n {
			continue
		}
		w := s.leastBelow(l)
		tag := s.Nodes[l].tag
		if s.Nodes[w].cpu != c {
			tag += mul20(MigrateLag, s.Nodes[l].inverse)
		}
		if before(tag, s.Nodes[n].tag) && s.allowed(w, c) {
			best = w
		}
	}
	s.CPUs[c].owed = best
	return best
}

// reached says whether a node that has a limit is at the end of its burst, or will be before a timer would end: or, for who is to stop
// sooner, at so many ns of wall time before that.
func (x *Node) reached(now, sooner uint64) bool { return x.limTag+minTimer > now+LimitBurst-sooner }

// ofLimit is the wall time that ns of a node's service stand for by its limit, half of the burst at most.
func (x *Node) ofLimit(ns uint64) uint64 { return min(mul20(ns, x.perLimit), LimitBurst/2) }

// release is when a world that has reached a limit may go on, 0 if it hasn't.
func (s *Scheduler) release(id ID, now uint64) uint64 {
	if s.limits == 0 || s.Nodes[id].flags&System != 0 {
		return 0
	}
	return s.releaseAbove(id, now)
}

// releaseAbove has a child of a pool that had more than its part go on later, when a pool's limit was reached and half of its burst is
// free again: by what brings its siblings there, within that half. All that were parked would begin at once else, whatever their shares.
func (s *Scheduler) releaseAbove(id ID, now uint64) uint64 {
	t, early, slack := uint64(0), uint64(0), uint64(minTimer)
	if s.Nodes[id].state != Parked {
		slack = LimitBurst / 8 // who waits or wakes isn't parked in a pool that is so little beyond
	}
	for n := id; n != Root; {
		x := &s.Nodes[n]
		if x.limit != 0 {
			half := sub(x.limTag, LimitBurst/2)
			if x.reached(now, 0) {
				t = max(t, half)
			} else if e := half + x.ofLimit(early); early != 0 && e > now+slack {
				t = max(t, e)
			}
		}
		if n = x.parent; n != Root {
			early = s.early(x, early)
		}
	}
	return t
}

// forfeit has the nodes above a world that have reached their limits keep no more than WakeCredit of what their pools owe them, which they
// can't use: the mean of the pool's children would stay behind for good else, and all others be ahead of it whatever they had.
func (s *Scheduler) forfeit(id ID, now uint64) {
	for n := id; n != Root; n = s.Nodes[n].parent {
		if x := &s.Nodes[n]; x.limit != 0 && x.reached(now, 0) {
			s.forgive(n, WakeCredit)
		}
	}
}

// forgive does so for one.
func (s *Scheduler) forgive(n ID, most uint64) {
	x := &s.Nodes[n]
	g := &s.Nodes[x.parent]
	if g.flags&meant == 0 || x.nactive == 0 || g.nactive < 2 {
		return
	}
	if least := g.mean - mul20(most, x.inverse); before(x.tag, least) {
		s.setTag(n, least)
	}
}

// spent says whether a running world has reached a limit. One that had more than its part of a pool has by then before those of the pool
// that had less, which so aren't parked for what it had.
func (s *Scheduler) spent(id ID, now uint64) bool {
	if s.limits == 0 || s.Nodes[id].flags&System != 0 {
		return false
	}
	early := uint64(0)
	for n := id; n != Root; {
		x := &s.Nodes[n]
		if x.limit != 0 && x.reached(now, x.ofLimit(early)/2) {
			return true
		}
		if n = x.parent; n != Root {
			early = s.early(x, early)
		}
	}
	return false
}

// short is the topmost of the groups above a world whose limit has been reached lately, None without one. That is as soon as who had more
// than its part is parked for it: what its siblings have meanwhile counts, so that it goes on at last.
func (s *Scheduler) short(id ID, now uint64) (found ID) {
	if s.limits == 0 || s.Nodes[id].flags&System != 0 {
		return None
	}
	for n := s.Nodes[id].parent; n != Root; n = s.Nodes[n].parent {
		if x := &s.Nodes[n]; x.limit != 0 && x.limTag > now+minTimer {
			found = n
		}
	}
	return found
}

// reachable says whether the worlds below a group can use more than its limit, all of them together.
func (x *Node) reachable() bool { return x.perLimit*uint64(x.worlds) > 1<<20 }

// allowance is how long a running world can go on before a limit is reached, if no other world
// of the same group begins to run.
func (s *Scheduler) allowance(id ID, now uint64) uint64 {
	if s.limits == 0 && s.Nodes[id].flags&System == 0 {
		return Never
	}
	return s.allowanceAbove(id, now)
}

func (s *Scheduler) allowanceAbove(id ID, now uint64) uint64 {
	t, early := Never, uint64(0)
	for n := id; n != Root; n, early = s.Nodes[n].parent, s.early(&s.Nodes[n], early) {
		if x := &s.Nodes[n]; x.limit != 0 {
			// Each ns uses perLimit for each running world and gives one back.
			use := x.perLimit * uint64(x.nrun)
			if x.reachable() {
				t = min(t, LimitBurst/4) // others may begin to run, and its time isn't in the account before it is charged
			}
			if use <= 1<<20 {
				continue
			}
			end := now + LimitBurst - x.ofLimit(early)/2
			left := sub(end, max(x.limTag, now))
			t = min(t, left<<20/(use-1<<20))
		}
	}
	return t
}

// pace notes whether the system group is above its limit. It is so until all of the excess is
// worked off, so that pacing lasts for some turns.
func (s *Scheduler) pace(now uint64) {
	if s.system == None {
		return
	}
	x := &s.Nodes[s.system]
	switch {
	case x.limit == 0 || x.limTag <= now:
		s.pacing = false
	case x.reached(now, 0):
		s.pacing = true
	}
}

// paced says whether the threads that wait for processor p, or run there, are held back for guests: only
// while one wants a processor. Else turns of PacedSlice would be for nothing, and of many.
func (s *Scheduler) paced(p *CPU) bool {
	if !s.pacing {
		return false
	}
	if p.nq != p.nsys || s.some != 0 || s.winner(cupAny) != noCPU {
		return true
	}
	return p.current != None && s.Nodes[p.current].flags&System == 0
}

// systemDue is when the thread of the system group that has waited longest for processor p is to be picked.
func (s *Scheduler) systemDue(p *CPU) uint64 {
	since := s.Nodes[p.queue[qSystem]].link[byDue].key
	if !s.paced(p) {
		return since
	}
	k, turn := uint64(p.nsys), s.pacedTurn(p)
	return since + max(sub(s.pacedWait(), k*turn), k*turn*5/4)
}

// pacedWait is for how long a paced thread may wait before the turns of those that wait with it: SystemWait less a turn, and
// less what the machine is late by, which is a decision that has begun already.
func (s *Scheduler) pacedWait() uint64 { return SystemWait - s.leastTurn() - s.TurnCost }

// leastTurn is the shortest turn of a paced thread, and what it costs to begin it: else a slow machine would do nothing but
// begin turns.
func (s *Scheduler) leastTurn() uint64 { return PacedSlice + s.TurnCost }

// pacedTurn is a turn of a paced thread at processor p: those that wait there and the one that runs have such a turn in every
// SystemWait, and take pacedPart of the limit together, and with what it costs to end them no more than all of it.
func (s *Scheduler) pacedTurn(p *CPU) uint64 {
	k := uint64(p.nsys)
	if k == 0 || s.Nodes[p.current].flags&System != 0 {
		k++
	}
	rate := uint64(s.Nodes[s.system].limit) / uint64(s.online)
	whole := sub(turnOf(s.pacedWait(), rate, k), s.TurnCost)
	return max(s.leastTurn(), min(turnOf(s.pacedWait(), rate*pacedPart/1000, k), whole))
}

// turnOf is how long turns are of which k take together, beginning so long after each other, so many thousandths of a processor.
func turnOf(wait, rate, k uint64) uint64 { return wait * rate / (1000*k + rate*(k-1)) }

// systemSlice is a turn of such a thread while others wait: what those can still wait, divided by their number.
func (s *Scheduler) systemSlice(p *CPU) uint64 {
	if s.paced(p) {
		return s.pacedTurn(p)
	}
	age := uint64(0)
	if id := p.queue[qSystem]; id != None {
		age = sub(p.started, s.Nodes[id].since)
	}
	return max(PacedSlice, sub(SystemWait-PacedSlice, age)/uint64(p.nsys+1))
}
