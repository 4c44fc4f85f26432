package sched

import "testing"

// heldFor is for how long in d ns a world is parked, and how long it runs.
func (m *machine) heldFor(id ID, d uint64) (parked, used uint64) {
	u, _, p, _ := m.Times(id, m.now)
	m.run(d)
	used, _, parked, _ = m.Times(id, m.now)
	return parked - p, used - u
}

// TestWhoRanAloneIsntHeldForIt: a virtual processor that ran alone, and so without being charged, hasn't to wait until a sibling
// that wakes then has run for as long.
func TestWhoRanAloneIsntHeldForIt(t *testing.T) {
	s, _, vcpus := small(t, 2)
	other := s.Create(Root, 4, 0, &Policy{Shares: 1})
	m := drive(s, 1_000_000_000)
	s.Wake(vcpus[0], m.now)
	m.run(5_000_000_000)
	s.Wake(vcpus[1], m.now)
	m.run(2_000_000)
	s.Wake(other, m.now) // which wants a processor: one of the two that were alone there decides
	if parked, used := m.heldFor(vcpus[0], 3_000_000_000); parked > 100_000_000 || used < 1_000_000_000 {
		t.Errorf("of 3 s it had %d ms, and was parked for %d", used/1_000_000, parked/1_000_000)
	}
	if bad := s.Check(); bad != "" {
		t.Error(bad)
	}
}

// TestBilledTimeHoldsNobody: what others did in a virtual processor's name isn't progress of its guest's, for which it would have to
// wait until its siblings made the same.
func TestBilledTimeHoldsNobody(t *testing.T) {
	s, _, vcpus := small(t, 2)
	m := drive(s, 1_000_000_000)
	s.Wake(vcpus[0], m.now)
	s.Wake(vcpus[1], m.now)
	m.run(10_000_000)
	s.Bill(vcpus[1], 300_000_000, m.now)
	m.pick(int(s.CPU(vcpus[1]))) // as it is entered again
	if parked, used := m.heldFor(vcpus[1], 400_000_000); parked > 20_000_000 || used < 380_000_000 {
		t.Errorf("of 400 ms on a processor of its own it had %d, and was parked for %d", used/1_000_000, parked/1_000_000)
	}
}
