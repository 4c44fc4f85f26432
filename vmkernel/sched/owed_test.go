package sched

import "testing"

// rivals is a Scheduler with a group of two worlds that has a reservation, or none, and next to no shares, and with one world that
// has nearly all shares.
func rivals(t *testing.T, cpus int, reservation uint32) (s *Scheduler, group, a, b, rich ID) {
	t.Helper()
	s, _, _ = small(t, cpus)
	group = s.Create(Root, 3, Group, &Policy{Shares: 1, Reservation: reservation})
	a = s.Create(group, 30, 0, &Policy{Shares: 1000})
	b = s.Create(group, 31, 0, &Policy{Shares: 1000})
	rich = s.Create(Root, 4, 0, &Policy{Shares: MaxShares})
	return s, group, a, b, rich
}

// TestWhoYieldsLeavesAReservationsTurnToItsSibling: though that turn is its own by its shares.
func TestWhoYieldsLeavesAReservationsTurnToItsSibling(t *testing.T) {
	s, _, a, b, rich := rivals(t, 1, 500)
	now := uint64(1_000_000_000) // as much is due to the group as can be
	for _, id := range []ID{a, b, rich} {
		s.Wake(id, now)
	}
	kicks(s)
	first, now := s.Pick(0, now)
	second, _ := s.Pick(0, now)
	if first+second != a+b {
		t.Fatalf("nodes %d and %d have a turn", first, second)
	}
	s.Yield(0)
	if id, _ := s.Pick(0, now+Slice/10); id != first {
		t.Errorf("node %d has the turn, want %d", id, first)
	}
}

// TestAReservationThatComesDueGoesByShares: also where a world of its group runs already.
func TestAReservationThatComesDueGoesByShares(t *testing.T) {
	const now = 10 + PreemptLag/2
	s, group, a, b, _ := rivals(t, 1, 0)
	s.Wake(a, 10)
	s.Pick(0, 10)
	s.Wake(b, 10)
	if id, _ := s.Pick(0, now); id != a {
		t.Fatalf("node %d runs", id)
	}
	s.SetPolicy(group, &Policy{Shares: 1, Reservation: 500}, now)
	if id, _ := s.Pick(0, now); id != b {
		t.Errorf("node %d has the turn, want %d", id, b)
	}
}

// TestAReservationMovesNobodyForLittle: which of its worlds has the turn is all the same to the group, within MigrateLag.
func TestAReservationMovesNobodyForLittle(t *testing.T) {
	const now = 30 + PreemptLag/2
	s, group, a, b, rich := rivals(t, 2, 0)
	s.SetPolicy(group, &Policy{Shares: MaxShares}, 1)
	s.Wake(a, 10)
	s.Pick(0, 10)
	s.Wake(b, 10)
	s.Pick(1, 10)
	s.Block(1, 20)
	s.Wake(rich, 20)
	s.Pick(1, 20)
	s.Wake(b, 30)
	s.Pick(0, now)
	if s.Current(0) != a || s.Current(1) != rich || s.State(b) != Ready || s.Nodes[b].cpu != 1 || !before(s.Nodes[b].tag, s.Nodes[a].tag) {
		t.Fatal("none waits elsewhere that is owed more")
	}
	s.SetPolicy(group, &Policy{Shares: 1, Reservation: 500}, now)
	if id, _ := s.Pick(0, now); id != a {
		t.Errorf("node %d has the turn, want %d", id, a)
	}
}

// TestAHigherReservationIsDueBeforeTheLowerWas: who waits for a pool's doesn't wait on for when it would have been due by the lower one, but
// for as long as the higher one takes to make up for what it had.
func TestAHigherReservationIsDueBeforeTheLowerWas(t *testing.T) {
	s, group, a, b, rich := rivals(t, 1, 10)
	now := uint64(1_000_000_000)
	for _, id := range []ID{rich, a, b} {
		s.Wake(id, now)
	}
	for s.Used(a)+s.Used(b) < Slice || s.Current(0) != rich {
		_, now = s.Pick(0, now)
	}
	if key := s.Nodes[s.Nodes[group].least].link[byDue].key; key < now+50*Slice {
		t.Fatalf("it is due in %d us", (key-now)/1000)
	}
	had, began := s.Used(group), now
	s.SetPolicy(group, &Policy{Shares: 1, Reservation: 900}, now)
	kicks(s)
	for s.Current(0) == rich {
		_, now = s.Pick(0, now)
	}
	if now > began+had*1000/900+Slice {
		t.Errorf("it had %d us, and waits for %d", had/1000, (now-began)/1000)
	}
}
