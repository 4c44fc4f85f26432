package sched

import "testing"

// TestWhoHasAProcessorAloneCostsNobodyTheirPart: nothing it does is charged, so that the tags of its siblings get ever further from its
// own, those of one with few shares soonest. Their mean is none then, which shifts keys by little, and until the pool has been empty.
func TestWhoHasAProcessorAloneCostsNobodyTheirPart(t *testing.T) {
	const turn = 10_000_000_000 // as long, to be faster
	s, _, _ := small(t, 2)
	pool := s.Create(Root, 3, Group, &Policy{Shares: 1000})
	other := s.Create(Root, 4, Group|Cosched, &Policy{Shares: 1000})
	var worlds []ID
	for _, vm := range []ID{s.Create(pool, 30, Group|Cosched, &Policy{Shares: 1000}), s.Create(pool, 31, Group|Cosched, &Policy{Shares: 1}), other} {
		worlds = append(worlds, s.Create(vm, 300, 0, &Policy{Shares: 1000}))
	}
	if !s.SetMember(1, 1, true) || !s.SetAffinity(worlds[0], 1, 1) || !s.SetExclusive(1, 1, 1) {
		t.Fatal("a processor can't be given away")
	}
	now := uint64(1_000_000_000)
	for _, id := range worlds {
		s.Wake(id, now)
		s.Pick(1, now)
	}
	for range 4000 { // 11 hours
		s.Pick(0, now)
		now += turn
	}
	if a, b := s.Used(worlds[1])/turn, s.Used(worlds[2])/turn; a < 1900 || b < 1900 {
		t.Errorf("of equal shares one had %d turns of 4000, the other %d", a, b)
	}
	if late := s.key(worlds[1]) - s.Nodes[pool].tag; late > s.gap(EarlyMax) {
		t.Errorf("who waits is due later than its pool by %d of the root's virtual time, at most %d are allowed", late, s.gap(EarlyMax))
	}
	for _, id := range worlds[:2] {
		if c := s.CPU(id); s.Current(c) == id {
			s.Block(c, now)
			s.Pick(c, now)
		}
		s.Withdraw(id, now)
	}
	s.Wake(worlds[1], now)
	if bad := s.Check(); bad != "" {
		t.Errorf("after the pool was empty: %s", bad)
	}
}
