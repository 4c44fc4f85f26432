package sched

import "testing"

// TestChangesOfRatesEarnNothing: who has 10 % reserved, and next to no shares, has no more for having its limit changed, or the
// reservation to another and back.
func TestChangesOfRatesEarnNothing(t *testing.T) {
	for name, change := range map[string]func(p *Policy, i int){
		"its limit":              func(p *Policy, i int) { p.Limit = uint32(900 + i%2) },
		"its reservation":        func(p *Policy, i int) { p.Reservation = uint32(100 + i%2) },
		"by much":                func(p *Policy, i int) { p.Reservation = uint32(10 + 90*(i%2)) },
		"to none":                func(p *Policy, i int) { p.Reservation = uint32(100 * (i % 2)) },
		"to none and to another": func(p *Policy, i int) { p.Reservation = []uint32{0, 100, 0, 10}[i%4] },
	} {
		for _, every := range []uint64{300_000, 1_000_000, 7_000_000, 50_000_000} {
			s, group, a, b, rich := rivals(t, 1, 100)
			m := drive(s, 1_000_000_000)
			for _, w := range []ID{a, b, rich} {
				s.Wake(w, m.now)
			}
			m.run(1e9)
			u, began := s.Used(group), m.now
			for i := 0; m.now < began+2e9; i++ {
				p := Policy{Shares: 1, Reservation: 100}
				change(&p, i)
				s.SetPolicy(group, &p, m.now)
				m.run(every)
			}
			if got := float64(s.Used(group)-u) / float64(m.now-began); got > 0.11 {
				t.Errorf("%s, every %d us: it has %.3f", name, every/1000, got)
			} else if (name == "its limit" || name == "its reservation") && got < 0.095 {
				t.Errorf("%s, every %d us: it has only %.3f", name, every/1000, got)
			}
			if bad := s.Check(); bad != "" {
				t.Fatal(bad)
			}
		}
	}
}

// TestAFirstReservationIsDueAtOnce: of a world and of a pool that wait without one, whoever waits with them.
func TestAFirstReservationIsDueAtOnce(t *testing.T) {
	for name, of := range map[string]func(group, a ID) ID{
		"a pool":  func(group, a ID) ID { return group },
		"a world": func(group, a ID) ID { return a },
	} {
		s, group, a, b, rich := rivals(t, 1, 0)
		m := drive(s, 1_000_000_000)
		s.Wake(rich, m.now)
		for i := range ID(20) {
			s.Wake(s.Create(Root, 40+i, 0, &Policy{Shares: MaxShares}), m.now)
		}
		m.run(1e9)
		for _, id := range []ID{a, b} {
			s.Wake(id, m.now)
		}
		m.run(1e7)
		if s.State(a) != Ready || s.State(b) != Ready {
			t.Fatalf("%s doesn't wait", name)
		}
		s.SetPolicy(of(group, a), &Policy{Shares: 1, Reservation: 500}, m.now)
		had := s.Used(of(group, a))
		m.run(4e6)
		if u := s.Used(of(group, a)) - had; u < Slice {
			t.Errorf("%s with half of the processor reserved has had %d us of 4 ms", name, u/1000)
		}
		if bad := s.Check(); bad != "" {
			t.Error(bad)
		}
	}
}

// TestALowerReservationIsServedSoon: what was used beyond the one before is remembered no longer than what is used beyond this one.
func TestALowerReservationIsServedSoon(t *testing.T) {
	for _, to := range []uint32{100, 20, 10} {
		s, _, _ := small(t, 4)
		m := drive(s, 1_000_000_000)
		group, w := m.vm(Root, 100, 4, 0)
		s.SetPolicy(group, &Policy{Shares: 1, Reservation: 3900}, m.now)
		for _, id := range w {
			m.Wake(id, m.now)
		}
		m.run(1e9)
		m.Bring(m.now)
		before := m.Nodes[group].resTag - m.now
		s.SetPolicy(group, &Policy{Shares: 1, Reservation: to}, m.now)
		x := &m.Nodes[group]
		if most := ReserveLag + mul20(keepTurns*Slice, x.perReserved); before < ReserveLag || x.resTag-m.now > most {
			t.Errorf("to %d: it is due after %d ms rather than %d, before that after %d", to, (x.resTag-m.now)/1e6, most/1e6, before/1e6)
		}
	}
}
