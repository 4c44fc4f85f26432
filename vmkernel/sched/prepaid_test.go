package sched

import "testing"

// TestWhatATurnLeavesIsGivenBackExactly: the account of who is far ahead of its reservation, further than any turn would have it, has
// just what it was served, after turns for its pool's that end early.
func TestWhatATurnLeavesIsGivenBackExactly(t *testing.T) {
	const cpus, ahead, d = 4, 40_000_000, 10_000
	s, _, _ := small(t, cpus)
	pool := s.Create(Root, 3, Group, &Policy{Shares: 1, Reservation: 1000 * cpus})
	vm := s.Create(pool, 30, Group|Cosched, &Policy{Shares: 1000, Reservation: 100})
	now := uint64(1_000_000_000)
	s.Nodes[vm].resTag = now + ahead
	for i := range ID(cpus) {
		s.Wake(s.Create(vm, 31+i, 0, &Policy{Shares: 1000}), now)
	}
	for c := range uint32(cpus) {
		s.Pick(c, now)
		if p := &s.CPUs[c]; !p.dueTurn || p.prepaid != Slice {
			t.Fatalf("processor %d: no turn for a reservation", c)
		}
	}
	if p := s.Nodes[vm].prepaid; p != cpus*Slice {
		t.Errorf("%d ns are prepaid of %d turns", p, cpus)
	}
	for c := range uint32(cpus) {
		s.Block(c, now+d)
	}
	if got, want := s.Nodes[vm].resTag, now+ahead+cpus*d*10; got > want || want-got > 10 {
		t.Errorf("it is %d us ahead, want %d", (got-now)/1000, (want-now)/1000)
	}
	if bad := s.Check(); bad != "" {
		t.Error(bad)
	}
}

// TestAReservationMayChangeInATurnForIt: what is left of the turn, and given back, isn't taken for service at another rate.
func TestAReservationMayChangeInATurnForIt(t *testing.T) {
	for _, to := range []uint32{0, 10, 1000} {
		s, group, a, _, _ := rivals(t, 1, 500)
		now := uint64(1_000_000_000)
		s.Wake(a, now)
		s.Pick(0, now)
		if s.CPUs[0].prepaid != Slice {
			t.Fatal("no turn for a reservation")
		}
		s.charge(0, now+20_000)
		s.SetPolicy(group, &Policy{Shares: 1, Reservation: to}, now+20_000)
		s.Block(0, now+50_000)
		rate := uint64(to)
		if to == 0 {
			rate = 500 // as it was
		}
		want := now + 20_000 + 30_000*1000/rate
		if got := s.Nodes[group].resTag; got > want || want-got > 10 {
			t.Errorf("from 50 %% to %d/1000: served up to %d ns later, want %d", to, int64(got-now), want-now)
		}
		if bad := s.Check(); bad != "" {
			t.Error(bad)
		}
	}
}

// TestWhatATurnLeavesStaysWithNoPool: of a VM that goes to another pool in a turn for its own's reservation, nothing is prepaid there or
// here from then on, and each pool is charged what it had in it.
func TestWhatATurnLeavesStaysWithNoPool(t *testing.T) {
	s, _, _ := small(t, 1)
	from := s.Create(Root, 3, Group, &Policy{Shares: 1, Reservation: 500})
	to := s.Create(Root, 4, Group, &Policy{Shares: 1, Reservation: 500})
	vm := s.Create(from, 30, Group|Cosched, &Policy{Shares: 1000})
	a := s.Create(vm, 31, 0, &Policy{Shares: 1000})
	now := uint64(1_000_000_000)
	s.Wake(a, now)
	if s.Pick(0, now); s.Nodes[from].prepaid != Slice {
		t.Fatal("no turn for a reservation")
	}
	if !s.Move(vm, to, now+Slice/4) {
		t.Fatal("no move")
	}
	for _, id := range []ID{from, to, vm, a} {
		if got := s.Nodes[id].prepaid; got != 0 {
			t.Errorf("%d ns are prepaid of node %d", got, id)
		}
	}
	s.Block(0, now+Slice/2)
	for _, id := range []ID{from, to} {
		if got := s.Used(id); got != Slice/4 {
			t.Errorf("pool %d had %d ns, want %d", id, got, Slice/4)
		}
	}
	if bad := s.Check(); bad != "" {
		t.Error(bad)
	}
}

// TestNothingIsPrepaidBeyondATurn: whoever has what is left of another's turn has no more, and what isn't the world's of a turn,
// as the processor was on its way there, isn't in the account when it is asked whether the next is due.
func TestNothingIsPrepaidBeyondATurn(t *testing.T) {
	s, _, _ := small(t, 1)
	vm := s.Create(Root, 3, Group|Cosched, &Policy{Shares: 1, Reservation: 500})
	a := s.Create(vm, 30, 0, &Policy{Shares: 1000})
	b := s.Create(vm, 31, 0, &Policy{Shares: 1000})
	now := uint64(1_000_000_000)
	s.Wake(a, now)
	s.Wake(b, now)
	first, _ := s.Pick(0, now)
	s.Yield(0)
	if id, _ := s.Pick(0, now+Slice/4); first+id != a+b || !s.CPUs[0].dueTurn || s.Nodes[vm].prepaid != Slice*3/4 {
		t.Errorf("node %d has %d ns of the turn of %d", id, s.Nodes[vm].prepaid, first)
	}
	s.Skip(0, now+Slice/4, now+Slice/2)
	if got := s.Nodes[vm].prepaid; got != Slice/2 {
		t.Errorf("%d ns of it are left, want %d", got, Slice/2)
	}
	if bad := s.Check(); bad != "" {
		t.Error(bad)
	}
	tag := s.Nodes[vm].resTag
	s.Pick(0, now+Slice)
	if got, want := s.Nodes[vm].resTag-tag, uint64(Slice/2*2); got > want || want-got > 10 {
		t.Errorf("at its end %d ns of its reservation have been served, want %d", got, want)
	}
}

// TestWhoIsOwedTheNextTurnHasItAsOneEndsEarly: a world that waits for its pool's reservation, and was put off by a turn of its
// sibling's that was prepaid, is brought forward when that blocks, however little the pool has reserved.
func TestWhoIsOwedTheNextTurnHasItAsOneEndsEarly(t *testing.T) {
	s, _, a, b, rich := rivals(t, 2, 10)
	other := s.Create(Root, 5, 0, &Policy{Shares: MaxShares})
	now := uint64(1_000_000_000)
	s.Wake(rich, now)
	s.Wake(other, now)
	for c := range uint32(2) {
		s.Pick(c, now)
	}
	now += Slice
	s.Wake(a, now)
	for c := range uint32(2) {
		s.Pick(c, now)
	}
	if s.State(a) != Running || !s.CPUs[s.CPU(a)].dueTurn {
		t.Fatal("no turn for a reservation")
	}
	s.Wake(b, now+1000)
	s.Pick(1-s.CPU(a), now+1000)
	c := s.CPU(a)
	if s.State(b) != Ready || s.due(b, now+1000) < now+50*Slice {
		t.Fatal("nobody is put off by that")
	}
	now += 20_000
	s.Block(c, now)
	s.Pick(c, now)
	for c := s.TakeKick(); c >= 0; c = s.TakeKick() {
		s.Pick(uint32(c), now)
	}
	if s.State(b) != Running {
		t.Errorf("it waits until it is looked at in %d us", (int64(s.Nodes[b].link[byDue].key)-int64(now))/1000)
	}
	if bad := s.Check(); bad != "" {
		t.Error(bad)
	}
}

// TestNobodyIsForgottenWithWhoWasOwed: where that one doesn't take the turn, since it is paused meanwhile, the next of its group has it
// soon, and not only when the turn that was prepaid would have been worked off.
func TestNobodyIsForgottenWithWhoWasOwed(t *testing.T) {
	s, group, a, b, rich := rivals(t, 1, 10)
	d := s.Create(group, 32, 0, &Policy{Shares: 1000})
	now := uint64(1_000_000_000)
	for _, id := range []ID{rich, a} {
		s.Wake(id, now)
		s.Pick(0, now)
	}
	if s.State(a) != Running || !s.CPUs[0].dueTurn {
		t.Fatal("no turn for a reservation")
	}
	s.Wake(b, now+1000)
	s.Wake(d, now+1000)
	ended := now + 20_000
	s.Block(0, ended)
	s.Pause(s.Nodes[group].least, ended)
	left := b
	if s.State(b) == Paused {
		left = d
	}
	for now = ended; s.State(left) == Ready; {
		if _, now = s.Pick(0, now); now > ended+10*Slice {
			t.Fatal("it has waited for 10 turns")
		}
	}
	if w := s.MaxWait(left); w > putOffMax+Slice {
		t.Errorf("it waited for %d us", w/1000)
	}
}

// TestNothingIsPrepaidTwice: nor is anything left of a turn, as another processor's clock, which is ahead, had the one before charged
// beyond the time when the next begins.
func TestNothingIsPrepaidTwice(t *testing.T) {
	const ahead, turns = 3_000, 2000
	s, group, a, _, rich := rivals(t, 1, 900)
	now := uint64(1_000_000_000)
	for _, id := range []ID{rich, a} {
		s.Wake(id, now)
		s.Pick(0, now)
	}
	for i := range turns {
		now += Slice
		if i%2 == 0 {
			s.Bring(now + ahead)
		}
		s.Pick(0, now)
		if bad := s.Check(); bad != "" {
			t.Fatalf("after %d turns: %s", i+1, bad)
		}
	}
	if u := s.Used(group); u < turns*Slice*89/100 {
		t.Errorf("90%% are reserved, it had %d ms of %d", u/1_000_000, turns*Slice/1_000_000)
	}
	s.Block(0, now+ahead)
	if p := s.Nodes[group].prepaid; p != 0 {
		t.Errorf("%d ns are prepaid, and nobody runs", p)
	}
}

// TestATurnForAReservationEnds: also where nobody else wants the processor when it does, and its world goes on: it keeps that from nobody
// who wakes later.
func TestATurnForAReservationEnds(t *testing.T) {
	s, _, _ := small(t, 1)
	pool := s.Create(Root, 5, Group, &Policy{Shares: 1000, Reservation: 100, Limit: 1500})
	a := s.Create(pool, 51, 0, &Policy{Shares: 1000})
	s.Create(pool, 52, 0, &Policy{Shares: 1000}) // so that the limit could be reached, and the processor looks
	b := s.Create(Root, 6, 0, &Policy{Shares: 1000})
	s.Wake(a, 1_000_000_000)
	m := drive(s, 1_000_000_000)
	m.run(3e9)
	for i := range uint64(40) {
		m.run(20e6)
		s.Block(0, m.now)
		m.pick(0)
		m.run(100e6)
		s.Wake(a, m.now)
		m.run(20e6 + i*97_000)
		s.Wake(b, m.now)
		began := m.now
		for s.State(b) != Running {
			m.run(10_000)
		}
		if m.now > began+50_000 {
			t.Errorf("who woke %d us after the other waited for %d", 20_000+i*97, (m.now-began)/1000)
		}
		m.run(20_000)
		s.Block(0, m.now)
		m.pick(0)
	}
	if bad := s.Check(); bad != "" {
		t.Error(bad)
	}
}
