package sim

import (
	"fmt"
	"slices"

	"keel/vmkernel/sched"
)

// tick is what processor c does at its timer, when kicked, or as its world's burst ends.
func (m *machine) tick(c int) {
	p := &m.cpus[c]
	if m.now < p.busy {
		p.stamp++
		m.schedule(p.busy, evCPU, c, p.stamp)
		return
	}
	if p.runs >= 0 {
		w := &m.worlds[p.runs]
		d := sub(m.now, p.since)
		if w.left != sched.Never {
			w.left -= min(d, w.left)
		}
		m.groups[w.group].ran(w, c, min(d, sub(m.now, m.sc.Warmup)))
		p.since = m.now
		if w.left == 0 {
			m.act(c, p.runs)
		}
	}
	m.dispatch(c)
}

// ran notes that a world ran for d ns on processor c.
func (g *group) ran(w *world, c int, d uint64) {
	g.anywhere += d
	if slices.Contains(w.is.Home, c) {
		g.home += d
	}
}

// act is what the running world of processor c does when its burst is over.
func (m *machine) act(c, n int) {
	w := &m.worlds[n]
	is := w.is
	w.left = m.burst(is.Run, is)
	switch {
	case is.Yield:
		m.call('Y', m.now, uint64(c))
		return
	case is.Fork:
		set := uint64(0)
		if len(is.Affinity) != 0 {
			set = m.set(is.Affinity)
		}
		old := w.id
		m.cpus[c].runs = -1
		m.create(n, set) // the child, before it ends
		m.call('B', m.now, uint64(c))
		m.call('D', m.now, uint64(old))
		m.forks++
		m.wake(n)
		return
	}
	m.cpus[c].runs = -1
	m.call('B', m.now, uint64(c))
	w.blocked = true
	w.stamp++
	if is.Ring {
		next := w.next
		for m.worlds[next].dead && next != n {
			next = m.worlds[next].next
		}
		m.wake(next)
		return
	}
	m.schedule(m.now+m.burst(max(is.Sleep, 1), is), evWake, n, w.stamp)
}

// dispatch has processor c pick.
func (m *machine) dispatch(c int) {
	p := &m.cpus[c]
	p.stamp++
	if p.runs >= 0 {
		m.skew(&m.worlds[p.runs])
	}
	was, wasGuest := p.last, p.guest
	id, until := m.call('P', m.now, uint64(c))
	m.kicks()
	p.runs, p.since, p.last, p.guest = -1, m.now, sched.ID(id), false
	end := until
	if id != 0 {
		p.runs = m.byID[id]
		p.guest = m.groups[m.worlds[p.runs].group].Flags&sched.System == 0
		if p.last != was {
			p.since += m.sc.Turn
			p.busy = p.since
			if p.guest && wasGuest && m.sc.Turn != 0 {
				m.call('N', p.busy, uint64(c), 0, p.busy)
			}
		}
		w := &m.worlds[p.runs]
		if w.woken != 0 {
			if m.now >= m.sc.Warmup {
				g := &m.groups[w.group]
				g.latency = append(g.latency, uint32(min(m.now+1-w.woken, 1<<32-1)))
			}
			w.woken = 0
		}
		if w.left != sched.Never {
			end = min(end, p.since+w.left)
		}
		m.skew(w)
	}
	if end != sched.Never {
		m.schedule(max(end, p.busy), evCPU, c, p.stamp)
	}
}

// event applies an Event of the scenario.
func (m *machine) event(e *Event) error {
	gi := m.names[e.Group]
	g := &m.groups[gi]
	switch e.Verb {
	case "set":
		for _, k := range e.Set {
			switch k {
			case "shares":
				g.Policy.Shares = e.Policy.Shares
			case "reservation":
				g.Policy.Reservation = e.Policy.Reservation
			case "limit":
				g.Policy.Limit = e.Policy.Limit
			}
		}
		if x, _ := m.call('S', m.now, uint64(g.id), uint64(g.Policy.Shares), uint64(g.Policy.Reservation), uint64(g.Policy.Limit)); x == 0 {
			return fmt.Errorf("at %d set %s: refused", e.At, e.Group)
		}
	case "add":
		return m.add(&e.World)
	default:
		for _, i := range g.worlds {
			w := &m.worlds[i]
			if w.dead {
				continue
			}
			switch e.Verb {
			case "pause":
				m.call('U', m.now, uint64(w.id))
			case "resume":
				m.call('R', m.now, uint64(w.id))
			case "kill":
				if m.s.State(w.id) == sched.Running {
					c := m.s.CPU(w.id)
					m.call('B', m.now, uint64(c))
					m.cpus[c].runs = -1
					m.call('D', m.now, uint64(w.id))
					m.dispatch(int(c))
				} else {
					m.call('D', m.now, uint64(w.id))
				}
				w.dead = true
			}
		}
		g.paused = e.Verb == "pause"
		g.dead = g.dead || e.Verb == "kill"
	}
	m.kicks()
	return nil
}
