package sched

// Balancing. A processor that picks looks at the one world that is owed most of all that wait and may
// run anywhere (a tournament of the queues' heads), and takes it if it is MigrateLag behind what it
// would run else: at once if it would be idle. So at each turn of any contended processor the order
// of all is right within MigrateLag, and shares are so whatever the numbers of worlds.
//
// A processor that runs one world alone picks nothing, since it has no timer. So a processor where
// worlds wait also offers one at each turn: to an idle one on which it may run, else to one of two
// others, different ones each time, if that runs a world that is further ahead. That is also how
// worlds with affinity sets move, which are in no tournament. Each is given away once in a turn at most:
// where keys were cut off, both sides may think the other's are further ahead.

// pull returns a world that waits elsewhere and that processor c is to run rather than one with the
// given key, None where there is none; any, when it would be idle (busy is false).
func (s *Scheduler) pull(busy bool, key uint64, c uint32) ID {
	better, gone := None, false
	for i := 0; i < 4; i++ {
		o := s.winner(cupAny)
		if o == noCPU || o == c {
			break
		}
		r := s.CPUs[o].queue[qAny]
		if !s.allowed(r, c) {
			break // c is exclusive
		}
		if gone = s.arrives(r) && !s.atHome(r, c); gone {
			break // it has just gone home, maybe from here, and is picked there at once, however far behind it is
		}
		if !busy {
			return r
		}
		grown := s.refresh(r)
		if before(s.Nodes[r].link[byKey].key+s.gap(MigrateLag)+s.away(r, c), key) {
			// Others may be further behind than one whose key has grown, but it is good enough.
			better = r
		}
		if !grown {
			break
		}
	}
	if better != None {
		return better
	}
	if busy || s.some == 0 && !gone {
		return None
	}
	// It would be idle: do others want it, those with affinity sets among them?
	o := s.CPUs[c].probe
	for i := uint32(0); i < min(8, uint32(len(s.CPUs))); i++ {
		if o++; o >= uint32(len(s.CPUs)) {
			o = 0
		}
		for q := qAny; q <= qSome; q++ {
			if r := s.CPUs[o].queue[q]; r != None && s.allowed(r, c) && (s.atHome(r, c) || !s.arrives(r)) {
				s.CPUs[c].probe = o
				return r
			}
		}
	}
	s.CPUs[c].probe = o
	return None
}

// push offers a world that waits for processor c to another one.
func (s *Scheduler) push(c uint32, now uint64) {
	p := &s.CPUs[c]
	if id := p.queue[qSystem]; id != None && s.Nodes[p.current].flags&System != 0 {
		to := s.find(setIdle, id, c)
		if to == noCPU {
			to = s.displace(id, c, now)
		}
		if to != noCPU {
			s.move(id, to, now)
			return
		}
	}
	for q := qAny; q <= qSome; q++ {
		id := p.queue[q]
		if m := s.Nodes[id].moved; id == None || m != 0 && now < m+Slice {
			continue
		}
		if to := s.idleFor(id, c); to != noCPU {
			s.move(id, to, now)
			return
		}
		key := s.Nodes[id].link[byKey].key + s.gap(MigrateLag)
		for i := 0; i < 2; i++ {
			to := s.probe(c, id)
			if to == noCPU {
				break
			}
			cur := s.CPUs[to].current
			if cur == None || s.keepsTurn(to, now) {
				continue
			}
			if s.Nodes[cur].flags&System != 0 {
				s.charge(to, now) // it has no timer if nobody waits there: so the limit is seen to be reached
				if s.pacing && s.CPUs[to].nq == s.CPUs[to].nsys {
					s.move(id, to, now)
					return
				}
				continue
			}
			if before(key+s.away(id, to), s.front(to, now)) {
				s.move(id, to, now)
				return
			}
		}
	}
}

// keepsTurn says whether processor c is in a turn for a reservation. Its last Pick may be long ago, where the world has run alone
// since.
func (s *Scheduler) keepsTurn(c uint32, now uint64) bool {
	p := &s.CPUs[c]
	if !p.dueTurn || now < p.started+Slice {
		return p.dueTurn
	}
	s.charge(c, now)
	return s.due(p.current, now) <= now
}

// move has a waiting world wait for processor c instead.
func (s *Scheduler) move(id ID, c uint32, now uint64) {
	s.dequeue(id, now)
	s.Nodes[id].moved = now
	s.CPUs[c].moves++
	s.submit(id, c, 0, now)
	s.notice(id, c, now)
}

// rehome moves a waiting world away from a processor where it may no longer run.
func (s *Scheduler) rehome(id ID, now uint64) { s.move(id, s.place(id, now), now) }
