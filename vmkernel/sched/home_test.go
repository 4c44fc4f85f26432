package sched

import "testing"

// TestAWholeHomeMayBeOnesAlone: to be without a processor of its home keeps nobody from running, so a VM may have all of a NUMA node's.
func TestAWholeHomeMayBeOnesAlone(t *testing.T) {
	s, _, vcpus := small(t, 4)
	s.Homes = 2
	for c := range uint32(4) {
		if !s.SetMember(2+c%2, c, true) {
			t.Fatal("no homes")
		}
	}
	elsewhere := s.Create(Root, 3, 0, &Policy{Shares: 1000})
	if !s.SetHome(elsewhere, 3) || !s.SetMember(1, 1, true) || !s.SetMember(1, 3, true) || !s.SetAffinity(vcpus[0], 1, 1) {
		t.Fatal("no home, or no affinity")
	}
	for _, c := range []uint32{1, 3} {
		if !s.SetExclusive(c, 1, 1) {
			t.Errorf("processor %d, of the home of processors 1 and 3, is refused", c)
		}
	}
	s.Wake(vcpus[0], 10)
	s.Wake(elsewhere, 10)
	for c := range uint32(4) {
		s.Pick(c, 10)
	}
	if s.State(elsewhere) != Running || s.CPU(elsewhere)%2 != 0 || s.State(vcpus[0]) != Running || s.CPU(vcpus[0])%2 != 1 {
		t.Errorf("whose home it was is in state %d at processor %d, who has it in state %d at %d", s.State(elsewhere), s.CPU(elsewhere), s.State(vcpus[0]), s.CPU(vcpus[0]))
	}
	if bad := s.Check(); bad != "" {
		t.Error(bad)
	}
}

// TestNoneIsIdleBesideOneThatGoesHome: a processor that becomes idle, while the first of those that wait is on its way to an idle one of
// its home, takes the next.
func TestNoneIsIdleBesideOneThatGoesHome(t *testing.T) {
	s, _, _ := small(t, 3)
	s.SetMember(1, 0, true)
	now := uint64(1_000_000_000)
	var ids []ID
	for i := range ID(4) {
		ids = append(ids, s.Create(Root, 30+i, 0, &Policy{Shares: 1000}))
	}
	home, last := ids[0], ids[3]
	if !s.SetHome(home, 1) {
		t.Fatal("no home")
	}
	m := drive(s, now)
	for _, id := range ids[:3] {
		s.Wake(id, m.now)
		m.run(1)
	}
	m.run(100_000)
	if s.Current(0) != home {
		t.Fatal("it isn't at home")
	}
	s.Block(0, m.now)
	m.pick(0)
	m.run(100_000)
	s.Wake(home, m.now)
	s.Nodes[last].cpu = 2
	s.Nodes[last].tag += 1 << 31 // it had its part
	s.Wake(last, m.now)
	if s.State(home) != Ready || s.CPU(home) != 0 || s.State(last) != Ready || s.CPU(last) != 2 {
		t.Fatal("not both of them wait, one at its home")
	}
	s.Block(1, m.now)
	if id, _ := s.Pick(1, m.now); id != last {
		t.Errorf("node %d has the processor, want %d", id, last)
	}
	m.run(1)
	if s.Current(0) != home || s.Current(1) != last {
		t.Errorf("nodes %d and %d run, want %d and %d", s.Current(0), s.Current(1), home, last)
	}
}

// TestWhoGoesHomeIsntTakenBack: by the processor that it has left, before the one of its home picks it, though it is far behind the others
// there. They would hand it to and fro.
func TestWhoGoesHomeIsntTakenBack(t *testing.T) {
	s, _, _ := small(t, 2)
	s.SetMember(1, 0, true)
	s.SetMember(2, 1, true)
	m := drive(s, 1_000_000_000)
	var ids [3]ID
	for i := range ids {
		ids[i] = s.Create(Root, 30+ID(i), 0, &Policy{Shares: 1000})
	}
	first, away, ahead := ids[0], ids[1], ids[2]
	if !s.SetHome(away, 1) || !s.SetAffinity(ahead, 2, m.now) {
		t.Fatal("no home, or no affinity")
	}
	s.Wake(first, m.now)
	m.run(1)
	s.Wake(away, m.now)
	m.run(1)
	m.SetPolicy(ahead, &Policy{Shares: 100}, m.now) // its key may be further ahead
	m.Nodes[ahead].tag += 1 << 40
	s.Wake(ahead, m.now)
	m.run(100_000)
	if s.Current(0) != first || s.Current(1) != away || s.State(ahead) != Ready {
		t.Fatalf("nodes %d and %d run", s.Current(0), s.Current(1))
	}
	s.Block(0, m.now)
	m.pick(0)
	m.pick(1)
	if s.Current(1) != ahead {
		t.Errorf("node %d runs where it left, want %d", s.Current(1), ahead)
	}
	m.pick(0)
	if s.Current(0) != away {
		t.Errorf("node %d runs at its home", s.Current(0))
	}
	if bad := s.Check(); bad != "" {
		t.Error(bad)
	}
}
