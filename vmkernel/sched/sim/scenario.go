package sim

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"keel/vmkernel/sched"
)

// A Scenario is what is simulated. Its text has a line for each thing, and # begins a comment:
//
//	cpus 4                                 processors
//	length 2s                              of the simulation
//	warmup 200ms                           at its beginning, which isn't counted
//	seed 1                                 of the random numbers
//	ipi 2us                                until a kick is felt
//	turn 50us                              what it takes to end a turn and begin another world's
//	group web shares=2000 reservation=50% limit=200% parent=pools cosched
//	group late at=20s                      created then, and its worlds by at ... add
//	group system system limit=20%          Keel's own
//	world web count=4                      spinning worlds in that group
//	world web run=300us sleep=1ms          which run and sleep, jitter=50% of that
//	world web run=20us ring                each wakes the next of them, and sleeps until it is woken
//	world web run=500us fork               each ends as it creates another
//	world web run=50us yield               spins, yielding each 50 us
//	world web affinity=0-1,3               which run on these processors only
//	world web home=0-3                     whose memory is next to these: they run elsewhere only where they would wait longer
//	exclusive 3 web                        a processor for the worlds of web with that affinity
//	at 1s set web shares=500               also: pause web, resume web, kill web, add web count=2
type Scenario struct {
	CPUs                int
	Length, Warmup, IPI uint64 // ns
	Turn                uint64 // likewise
	Seed                uint64
	Groups              []Group
	Worlds              []World
	Exclusive           map[int]string
	Events              []Event

	sample uint64
}

// A Group is a group; Parent is empty below the root.
type Group struct {
	Name, Parent string
	Policy       sched.Policy
	Flags        uint8
	At           uint64 // when it is created, ns
}

// A World is one or more worlds that behave alike.
type World struct {
	Group       string
	Count       int
	Shares      uint32
	Run, Sleep  uint64 // ns; Run 0: it never stops
	Jitter      uint64 // %
	Ring        bool
	Fork, Yield bool
	Affinity    []int
	Home        []int
}

// An Event changes something at a time. Policy's fields are used where Set has their names.
type Event struct {
	At     uint64
	Verb   string
	Group  string
	Policy sched.Policy
	Set    []string
	World  World
}

// Parse reads a scenario.
func Parse(r io.Reader) (*Scenario, error) {
	sc := &Scenario{CPUs: 1, Length: 1e9, Warmup: 1e8, IPI: 1000, Seed: 1, Exclusive: map[int]string{}}
	in := bufio.NewScanner(r)
	for line := 1; in.Scan(); line++ {
		text, _, _ := strings.Cut(in.Text(), "#")
		f := strings.Fields(text)
		if len(f) == 0 {
			continue
		}
		if err := sc.line(f); err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", line, f[0], err)
		}
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	return sc, sc.check()
}

func (sc *Scenario) line(f []string) error {
	if len(f) < 2 {
		return fmt.Errorf("needs a value")
	}
	var err error
	switch f[0] {
	case "cpus":
		sc.CPUs, err = strconv.Atoi(f[1])
	case "length":
		sc.Length, err = duration(f[1])
	case "warmup":
		sc.Warmup, err = duration(f[1])
	case "ipi":
		sc.IPI, err = duration(f[1])
	case "turn":
		sc.Turn, err = duration(f[1])
	case "seed":
		sc.Seed, err = strconv.ParseUint(f[1], 10, 64)
	case "group":
		g := Group{Name: f[1], Policy: sched.Policy{Shares: 1000}, Flags: sched.Group}
		_, err = options(f[2:], &g.Policy, &g, nil)
		sc.Groups = append(sc.Groups, g)
	case "world":
		w := World{Group: f[1], Count: 1, Shares: 1000}
		_, err = options(f[2:], nil, nil, &w)
		sc.Worlds = append(sc.Worlds, w)
	case "exclusive":
		var c int
		if len(f) != 3 {
			return fmt.Errorf("needs a processor and a group")
		}
		c, err = strconv.Atoi(f[1])
		sc.Exclusive[c] = f[2]
	case "at":
		if len(f) < 4 {
			return fmt.Errorf("needs a time, a verb and a group")
		}
		e := Event{Verb: f[2], Group: f[3], World: World{Group: f[3], Count: 1, Shares: 1000}}
		if e.At, err = duration(f[1]); err != nil {
			return err
		}
		switch e.Verb {
		case "set":
			e.Set, err = options(f[4:], &e.Policy, nil, nil)
		case "add":
			_, err = options(f[4:], nil, nil, &e.World)
		case "pause", "resume", "kill":
		default:
			return fmt.Errorf("unknown verb %q: set, add, pause, resume or kill", e.Verb)
		}
		sc.Events = append(sc.Events, e)
	default:
		return fmt.Errorf("unknown: see schedsim -help")
	}
	return err
}

// options reads key=value; it returns the keys.
func options(f []string, p *sched.Policy, g *Group, w *World) (keys []string, err error) {
	for _, o := range f {
		k, v, _ := strings.Cut(o, "=")
		keys = append(keys, k)
		switch {
		case p != nil && k == "shares":
			p.Shares, err = number(v)
		case p != nil && k == "reservation":
			p.Reservation, err = percent(v)
		case p != nil && k == "limit":
			p.Limit, err = percent(v)
		case g != nil && k == "parent":
			g.Parent = v
		case g != nil && k == "at":
			g.At, err = duration(v)
		case g != nil && k == "cosched":
			g.Flags |= sched.Cosched
		case g != nil && k == "system":
			g.Flags |= sched.System
		case w != nil && k == "count":
			w.Count, err = strconv.Atoi(v)
		case w != nil && k == "shares":
			w.Shares, err = number(v)
		case w != nil && k == "run":
			w.Run, err = duration(v)
		case w != nil && k == "sleep":
			w.Sleep, err = duration(v)
		case w != nil && k == "jitter":
			var j uint32
			j, err = percent(v)
			w.Jitter = min(uint64(j)/10, 100)
		case w != nil && k == "ring":
			w.Ring = true
		case w != nil && k == "fork":
			w.Fork = true
		case w != nil && k == "yield":
			w.Yield = true
		case w != nil && k == "affinity":
			w.Affinity, err = processors(v)
		case w != nil && k == "home":
			w.Home, err = processors(v)
		default:
			err = fmt.Errorf("unknown option %q", o)
		}
		if err != nil {
			return keys, fmt.Errorf("%s: %w", o, err)
		}
	}
	return keys, nil
}

func number(v string) (uint32, error) {
	n, err := strconv.ParseUint(v, 10, 32)
	return uint32(n), err
}

// percent is 1/1000 of a processor.
func percent(v string) (uint32, error) {
	f, err := strconv.ParseFloat(strings.TrimSuffix(v, "%"), 64)
	if err != nil || f < 0 || f > 1e6 {
		return 0, fmt.Errorf("no percentage")
	}
	return uint32(f * 10), nil
}

func duration(v string) (uint64, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("no duration: %q", v)
	}
	return uint64(d), nil
}

func processors(v string) (list []int, err error) {
	for _, part := range strings.Split(v, ",") {
		a, b, isRange := strings.Cut(part, "-")
		lo, err := strconv.Atoi(a)
		hi := lo
		if err == nil && isRange {
			hi, err = strconv.Atoi(b)
		}
		if err != nil || lo < 0 || hi < lo || hi >= sched.MaxCPUs {
			return nil, fmt.Errorf("no list of processors")
		}
		for ; lo <= hi; lo++ {
			list = append(list, lo)
		}
	}
	return list, nil
}

func (sc *Scenario) check() error {
	if sc.CPUs < 1 || sc.CPUs > sched.MaxCPUs {
		return fmt.Errorf("cpus %d: 1 to %d", sc.CPUs, sched.MaxCPUs)
	}
	if sc.Warmup >= sc.Length {
		return fmt.Errorf("warmup isn't shorter than length")
	}
	known, since := map[string]bool{"": true}, map[string]uint64{}
	for _, g := range sc.Groups {
		if known[g.Name] {
			return fmt.Errorf("group %s appears twice", g.Name)
		}
		if !known[g.Parent] || since[g.Parent] > g.At {
			return fmt.Errorf("group %s: no group %s above it, or not yet", g.Name, g.Parent)
		}
		known[g.Name], since[g.Name] = true, g.At
	}
	worlds := sc.Worlds
	for _, w := range worlds {
		if since[w.Group] != 0 {
			return fmt.Errorf("world %s: the group is created later: at ... add %s", w.Group, w.Group)
		}
	}
	for _, e := range sc.Events {
		if since[e.Group] > e.At {
			return fmt.Errorf("at %d %s %s: the group is created later", e.At, e.Verb, e.Group)
		}
		worlds = append(worlds[:len(worlds):len(worlds)], e.World)
	}
	for _, w := range worlds {
		if !known[w.Group] || w.Group == "" {
			return fmt.Errorf("world %s: no such group", w.Group)
		}
		if (w.Ring || w.Fork || w.Yield) && w.Run == 0 {
			return fmt.Errorf("world %s: needs run=", w.Group)
		}
		for _, c := range slices.Concat(w.Affinity, w.Home) {
			if c >= sc.CPUs {
				return fmt.Errorf("world %s: no processor %d", w.Group, c)
			}
		}
	}
	for c, g := range sc.Exclusive {
		if c < 0 || c >= sc.CPUs || !known[g] {
			return fmt.Errorf("exclusive %d %s: no such processor or group", c, g)
		}
	}
	return nil
}
