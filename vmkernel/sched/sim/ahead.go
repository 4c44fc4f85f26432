package sim

// An ahead is by how much a group's use exceeded its limit in any interval after the warm-up: most is the greatest m, in ns of wall
// time, so that in some interval t it used l*(t + m). That is a bucket which leaks at the limit's rate, and forgets nothing.
type ahead struct {
	used, at, now, most float64
}

// meter brings all of them up to date. A group's limit is to stay what it was.
func (m *machine) meter() {
	if m.now < m.sc.Warmup {
		return
	}
	for _, i := range m.limited {
		g := &m.groups[i]
		a, used, now := &g.ahead, float64(m.usedNow(i)), float64(m.now)
		if a.at != 0 {
			a.now = max(0, a.now+(used-a.used)*1000/float64(g.Policy.Limit)-(now-a.at))
			a.most = max(a.most, a.now)
		}
		a.used, a.at = used, now
	}
}

// usedNow is a group's service up to now, with that of its running worlds that hasn't been charged yet.
func (m *machine) usedNow(i int) uint64 {
	used := m.s.Used(m.groups[i].id)
	for c := range m.cpus {
		id := m.s.Current(uint32(c))
		if id == 0 {
			continue
		}
		for g := m.worlds[m.byID[id]].group; g >= 0; g = m.groups[g].parent {
			if g == i {
				now, _, _, _ := m.s.Times(id, m.now)
				used += now - m.s.Used(id)
				break
			}
		}
	}
	return used
}
