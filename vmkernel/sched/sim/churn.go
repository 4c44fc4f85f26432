package sim

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"

	"keel/vmkernel/sched"
)

// Churn has random things happen to a machine of random policies: worlds and groups are created and
// destroyed, woken, withdrawn, blocked, switched to, paused, moved to other pools, processors and homes, and changed, processors pick when they must or
// when they are kicked, and sometimes late, all by clocks that differ by a little. It checks every few calls that nothing is lost (all of
// Scheduler.Check each `every` events; that a processor which owes it to somebody has a timer or a
// kick; that whoever waits is picked in the end). It returns how many calls there were.
func Churn(seed uint64, cpus, worlds, events, every int, trace io.Writer) (calls int, err error) {
	rec, err := newRecorder(cpus, 3*worlds+16, 8, trace)
	if err != nil {
		return 0, err
	}
	k := &churn{recorder: rec, rng: rand.New(rand.NewPCG(seed, 2)), cpus: cpus, max: worlds, until: make([]uint64, cpus), behind: make([]uint64, cpus), kicked: make([]bool, cpus)}
	k.begin()
	for i := range events {
		k.step()
		if i%every == every-1 {
			if bad := k.s.Check(); bad != "" {
				return k.calls, fmt.Errorf("seed %d, event %d: %s", seed, i, bad)
			}
		}
		if k.bad != nil {
			return k.calls, fmt.Errorf("seed %d, event %d: %w", seed, i, k.bad)
		}
	}
	if err := k.end(); err != nil {
		return k.calls, fmt.Errorf("seed %d, at the end: %w", seed, err)
	}
	if rec.out != nil {
		return k.calls, rec.out.Flush()
	}
	return k.calls, rec.err
}

type churn struct {
	*recorder
	rng    *rand.Rand
	now    uint64
	cpus   int
	max    int
	until  []uint64
	behind []uint64 // ns, by which a processor's clock is behind now
	kicked []bool
	groups []uint64
	worlds []uint64
	calls  int
	bad    error
}

// clock is the time by a processor's clock.
func (k *churn) clock(c uint64) uint64 { return sub(k.now, k.behind[c]) }

// do makes a call, by the clock of the processor that it is for, or else of any.
func (k *churn) do(verb byte, args ...uint64) uint64 {
	k.calls++
	c := k.rng.Uint64N(uint64(k.cpus))
	if strings.IndexByte("PBYHN", verb) >= 0 {
		c = args[0]
	}
	now := k.clock(c)
	x, y := k.call(verb, now, args...)
	if verb == 'P' {
		k.until[args[0]] = y
		if y <= now {
			k.bad = fmt.Errorf("a timer in the past")
		}
	}
	for {
		k.calls++
		c, _ := k.call('K', now)
		if int64(c) < 0 {
			return x
		}
		k.kicked[c] = true
	}
}

func (k *churn) pick(c int) {
	k.kicked[c] = false
	k.do('P', uint64(c))
}

func (k *churn) begin() {
	for c := range k.cpus {
		k.behind[c] = k.rng.Uint64N(5_000)
		k.do('O', uint64(c))
	}
	for set := uint64(1); set < 8; set++ {
		k.do('M', set, k.rng.Uint64N(uint64(k.cpus)))
		for range set {
			k.do('M', set, k.rng.Uint64N(uint64(k.cpus)))
		}
	}
	k.groups = []uint64{k.do('C', uint64(sched.Root), sched.Group|sched.System, 1000, 0, uint64(k.cpus)*200, 0), uint64(sched.Root)}
	for c := range k.cpus {
		k.pick(c)
	}
}

func (k *churn) policy() (shares, reservation, limit uint64) {
	shares = 1 + k.rng.Uint64N(4000)
	if k.rng.Uint64N(50) == 0 {
		shares = []uint64{1, sched.MaxShares}[k.rng.Uint64N(2)]
	}
	if k.rng.Uint64N(5) == 0 {
		reservation = k.rng.Uint64N(1000)
	}
	if k.rng.Uint64N(5) == 0 {
		limit = max(reservation, 1+k.rng.Uint64N(2000))
	}
	return
}

// depth is that of a group below the root. Below three levels parts get so small that the wait for
// them is longer than the simulation.
func (k *churn) depth(g uint64) (n int) {
	for id := sched.ID(g); id != sched.Root; id = k.s.Parent(id) {
		n++
	}
	return n
}

func (k *churn) world() uint64 { return k.worlds[k.rng.Uint64N(uint64(len(k.worlds)))] }

func (k *churn) group() uint64 { return k.groups[k.rng.Uint64N(uint64(len(k.groups)))] }

func (k *churn) step() {
	k.now += k.rng.Uint64N(20_000)
	if k.rng.Uint64N(10_000) == 0 {
		k.now += k.rng.Uint64N(1e10)
	}
	c := int(k.rng.Uint64N(uint64(k.cpus)))
	// Processors come late to their timers and kicks, now and then by much.
	for i := range k.cpus {
		if (k.kicked[i] || k.until[i] <= k.clock(uint64(i))) && k.rng.Uint64N(4) != 0 {
			k.pick(i)
		}
	}
	r := k.rng.Uint64N(100)
	switch {
	case len(k.worlds) < k.max/4 || r < 4 && len(k.worlds) < k.max:
		shares, _, _ := k.policy()
		id := k.do('C', k.group(), 0, shares, 0, 0, 0)
		if id == 0 {
			return
		}
		k.worlds = append(k.worlds, id)
		if k.rng.Uint64N(3) == 0 {
			k.do('A', id, k.rng.Uint64N(8))
		}
		if k.rng.Uint64N(3) == 0 {
			k.do('V', id, k.rng.Uint64N(8))
		}
		k.do('W', id)
	case r < 6:
		shares, reservation, limit := k.policy()
		flags := uint64(sched.Group)
		if k.rng.Uint64N(2) == 0 {
			flags |= sched.Cosched
		}
		if parent := k.group(); len(k.groups) < k.max/4 && k.depth(parent) < 3 {
			if id := k.do('C', parent, flags, shares, reservation, limit, 0); id != 0 {
				k.groups = append(k.groups, id)
			}
		}
	case r < 7:
		i := 2 + k.rng.Uint64N(uint64(len(k.groups)))
		if i < uint64(len(k.groups)) && k.do('D', k.groups[i]) == 1 {
			k.groups = append(k.groups[:i], k.groups[i+1:]...)
		}
	case r < 11:
		k.destroy(int(k.rng.Uint64N(uint64(len(k.worlds)))))
	case r < 41:
		k.do('W', k.world())
	case r < 61:
		k.do('B', uint64(c))
		k.pick(c)
	case r < 64:
		k.do('Y', uint64(c))
		k.pick(c)
	case r < 70:
		if w := k.world(); k.s.Current(uint32(c)) != sched.ID(w) && k.s.Current(uint32(c)) != sched.None {
			if k.do('H', uint64(c), w) == 0 {
				k.pick(c)
			} else {
				k.until[c] = k.s.Until(uint32(c))
			}
		}
	case r < 73:
		shares, reservation, limit := k.policy()
		id := k.world()
		if i := 2 + k.rng.Uint64N(uint64(len(k.groups))); i < uint64(len(k.groups)) {
			id = k.groups[i]
		}
		k.do('S', id, shares, reservation, limit)
	case r < 75:
		k.do([]byte("AV")[k.rng.Uint64N(2)], k.world(), k.rng.Uint64N(8))
	case r < 78:
		k.do('U', k.world())
	case r < 82:
		k.do('R', k.world())
	case r < 83:
		k.do('L', k.world(), k.rng.Uint64N(100_000))
	case r < 84:
		k.do('X', uint64(c), k.rng.Uint64N(8)*k.rng.Uint64N(2))
	case r < 86:
		if to := k.group(); k.depth(to) < 3 {
			k.do('G', k.group(), to)
		}
	case r < 90:
		k.do("QTE"[k.rng.Uint64N(3)], k.world())
	case r < 92: // a way to or from a world that ended a little ago
		to := sub(k.clock(uint64(c)), k.rng.Uint64N(5_000))
		k.do('N', uint64(c), to-min(to, k.rng.Uint64N(5_000)), to)
	case r < 93:
		k.do('I')
	default:
		k.pick(c)
	}
}

func (k *churn) destroy(i int) {
	id := k.worlds[i]
	if k.s.State(sched.ID(id)) == sched.Running {
		c := int(k.s.CPU(sched.ID(id)))
		k.do('B', uint64(c))
		k.do('D', id)
		k.pick(c)
	} else {
		k.do('D', id)
	}
	k.worlds[i] = k.worlds[len(k.worlds)-1]
	k.worlds = k.worlds[:len(k.worlds)-1]
}

// hungry is a world that hasn't been picked since, 0 none.
func (k *churn) hungry(picks map[uint64]uint64) uint64 {
	for _, w := range k.worlds {
		if k.s.Picks(sched.ID(w)) == picks[w] && k.s.State(sched.ID(w)) != sched.Running {
			return w
		}
	}
	return 0
}

// end lets the machine run until every world that is runnable has run, and then takes all apart.
func (k *churn) end() error {
	picks := map[uint64]uint64{}
	for i := len(k.worlds) - 1; i >= 0; i-- {
		for g := k.s.Parent(sched.ID(k.worlds[i])); g != sched.Root; g = k.s.Parent(g) {
			if uint64(g) == k.groups[0] {
				k.destroy(i) // threads of the system group may take all there is
				break
			}
		}
	}
	for _, w := range k.worlds {
		k.do('R', w)
		k.do('W', w)
	}
	for _, g := range k.groups[1:] {
		if g != uint64(sched.Root) {
			k.do('S', g, 1000, 0, 0)
		}
	}
	for _, w := range k.worlds {
		k.do('S', w, 1000, 0, 0)
		picks[w] = k.s.Picks(sched.ID(w))
	}
	k.do('S', k.groups[0], 1000, 0, 10*uint64(k.cpus))
	for i := 0; i < 1000*1000 && (i%1000 != 0 || k.hungry(picks) != 0); i++ {
		next := sched.Never
		for c := range k.cpus {
			if k.kicked[c] {
				next = k.now
			}
			next = min(next, max(k.until[c], k.until[c]+k.behind[c])) // Never comes for none
		}
		k.now = max(k.now+1, min(next, k.now+1_000_000))
		for c := range k.cpus {
			if k.kicked[c] || k.until[c] <= k.clock(uint64(c)) {
				k.pick(c)
			}
		}
	}
	if bad := k.s.Check(); bad != "" {
		return fmt.Errorf("%s", bad)
	}
	if w := k.hungry(picks); w != 0 {
		return fmt.Errorf("world %d never ran again: its state is %d", w, k.s.State(sched.ID(w)))
	}
	for len(k.worlds) > 0 {
		k.destroy(len(k.worlds) - 1)
	}
	for n := 0; len(k.groups) > 1 && n < 10; n++ {
		for i := len(k.groups) - 1; i >= 0; i-- {
			if k.groups[i] != uint64(sched.Root) && k.do('D', k.groups[i]) == 1 {
				k.groups = append(k.groups[:i], k.groups[i+1:]...)
			}
		}
	}
	if k.s.Live() != 0 {
		return fmt.Errorf("%d nodes are left", k.s.Live())
	}
	if bad := k.s.Check(); bad != "" {
		return fmt.Errorf("%s", bad)
	}
	return nil
}
