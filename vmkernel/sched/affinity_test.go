package sched

import "testing"

// crowd is a Scheduler of four processors, each of the first three an affinity set, where two VMs of one virtual processor share
// processor 0, two share processor 2, one has processor 1, and two of four virtual processors go where they like. It has run for 20 s.
func crowd(t *testing.T) (m *machine, equal ID) {
	t.Helper()
	s, _, _ := small(t, 4)
	m = &machine{Scheduler: s, now: 1}
	for set := range uint32(3) {
		s.SetMember(set+1, set, true)
	}
	var all []ID
	for i, set := range []uint32{1, 1, 2, 3, 3} {
		_, w := m.vm(Root, ID(100*i+100), 1, set)
		all = append(all, w...)
	}
	for i := range ID(2) {
		_, w := m.vm(Root, 1000+100*i, 4, 0)
		all = append(all, w...)
	}
	for _, w := range all {
		s.Wake(w, 1)
	}
	m = drive(s, 1)
	m.run(20e9)
	return m, all[0]
}

// vm is a VM of n virtual processors with an affinity set.
func (m *machine) vm(pool, owner ID, n int, set uint32) (group ID, worlds []ID) {
	group = m.Create(pool, owner, Group|Cosched, &Policy{Shares: 1000})
	for i := range n {
		w := m.Create(group, owner+1+ID(i), 0, &Policy{Shares: 1000})
		if set != 0 {
			m.SetAffinity(w, set, m.now)
		}
		worlds = append(worlds, w)
	}
	return group, worlds
}

// part is what a node uses of d ns.
func (m *machine) part(id ID, d uint64) float64 {
	u := m.Used(id)
	m.run(d)
	return float64(m.Used(id)-u) / float64(d)
}

// TestWhoIsConfinedLateHasItsPart: the clock of the processor that it may use is far behind by then, or by when it is in another pool.
func TestWhoIsConfinedLateHasItsPart(t *testing.T) {
	for name, late := range map[string]func(m *machine) ID{
		"created": func(m *machine) ID {
			group, w := m.vm(Root, 2000, 1, 1)
			m.Wake(w[0], m.now)
			return group
		},
		"confined as it runs": func(m *machine) ID {
			group, w := m.vm(Root, 2000, 4, 0)
			for _, w := range w {
				m.Wake(w, m.now)
			}
			m.run(1e9)
			for _, w := range w {
				m.SetAffinity(w, 1, m.now)
			}
			return group
		},
		"in a late pool": func(m *machine) ID {
			pool := m.Create(Root, 1900, Group, &Policy{Shares: 1000})
			for i := range ID(2) {
				_, w := m.vm(pool, 2000+100*i, 2, 1)
				m.Wake(w[0], m.now)
				m.Wake(w[1], m.now)
			}
			return pool
		},
		"moved to the root": func(m *machine) ID {
			pool := m.Create(Root, 1900, Group, &Policy{Shares: 1000})
			group, w := m.vm(pool, 2000, 2, 1)
			m.Wake(w[0], m.now)
			m.run(1e9)
			m.Move(group, Root, m.now)
			return group
		},
		"moved to a pool": func(m *machine) ID {
			group, w := m.vm(Root, 2000, 2, 1)
			m.Wake(w[0], m.now)
			m.run(1e9)
			pool := m.Create(Root, 1900, Group, &Policy{Shares: 1000})
			m.Move(group, pool, m.now)
			return pool
		},
		"in a pool that was elsewhere": func(m *machine) ID {
			pool := m.Create(Root, 1900, Group, &Policy{Shares: 1000})
			group, w := m.vm(pool, 2000, 1, 2)
			m.Wake(w[0], m.now)
			m.run(1e9)
			_, v := m.vm(pool, 2100, 1, 1)
			m.Wake(v[0], m.now)
			for m.State(w[0]) == Running {
				m.run(100_000)
			}
			if !m.Destroy(w[0], m.now) || !m.Destroy(group, m.now) {
				t.Fatal("not destroyed")
			}
			return pool
		},
	} {
		m, equal := crowd(t)
		id := late(m)
		if bad := m.Check(); bad != "" {
			t.Fatalf("%s: %s", name, bad)
		}
		m.run(1e8)
		u := m.Used(equal)
		got := m.part(id, 2e9)
		if other := float64(m.Used(equal)-u) / 2e9; got < 0.32 || got > 0.345 || other < 0.32 {
			t.Errorf("%s: it has %.3f, its equal %.3f", name, got, other)
		}
	}
}

// TestWhoChangesItsAffinityGainsNothing: it has no more than it would had it stayed where it would have most.
func TestWhoChangesItsAffinityGainsNothing(t *testing.T) {
	for _, x := range []struct {
		n     int      // virtual processors
		stays int      // of which keep the first set
		sets  []uint32 // of the others, in turn
		most  float64
	}{
		{1, 0, []uint32{1, 3}, 1. / 3},
		{2, 0, []uint32{1, 3}, 1. / 3},
		{1, 0, []uint32{1, 2}, 1. / 2},
		{2, 0, []uint32{1, 2}, 1. / 2},
		{2, 1, []uint32{1, 2}, 1. / 2},
		{2, 1, []uint32{2, 1}, 1. / 2},
		{1, 0, []uint32{1, 3, 1, 2}, 1. / 2},
	} {
		for _, every := range []uint64{500_000, 1_100_000, 5_000_000, 50_000_000, 300_000_000} {
			m, _ := crowd(t)
			group, w := m.vm(Root, 2000, x.n, x.sets[0])
			for _, id := range w {
				m.Wake(id, m.now)
			}
			m.run(1e9)
			u, began := m.Used(group), m.now
			for i := 0; m.now < began+4e9; i++ {
				m.run(every)
				for _, id := range w[x.stays:] {
					m.SetAffinity(id, x.sets[i%len(x.sets)], m.now)
				}
			}
			if got := float64(m.Used(group)-u) / float64(m.now-began); got > x.most*1.03 {
				t.Errorf("%d virtual processors, to sets %v every %d us but for %d: they have %.3f, at the best of these places %.3f", x.n, x.sets, every/1000, x.stays, got, x.most)
			}
			if bad := m.Check(); bad != "" {
				t.Fatal(bad)
			}
		}
	}
}
