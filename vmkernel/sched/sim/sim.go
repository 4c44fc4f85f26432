package sim

import (
	"container/heap"
	"fmt"
	"io"
	"math/rand/v2"

	"keel/vmkernel/sched"
)

// An event is something that happens at a time: a processor's timer, kick or the end of its world's
// burst; a sleeper's time; an Event of the scenario. seq makes the order of all definite.
type event struct {
	at, seq uint64
	kind    eventKind
	i       int
	stamp   uint64
}

type eventKind uint8

const (
	evCPU eventKind = iota
	evKick
	evWake
	evGroup
	evScenario
	evSample
)

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	n := len(*h) - 1
	e := (*h)[n]
	*h = (*h)[:n]
	return e
}

// A cpu is a processor of the simulation.
type cpu struct {
	runs   int    // index of the world, -1 idle
	since  uint64 // when it begins, or began, to run that
	stamp  uint64
	timers uint64
	busy   uint64   // until when it decides and switches, and does nothing else
	last   sched.ID // what it ran before its last decision
	guest  bool     // that was a guest's
}

// A world is a world of the simulation.
type world struct {
	id      sched.ID
	is      *World
	group   int
	next    int    // of a ring
	left    uint64 // ns until it does something
	stamp   uint64
	dead    bool
	blocked bool
	woken   uint64 // when it was woken, 0 once it runs
}

type group struct {
	Group
	id     sched.ID
	index  int
	parent int // index in groups, -1 the root
	worlds []int
	dead   bool
	paused bool
	base   uint64 // used at the end of the warm-up
	sets   uint32
	ideal  float64

	home, anywhere uint64 // ns that its worlds ran at home, and in all

	latency []uint32 // ns of its wake-ups
	maxSkew uint64
	ahead   ahead
}

// A machine runs a scenario.
type machine struct {
	*recorder
	sc       *Scenario
	rng      *rand.Rand
	events   eventHeap
	seq      uint64
	now      uint64
	cpus     []cpu
	worlds   []world
	byID     []int
	groups   []group
	names    map[string]int
	sets     map[string]uint64
	forks    uint64
	lastUsed []uint64
	uses     []uint64 // what used returns
	limited  []int    // groups with a limit
}

// Run simulates a scenario. The trace of all calls goes to trace, where that isn't nil.
func Run(sc *Scenario, trace io.Writer) (*Result, error) {
	nodes := 2 + len(sc.Groups) + 8
	for _, w := range sc.Worlds {
		nodes += w.Count + 1
	}
	for _, e := range sc.Events {
		nodes += e.World.Count
	}
	sets := 1 + 2*(len(sc.Worlds)+len(sc.Events))
	rec, err := newRecorder(sc.CPUs, nodes, sets, trace)
	if err != nil {
		return nil, err
	}
	m := &machine{recorder: rec, sc: sc, rng: rand.New(rand.NewPCG(sc.Seed, 1)), names: map[string]int{}, sets: map[string]uint64{},
		cpus: make([]cpu, sc.CPUs), byID: make([]int, nodes)}
	if err := m.build(); err != nil {
		return nil, err
	}
	return m.run()
}

func (m *machine) build() error {
	m.call('J', 0, m.sc.Turn)
	for c := range m.cpus {
		m.cpus[c].runs = -1
		m.call('O', 0, uint64(c))
	}
	for i := range m.sc.Groups {
		g := group{Group: m.sc.Groups[i], index: i, parent: -1}
		if g.Parent != "" {
			g.parent = m.names[g.Parent]
		}
		m.names[g.Name] = i
		m.groups = append(m.groups, g)
		if g.At != 0 {
			m.schedule(g.At, evGroup, i, 0)
		} else if err := m.createGroup(i); err != nil {
			return err
		}
		if g.Policy.Limit != 0 {
			m.limited = append(m.limited, i)
		}
	}
	for i := range m.sc.Worlds {
		if err := m.add(&m.sc.Worlds[i]); err != nil {
			return err
		}
	}
	for c := range m.cpus {
		if name, ok := m.sc.Exclusive[c]; ok {
			if x, _ := m.call('X', 0, uint64(c), uint64(m.groups[m.names[name]].sets)); x == 0 {
				return fmt.Errorf("exclusive %d %s: refused: the group's worlds have no such affinity, or nothing is left to the others", c, name)
			}
		}
	}
	for i := range m.sc.Events {
		m.schedule(m.sc.Events[i].At, evScenario, i, 0)
	}
	return nil
}

func (m *machine) createGroup(i int) error {
	g, parent := &m.groups[i], sched.Root
	if g.parent >= 0 {
		parent = m.groups[g.parent].id
	}
	id, _ := m.call('C', m.now, uint64(parent), uint64(g.Flags), uint64(g.Policy.Shares), uint64(g.Policy.Reservation), uint64(g.Policy.Limit), 0)
	if g.id = sched.ID(id); id == 0 {
		return fmt.Errorf("group %s: shares, reservation or limit refused", g.Name)
	}
	return nil
}

// set is the affinity set of a list of processors.
func (m *machine) set(list []int) uint64 {
	if len(list) == 0 {
		return 0
	}
	key := fmt.Sprint(list)
	n, ok := m.sets[key]
	if !ok {
		n = uint64(len(m.sets)) + 1
		m.sets[key] = n
		for _, c := range list {
			m.call('M', m.now, n, uint64(c))
		}
	}
	return n
}

// add creates the worlds of one description, and wakes them.
func (m *machine) add(w *World) error {
	gi := m.names[w.Group]
	set := m.set(w.Affinity)
	first := len(m.worlds)
	for i := range w.Count {
		n := len(m.worlds)
		m.worlds = append(m.worlds, world{is: w, group: gi, next: n + 1})
		m.groups[gi].worlds = append(m.groups[gi].worlds, n)
		m.groups[gi].sets = uint32(set)
		if !m.create(n, set) {
			return fmt.Errorf("world %s: refused: too many, or its shares", w.Group)
		}
		if w.Ring && i > 0 {
			m.worlds[n].blocked = true
			continue
		}
		m.wake(n)
	}
	m.worlds[len(m.worlds)-1].next = first
	return nil
}

func (m *machine) create(n int, set uint64) bool {
	w := &m.worlds[n]
	id, _ := m.call('C', m.now, uint64(m.groups[w.group].id), 0, uint64(w.is.Shares), 0, 0, 0)
	if id == 0 {
		return false
	}
	w.id = sched.ID(id)
	m.byID[id] = n
	if set != 0 {
		m.call('A', m.now, id, set)
	}
	if home := m.set(w.is.Home); home != 0 {
		m.call('V', m.now, id, home)
	}
	w.left = m.burst(w.is.Run, w.is)
	return true
}

// burst is a time with the world's jitter.
func (m *machine) burst(t uint64, w *World) uint64 {
	if t == 0 {
		return sched.Never
	}
	if j := t * w.Jitter / 100; j != 0 {
		t = t - j + m.rng.Uint64N(2*j+1)
	}
	return max(t, 1)
}

func (m *machine) wake(n int) {
	w := &m.worlds[n]
	w.blocked = false
	w.woken = m.now + 1
	m.call('W', m.now, uint64(w.id))
	m.kicks()
}

func (m *machine) kicks() {
	for {
		c, _ := m.call('K', m.now)
		if int64(c) < 0 {
			return
		}
		m.schedule(m.now+m.sc.IPI, evKick, int(c), 0)
	}
}

func (m *machine) schedule(at uint64, k eventKind, i int, stamp uint64) {
	m.seq++
	heap.Push(&m.events, event{at, m.seq, k, i, stamp})
}

func (m *machine) run() (*Result, error) {
	for c := range m.cpus {
		m.dispatch(c)
	}
	m.schedule(m.sc.Warmup, evSample, 0, 0)
	r := &Result{Scenario: m.sc}
	lastIdeal := m.sc.Warmup
	for len(m.events) > 0 {
		e := heap.Pop(&m.events).(event)
		if e.at >= m.sc.Length {
			break
		}
		m.now = e.at
		switch e.kind {
		case evCPU:
			if m.cpus[e.i].stamp == e.stamp {
				m.cpus[e.i].timers++
				m.tick(e.i)
			}
		case evKick:
			m.tick(e.i)
		case evWake:
			if w := &m.worlds[e.i]; !w.dead && w.blocked && w.stamp == e.stamp {
				m.wake(e.i)
			}
		case evGroup:
			if err := m.createGroup(e.i); err != nil {
				return nil, err
			}
		case evScenario:
			lastIdeal = m.idealUntil(lastIdeal)
			if err := m.event(&m.sc.Events[e.i]); err != nil {
				return nil, err
			}
		case evSample:
			m.sample(r)
		}
		m.meter()
		r.Events++
	}
	m.now = m.sc.Length
	for c := range m.cpus {
		m.tick(c)
	}
	m.idealUntil(lastIdeal)
	m.finish(r)
	if m.out != nil {
		if err := m.out.Flush(); err != nil {
			return nil, err
		}
	}
	return r, m.err
}

// skew notes how far a world that runs is ahead of those of its VM that want to run, and didn't give their turn up.
func (m *machine) skew(w *world) {
	g := &m.groups[w.group]
	if g.Flags&sched.Cosched == 0 || m.now < m.sc.Warmup {
		return
	}
	least, most := sched.Never, uint64(0)
	for _, i := range g.worlds {
		x := &m.worlds[i]
		if x.dead {
			continue
		}
		used, _, _, _ := m.s.Times(x.id, m.now)
		p := m.s.Progress(x.id) + used - m.s.Used(x.id)
		switch m.s.State(x.id) {
		case sched.Running:
			most = max(most, p)
			least = min(least, p)
		case sched.Ready, sched.Parked:
			if !m.s.GaveUp(x.id) {
				least = min(least, p)
			}
		}
	}
	g.maxSkew = max(g.maxSkew, sub(most, least))
}

func sub(a, b uint64) uint64 { return a - min(a, b) }
