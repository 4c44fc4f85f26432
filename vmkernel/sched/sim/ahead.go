package sim

import "keel/vmkernel/sched"

// An ahead is by how much a group's use exceeded its limit in any interval after the warm-up: most is the greatest m, in ns of wall
// time, so that in some interval t it used l*(t + m). That is a bucket which leaks at the limit's rate, and forgets nothing.
type ahead struct {
	used, at, now, most float64
}

// meter brings all of them up to date. A group's limit is to stay what it was.
func (m *machine) meter() {
	if m.now < m.sc.Warmup || len(m.limited) == 0 {
		return
	}
	uses := m.used()
	for _, i := range m.limited {
		g := &m.groups[i]
		a, used, now := &g.ahead, float64(uses[i]), float64(m.now)
		if a.at != 0 {
			a.now = max(0, a.now+(used-a.used)*1000/float64(g.Policy.Limit)-(now-a.at))
			a.most = max(a.most, a.now)
		}
		a.used, a.at = used, now
	}
}

// used is the service of all groups up to now, with that of running worlds that hasn't been charged yet: it changes nothing, since who has
// no timer may need one.
func (m *machine) used() []uint64 {
	m.uses = m.uses[:0]
	for i := range m.groups {
		m.uses = append(m.uses, m.s.Used(m.groups[i].id))
	}
	for c := range m.cpus {
		id := m.s.Current(uint32(c))
		if id == sched.None {
			continue
		}
		now, _, _, _ := m.s.Times(id, m.now)
		for g := m.worlds[m.byID[id]].group; g >= 0; g = m.groups[g].parent {
			m.uses[g] += now - m.s.Used(id)
		}
	}
	return m.uses
}
