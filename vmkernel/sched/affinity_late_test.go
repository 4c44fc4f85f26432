package sched

import "testing"

// wakeful is a VM as of vm, whose worlds want a processor, with shares.
func (m *machine) wakeful(owner ID, n int, set, shares uint32) ID {
	group, w := m.vm(Root, owner, n, set)
	m.SetPolicy(group, &Policy{Shares: shares}, m.now)
	for _, id := range w {
		m.Wake(id, m.now)
	}
	return group
}

// TestAProcessorOfAnotherIsNoClock: who is confined late, to processors of which another VM has one alone, has its part of the rest.
func TestAProcessorOfAnotherIsNoClock(t *testing.T) {
	s, _, _ := small(t, 2)
	m := drive(s, 1)
	s.SetMember(1, 1, true)
	s.SetMember(2, 0, true)
	s.SetMember(2, 1, true)
	s.SetMember(3, 0, true)
	if !s.SetExclusive(1, 1, m.now) {
		t.Fatal("not exclusive")
	}
	m.wakeful(100, 2, 1, 1000)
	for i := range ID(3) {
		m.wakeful(200+100*i, 1, 3, 1000)
	}
	m.run(20e9)
	late := m.wakeful(1000, 1, 2, 1000)
	m.run(2e8)
	if got := m.part(late, 2e9); got < 0.245 || got > 0.255 {
		t.Errorf("it has %.3f of the processor that four share", got)
	}
	if bad := s.Check(); bad != "" {
		t.Error(bad)
	}
}

// TestWhoIsConfinedLateBesideOneWithMoreThanItCanUseHasItsPart: that one's tag is far behind the root's clock by then.
func TestWhoIsConfinedLateBesideOneWithMoreThanItCanUseHasItsPart(t *testing.T) {
	for _, shares := range []uint32{1000, 2000, 4000, 10000, 100000} {
		s, _, _ := small(t, 4)
		m := drive(s, 1)
		s.SetMember(1, 0, true)
		m.wakeful(100, 1, 1, shares)
		for i := range ID(6) {
			m.wakeful(200+100*i, 1, 0, 1000)
		}
		m.run(20e9)
		late := m.wakeful(1000, 1, 1, 1000)
		m.run(2e8)
		want := 1000 / float64(shares+1000)
		if got := m.part(late, 4e9); got < want*0.93 || got > want*1.07 {
			t.Errorf("beside one of %d shares it has %.4f, want %.4f", shares, got, want)
		}
	}
}

// sleepers is a Scheduler of two processors. Two VMs may use the first only; four that may go anywhere, of one virtual processor as
// well, have slept for 10 s, as have they run before.
func sleepers(t *testing.T) (m *machine, confined [2]ID, free, worlds [4]ID) {
	t.Helper()
	s, _, _ := small(t, 2)
	m = drive(s, 1)
	s.SetMember(1, 0, true)
	for i := range confined {
		confined[i] = m.wakeful(ID(100*i+100), 1, 1, 1000)
	}
	for i := range free {
		free[i] = m.wakeful(ID(100*i+1000), 1, 0, 1000)
		worlds[i] = s.Nodes[free[i]].first
	}
	m.run(5e9)
	for _, w := range worlds {
		m.sleep(w)
	}
	m.run(10e9)
	return m, confined, free, worlds
}

// sleep blocks a world.
func (m *machine) sleep(w ID) {
	if m.State(w) != Running {
		m.Withdraw(w, m.now)
		return
	}
	c := m.CPU(w)
	m.Block(c, m.now)
	m.pick(int(c))
}

// TestSleepersGainNothingOverTheConfined: those that may go anywhere have their part and WakeCredit once they are awake, though none of
// them waited while the others' clock went on.
func TestSleepersGainNothingOverTheConfined(t *testing.T) {
	m, confined, free, worlds := sleepers(t)
	var had [4]uint64
	for i, w := range worlds {
		had[i] = m.Used(free[i])
		m.Wake(w, m.now)
	}
	u := [2]uint64{m.Used(confined[0]), m.Used(confined[1])}
	const d = 300e6
	m.run(d)
	m.Bring(m.now)
	for i, id := range free {
		if got := m.Used(id) - had[i]; got > d/3+WakeCredit+4*Slice {
			t.Errorf("of %d ms one that slept has %d us", int(d/1e6), got/1000)
		}
	}
	for i, id := range confined {
		if got := m.Used(id) - u[i]; got < d/3-4*WakeCredit-4*Slice {
			t.Errorf("of %d ms one that is confined has %d us", int(d/1e6), got/1000)
		}
	}
	if bad := m.Check(); bad != "" {
		t.Error(bad)
	}
}

// TestWhoSleepsOftenGainsNothingOverTheConfined: one that may go anywhere, on the processor of two that may not.
func TestWhoSleepsOftenGainsNothingOverTheConfined(t *testing.T) {
	for _, asleep := range []uint64{1e6, 5e6, 50e6} {
		s, _, _ := small(t, 1)
		m := drive(s, 1)
		s.SetMember(1, 0, true)
		a := m.wakeful(100, 1, 1, 1000)
		m.wakeful(200, 1, 1, 1000)
		free := m.wakeful(300, 1, 0, 1000)
		w := s.Nodes[free].first
		m.run(1e9)
		const awake, turns = 60e6, 40
		u, v, credit := m.Used(free), m.Used(a), uint64(0)
		for range turns {
			m.asleep(asleep, w)
			m.run(awake)
			credit += WakeCredit
		}
		m.Bring(m.now)
		if got := m.Used(free) - u; got > turns*awake/3+credit+4*Slice {
			t.Errorf("with %d ms asleep it has %.3f of the time that it is awake", asleep/1e6, float64(got)/(turns*awake))
		}
		if got := m.Used(a) - v; got < turns*(awake/3+asleep/2)-credit-4*Slice {
			t.Errorf("with %d ms asleep another has %d ms less than its part", asleep/1e6, (turns*(awake/3+asleep/2)-got)/1e6)
		}
	}
}

// TestAnExclusiveProcessorsTimeIsItsOwn: worlds with few shares on a processor that they have alone don't keep others from theirs.
func TestAnExclusiveProcessorsTimeIsItsOwn(t *testing.T) {
	s, _, _ := small(t, 2)
	m := drive(s, 1)
	s.SetMember(1, 1, true)
	s.SetMember(2, 0, true)
	if !s.SetExclusive(1, 1, m.now) {
		t.Fatal("not exclusive")
	}
	m.wakeful(100, 1, 1, 1)
	m.wakeful(200, 1, 1, 1)
	m.wakeful(300, 1, 2, 1000)
	m.wakeful(400, 1, 2, 1000)
	m.run(5e9)
	free := m.wakeful(500, 1, 0, 1000)
	m.run(1e8)
	if got := m.part(free, 1e9); got < 0.32 || got > 0.345 {
		t.Errorf("it has %.3f of a processor that three share", got)
	}
}

// TestASetOfOtherProcessorsIsAnotherClock: a pool keeps no distance from the clock of the processor that the set's number stood for, which
// was one of its VMs' alone, so that the root's clock was far behind.
func TestASetOfOtherProcessorsIsAnotherClock(t *testing.T) {
	s, _, _ := small(t, 3)
	m := drive(s, 1)
	for set := range uint32(3) {
		s.SetMember(set+1, set, true)
	}
	if !s.SetExclusive(0, 1, m.now) {
		t.Fatal("not exclusive")
	}
	pool := s.Create(Root, 50, Group, &Policy{Shares: 1000})
	_, a := m.vm(pool, 100, 2, 1)
	for _, id := range a {
		m.Wake(id, m.now)
	}
	var equal ID
	for i := range ID(4) {
		equal = m.wakeful(200+100*i, 1, 2, 1000)
		m.wakeful(1000+100*i, 1, 3, 1000)
	}
	m.run(10e9)
	other, b := m.vm(pool, 2000, 1, 3)
	m.Wake(b[0], m.now)
	m.run(10e9)
	for _, id := range a {
		s.SetAffinity(id, 0, m.now)
	}
	s.SetExclusive(0, 0, m.now)
	s.SetMember(1, 0, false)
	s.SetMember(1, 1, true)
	for _, id := range a {
		s.SetAffinity(id, 1, m.now)
	}
	m.run(1e8)
	m.sleep(b[0])
	if !s.Destroy(b[0], m.now) || !s.Destroy(other, m.now) {
		t.Fatal("not destroyed")
	}
	m.run(1e8)
	u := m.Used(equal)
	got := m.part(pool, 2e9)
	if its := float64(m.Used(equal)-u) / 2e9; got < 0.19 || got > 0.21 || its < 0.19 {
		t.Errorf("it has %.3f of the processor that five share, its equal %.3f", got, its)
	}
	if bad := s.Check(); bad != "" {
		t.Error(bad)
	}
}

// TestAnAffinityThatIsGivenAgainShedsNothing: nor does a virtual processor that goes, with the affinity of the others.
func TestAnAffinityThatIsGivenAgainShedsNothing(t *testing.T) {
	m, _ := crowd(t)
	group, w := m.vm(Root, 2000, 3, 1)
	m.Wake(w[0], m.now)
	m.run(1e9)
	m.Bill(w[0], 500e6, m.now) // far more than LagMax
	m.Bring(m.now)
	tag := m.Nodes[group].tag
	for _, id := range w {
		m.SetAffinity(id, 1, m.now)
	}
	if !m.Destroy(w[2], m.now) {
		t.Fatal("not destroyed")
	}
	if got := m.Nodes[group].tag; got != tag {
		t.Errorf("its tag is less by %d ms of its service", (tag-got)/mul20(1e6, m.Nodes[group].inverse))
	}
	if bad := m.Check(); bad != "" {
		t.Error(bad)
	}
}

// asleep has worlds sleep for a time, and wakes them.
func (m *machine) asleep(d uint64, worlds ...ID) {
	for _, w := range worlds {
		m.sleep(w)
	}
	m.run(d)
	for _, w := range worlds {
		m.Wake(w, m.now)
	}
}

// TestWhoRanAloneTakesNothingFromThoseThatSlept: meanwhile the root's clock went by a crowd of the confined.
func TestWhoRanAloneTakesNothingFromThoseThatSlept(t *testing.T) {
	for _, shares := range []uint32{1, 100, 1000} {
		for _, slept := range []uint64{20e6, 200e6, 10e9} {
			s, _, _ := small(t, 2)
			m := drive(s, 1)
			s.SetMember(1, 1, true)
			m.wakeful(100, 2, 1, shares)
			var free [3]ID
			for i := range free {
				free[i] = m.wakeful(ID(100*i+1000), 1, 0, 1000)
			}
			m.run(2e9)
			m.asleep(slept, s.Nodes[free[1]].first, s.Nodes[free[2]].first)
			m.run(2e8)
			var had [3]uint64
			for i, id := range free {
				had[i] = m.Used(id)
			}
			const d = 2e9
			m.run(d)
			m.Bring(m.now)
			for i, id := range free {
				had[i] = m.Used(id) - had[i]
			}
			if lo, hi := min(had[0], had[1], had[2]), max(had[0], had[1], had[2]); hi-lo > 0.03*d {
				t.Errorf("beside %d shares, after %d ms, of %d ms they have %d us", shares, slept/1e6, int(d/1e6), [3]uint64{had[0] / 1000, had[1] / 1000, had[2] / 1000})
			}
			if bad := s.Check(); bad != "" {
				t.Error(bad)
			}
		}
	}
}

// TestWhoSleptIsntShutOut: the clock of one processor of the confined, which have few shares for it, goes faster than another's.
func TestWhoSleptIsntShutOut(t *testing.T) {
	for _, c := range []struct {
		shares uint32
		slept  uint64
	}{{1, 50e6}, {100, 50e6}, {500, 10e9}, {1000, 10e9}} {
		s, _, _ := small(t, 2)
		m := drive(s, 1)
		s.SetMember(1, 0, true)
		s.SetMember(2, 1, true)
		var confined [2]ID
		for i := range confined {
			confined[i] = m.wakeful(ID(100*i+100), 1, 1, 1000)
		}
		m.wakeful(500, 2, 2, c.shares)
		var free, worlds [8]ID
		for i := range free {
			free[i] = m.wakeful(ID(100*i+1000), 1, 0, 1000)
			worlds[i] = s.Nodes[free[i]].first
		}
		m.run(5e9)
		m.asleep(c.slept, worlds[:]...)
		m.run(3e8)
		used := func() (u uint64) {
			for _, id := range free {
				u += m.Used(id) / 8
			}
			return u
		}
		had, those := used(), m.Used(confined[0])
		const d = 2e9
		m.run(d)
		m.Bring(m.now)
		if f, o := used()-had, m.Used(confined[0])-those; float64(f) < 0.9*float64(o) {
			t.Errorf("beside %d shares, after %d ms, one that slept has %d us, one that is confined %d", c.shares, c.slept/1e6, f/1000, o/1000)
		}
		if bad := s.Check(); bad != "" {
			t.Error(bad)
		}
	}
}
