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
