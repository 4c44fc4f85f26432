package sim

// idealUntil adds what the groups should have got since a time, in a machine that can be divided at
// will: each group gets its part by shares of what its parent has, not below its reservation, not above
// its limit or what its worlds can use. It returns the present time. Affinity isn't known to it.
func (m *machine) idealUntil(since uint64) uint64 {
	if m.now <= since {
		return since
	}
	n := len(m.groups)
	want := make([]float64, n)
	for i := n - 1; i >= 0; i-- {
		g := &m.groups[i]
		for _, w := range g.worlds {
			if !m.worlds[w].dead && !g.paused {
				want[i] += demand(m.worlds[w].is)
			}
		}
		for _, w := range g.worlds {
			if !g.paused && !m.worlds[w].dead && m.worlds[w].is.Ring {
				want[i] -= demand(m.worlds[w].is) * float64(m.worlds[w].is.Count-1) / float64(m.worlds[w].is.Count)
			}
		}
		if l := float64(g.Policy.Limit) / 1000; l != 0 && g.Flags&8 == 0 {
			want[i] = min(want[i], l)
		}
		if g.parent >= 0 {
			want[g.parent] += want[i]
		}
	}
	get := make([]float64, n)
	m.divide(-1, float64(len(m.cpus)), want, get)
	for i := range m.groups {
		m.groups[i].ideal += get[i] * float64(m.now-since)
	}
	return m.now
}

func demand(w *World) float64 {
	if w.Sleep == 0 || w.Run == 0 {
		return 1
	}
	return float64(w.Run) / float64(w.Run+w.Sleep)
}

// divide gives amount to the children of a group.
func (m *machine) divide(parent int, amount float64, want, get []float64) {
	part := func(level float64) (sum float64) {
		for i := range m.groups {
			if g := &m.groups[i]; g.parent == parent {
				get[i] = min(max(level*float64(g.Policy.Shares), float64(g.Policy.Reservation)/1000), want[i])
				sum += get[i]
			}
		}
		return sum
	}
	lo, hi := 0.0, 1e5
	for range 80 {
		if mid := (lo + hi) / 2; part(mid) > amount {
			hi = mid
		} else {
			lo = mid
		}
	}
	part(lo)
	for i := range m.groups {
		if g := &m.groups[i]; g.parent == parent && g.Flags&1 != 0 {
			m.divide(i, get[i], want, get)
		}
	}
}
