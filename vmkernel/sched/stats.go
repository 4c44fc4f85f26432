package sched

// Counters of a node: in ns, since it was created; a group's are those of all worlds that it had.

func (s *Scheduler) Used(id ID) uint64    { return s.Nodes[id].used }
func (s *Scheduler) Waited(id ID) uint64  { return s.Nodes[id].waited }  // ready, for a processor: "stolen"
func (s *Scheduler) MaxWait(id ID) uint64 { return s.Nodes[id].maxWait } // the longest of these
func (s *Scheduler) Parked(id ID) uint64  { return s.Nodes[id].parked }  // by a limit, or by the skew
func (s *Scheduler) Picks(id ID) uint64   { return s.Nodes[id].picks }
func (s *Scheduler) State(id ID) State    { return s.Nodes[id].state }
func (s *Scheduler) Owner(id ID) ID       { return s.Nodes[id].owner }
func (s *Scheduler) Parent(id ID) ID      { return s.Nodes[id].parent }
func (s *Scheduler) CPU(id ID) uint32     { return s.Nodes[id].cpu }
func (s *Scheduler) Progress(id ID) uint64 {
	return s.Nodes[id].progress
}

// GaveUp says whether a virtual processor that waits or is parked gave its turn up: then it isn't waited for, see skew.go.
func (s *Scheduler) GaveUp(id ID) bool { return s.Nodes[id].flags&gaveUp != 0 }

// Current is the world that processor c runs.
func (s *Scheduler) Current(c uint32) ID { return s.CPUs[c].current }

// Waiting is the number of worlds that wait for processor c.
func (s *Scheduler) Waiting(c uint32) uint32 { return s.CPUs[c].nq }

// Pacing says whether the system group is above its limit.
func (s *Scheduler) Pacing() bool { return s.pacing }

// Moves is how often processor c took or gave away a world, Switches how often it began to run
// another one, Kicks how often it was kicked, Idle for how long it had nothing to run.
func (s *Scheduler) Moves(c uint32) uint64    { return s.CPUs[c].moves }
func (s *Scheduler) Switches(c uint32) uint64 { return s.CPUs[c].switches }
func (s *Scheduler) Kicks(c uint32) uint64    { return s.CPUs[c].kicked }
func (s *Scheduler) Picked(c uint32) uint64   { return s.CPUs[c].picks }
func (s *Scheduler) Idle(c uint32) uint64     { return s.CPUs[c].idleNS }

// Live is the number of nodes, the root not counted.
func (s *Scheduler) Live() uint32 { return s.nodes }

// World says whether id is a world.
func (s *Scheduler) World(id ID) bool {
	return s.Nodes[id].state != Free && s.Nodes[id].flags&Group == 0
}

// Times says where a world's time went, in ns, until now: on a processor, waiting for one, kept from one
// by a limit or the skew, and paused.
func (s *Scheduler) Times(id ID, now uint64) (used, waited, parked, paused uint64) {
	n := &s.Nodes[id]
	used, waited, parked, paused = n.used, n.waited, n.parked, n.paused
	since := sub(now, n.since)
	switch n.state {
	case Ready:
		waited += since
	case Parked:
		parked += since
	case Paused:
		paused += since
	case Running:
		used += sub(now, s.CPUs[n.cpu].since)
	}
	return used, waited, parked, paused
}

// Bring charges what runs up to now, so that what groups have used is known. It takes a step for each processor.
func (s *Scheduler) Bring(now uint64) {
	for c := range s.CPUs {
		s.charge(uint32(c), now)
	}
}

// Skip has the time from one to another, or since when processor c's running world was charged last, be nobody's: the processor
// was on its way to or from that world, which waited for it.
func (s *Scheduler) Skip(c uint32, from, to uint64) {
	s.charge(c, from)
	p := &s.CPUs[c]
	if p.current == None || to <= p.since {
		return
	}
	s.Nodes[p.current].waited += to - p.since
	p.since, p.contended = to, s.contendedAt(to)
	s.repay(c, sub(p.started+Slice, to)) // the turn doesn't last longer for it
}

// Kicked says whether TakeKick has a processor to return.
func (s *Scheduler) Kicked() bool { return s.kicks != 0 }

// Limit is the limit of a node, in 1/1000 of a processor, 0 without one.
func (s *Scheduler) Limit(id ID) uint32 { return s.Nodes[id].limit }
