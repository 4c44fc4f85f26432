package sched

import "testing"

// TestNewSharesHoldFromThenOn: those of pools whose worlds wait and run, on one processor or confined to one of two, in the 100 ms
// after the change and the second after these.
func TestNewSharesHoldFromThenOn(t *testing.T) {
	for _, cpus := range []int{1, 2} {
		s, _, _ := small(t, cpus)
		s.SetMember(1, uint32(cpus-1), true)
		pools := []ID{s.Create(Root, 5, Group, &Policy{Shares: 3000}), s.Create(Root, 6, Group, &Policy{Shares: 1000})}
		var worlds []ID
		for i, vm := range []struct {
			pool   ID
			shares uint32
		}{{pools[0], 1000}, {pools[0], 2000}, {pools[1], 1000}} {
			g := s.Create(vm.pool, ID(7+i), Group|Cosched, &Policy{Shares: vm.shares})
			w := s.Create(g, ID(70+i), 0, &Policy{Shares: 1000})
			if cpus > 1 && !s.SetAffinity(w, 1, 1) {
				t.Fatal("no affinity")
			}
			worlds = append(worlds, w)
			s.Wake(w, 1)
		}
		m := drive(s, 1)
		run := func(d uint64) (parts [3]float64) {
			var before [3]uint64
			for i, w := range worlds {
				before[i] = s.Used(w)
			}
			m.run(d)
			for i, w := range worlds {
				parts[i] = float64(s.Used(w)-before[i]) / float64(d)
			}
			return parts
		}
		run(1e9)
		for _, to := range [][2]uint32{{3000, 9000}, {3000, 500}, {200, 500}, {6000, 500}} {
			for i, pool := range pools {
				if !s.SetPolicy(pool, &Policy{Shares: to[i]}, m.now) {
					t.Fatal("no policy")
				}
			}
			a := float64(to[0]) / float64(to[0]+to[1])
			for _, d := range []uint64{1e8, 1e9} {
				want, tolerance := [3]float64{a / 3, a * 2 / 3, 1 - a}, 3e6/float64(d) // some turns
				for i, got := range run(d) {
					if got < want[i]-tolerance || got > want[i]+tolerance {
						t.Errorf("%d processors, pools %v, in %d ms: world %d had %.3f, its part is %.3f", cpus, to, d/1e6, i, got, want[i])
					}
				}
			}
			if bad := s.Check(); bad != "" {
				t.Fatal(bad)
			}
		}
	}
}
