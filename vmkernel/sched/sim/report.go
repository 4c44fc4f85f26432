package sim

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"keel/vmkernel/sched"
)

// A Result is what a simulation found.
type Result struct {
	Scenario *Scenario
	Groups   []GroupResult
	Events   uint64

	Picks, Switches, Moves, Kicks, Timers, Forks uint64
	Idle                                         float64 // of all processors' time

	Times   []uint64    // ns, of samples
	Samples [][]float64 // by time and group: processors used
	Check   string      // a broken invariant, "" none
}

// A GroupResult is what a group got after the warm-up.
type GroupResult struct {
	Name        string
	Parent      int // index, -1 the root
	Policy      sched.Policy
	Worlds      int
	Used, Ideal float64 // processors
	MaxWait     uint64  // ns, of a world for a processor
	Skew        uint64  // ns, of a world to a sibling that waits
	Ahead       float64 // ns, see ahead
	Home        float64 // of its time, that its worlds ran at home
	Wakes       int
	P50, P99    uint64 // ns, from wake-up to run
}

// Error is how far it is from its ideal, of that.
func (g *GroupResult) Error() float64 {
	if g.Ideal == 0 {
		return 0
	}
	return (g.Used - g.Ideal) / g.Ideal
}

// Group finds a group's result.
func (r *Result) Group(name string) *GroupResult {
	for i := range r.Groups {
		if r.Groups[i].Name == name {
			return &r.Groups[i]
		}
	}
	return nil
}

// sample notes what the groups use.
func (m *machine) sample(r *Result) {
	uses := m.used()
	if m.lastUsed == nil {
		for i, u := range uses {
			m.groups[i].base = u
		}
		m.sc.sample = max((m.sc.Length-m.sc.Warmup)/200, 1_000_000)
	} else {
		row := make([]float64, len(uses))
		for i, u := range uses {
			row[i] = float64(u-m.lastUsed[i]) / float64(m.sc.sample)
		}
		r.Times = append(r.Times, m.now)
		r.Samples = append(r.Samples, row)
	}
	m.lastUsed = append(m.lastUsed[:0], uses...)
	m.schedule(m.now+m.sc.sample, evSample, 0, 0)
}

func (m *machine) finish(r *Result) {
	t := float64(m.sc.Length - m.sc.Warmup)
	for i := range m.groups {
		g := &m.groups[i]
		x := GroupResult{Name: g.Name, Parent: g.parent, Policy: g.Policy, Worlds: len(g.worlds), Skew: g.maxSkew, Ahead: g.ahead.most,
			Used: float64(m.s.Used(g.id)-g.base) / t, Ideal: g.ideal / t, Wakes: len(g.latency)}
		for _, w := range g.worlds {
			if !m.worlds[w].dead {
				x.MaxWait = max(x.MaxWait, m.s.MaxWait(m.worlds[w].id))
			}
		}
		if g.anywhere != 0 {
			x.Home = float64(g.home) / float64(g.anywhere)
		}
		if n := len(g.latency); n > 0 {
			slices.Sort(g.latency)
			x.P50, x.P99 = uint64(g.latency[n/2]), uint64(g.latency[n*99/100])
		}
		r.Groups = append(r.Groups, x)
	}
	var idle uint64
	for c := range m.cpus {
		n := uint32(c)
		r.Picks += m.s.Picked(n)
		r.Switches += m.s.Switches(n)
		r.Moves += m.s.Moves(n)
		r.Kicks += m.s.Kicks(n)
		r.Timers += m.cpus[c].timers
		idle += m.s.Idle(n)
	}
	r.Idle = float64(idle) / float64(m.sc.Length) / float64(len(m.cpus))
	r.Forks = m.forks
	if m.s.Live() < 5000 {
		r.Check = m.s.Check()
	}
}

// Table prints what the groups got.
func (r *Result) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "group\tworlds\tshares\treserved\tlimit\tgot\tideal\terror\tmax wait\twake p50\tp99\tskew\t")
	for _, g := range r.Groups {
		limit := "-"
		if g.Policy.Limit != 0 {
			limit = fmt.Sprintf("%.1f%%", float64(g.Policy.Limit)/10)
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%.1f%%\t%s\t%.2f%%\t%.2f%%\t%+.2f%%\t%s\t%s\t%s\t%s\t\n", g.Name, g.Worlds, g.Policy.Shares,
			float64(g.Policy.Reservation)/10, limit, 100*g.Used, 100*g.Ideal, 100*g.Error(), us(g.MaxWait), us(g.P50), us(g.P99), us(g.Skew))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	sc := r.Scenario
	sec := float64(sc.Length) / 1e9 * float64(sc.CPUs)
	_, err := fmt.Fprintf(w, "%d processors, %.3g s; for each processor and second: %.0f picks, %.0f switches, %.0f moves, %.0f kicks, %.0f timers; %.1f%% idle\n",
		sc.CPUs, float64(sc.Length)/1e9, float64(r.Picks)/sec, float64(r.Switches)/sec, float64(r.Moves)/sec, float64(r.Kicks)/sec, float64(r.Timers)/sec, 100*r.Idle)
	return err
}

func us(ns uint64) string {
	if ns == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1fus", float64(ns)/1000)
}
