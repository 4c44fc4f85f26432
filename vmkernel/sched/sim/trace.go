package sim

import (
	"bufio"
	"fmt"
	"io"

	"keel/vmkernel/sched"
)

// A recorder calls a Scheduler and writes every call, with what it returned, as a line of text.
//
// A trace begins with the processors, the nodes and the affinity sets that there is room for; then
// there is a line for each call: a letter, its arguments, and after = its result.
type recorder struct {
	s   *sched.Scheduler
	out *bufio.Writer
	err error
}

// newScheduler makes a Scheduler with memory of its own.
func newScheduler(cpus, nodes, sets int) *sched.Scheduler {
	s := &sched.Scheduler{Memory: sched.Memory{
		Nodes: make([]sched.Node, nodes), CPUs: make([]sched.CPU, cpus),
		Bits: make([]uint64, sched.BitWords(cpus, sets)), Trees: make([]uint32, sched.TreeWords(cpus)),
	}}
	if !s.Init() {
		return nil
	}
	return s
}

func newRecorder(cpus, nodes, sets int, out io.Writer) (*recorder, error) {
	r := &recorder{s: newScheduler(cpus, nodes, sets)}
	if r.s == nil {
		return nil, fmt.Errorf("impossible sizes: %d processors, %d nodes, %d affinity sets", cpus, nodes, sets)
	}
	if out != nil {
		r.out = bufio.NewWriter(out)
		fmt.Fprintf(r.out, "keel-sched-trace 1 %d %d %d\n", cpus, nodes, sets)
	}
	return r, nil
}

// An op is one call.
type op struct {
	verb byte
	now  uint64
	a    [6]uint64 // its arguments
}

// number of arguments of each call, and of results.
var arity = map[byte][2]int{
	'O': {1, 1}, // Online(cpu)
	'M': {2, 1}, // SetMember(set, cpu)
	'X': {2, 1}, // SetExclusive(cpu, set)
	'C': {6, 1}, // Create(parent, flags, shares, reservation, limit, 0)
	'D': {1, 1}, // Destroy(id)
	'S': {4, 1}, // SetPolicy(id, shares, reservation, limit)
	'A': {2, 1}, // SetAffinity(id, set)
	'V': {2, 1}, // SetHome(id, set)
	'G': {2, 1}, // Move(id, to)
	'U': {1, 1}, // Pause(id)
	'R': {1, 1}, // Resume(id)
	'W': {1, 1}, // Wake(id)
	'Q': {1, 1}, // Requeue(id)
	'T': {1, 1}, // Withdraw(id)
	'E': {1, 1}, // Urge(id)
	'N': {3, 1}, // Skip(cpu, from, to)
	'B': {1, 1}, // Block(cpu)
	'Y': {1, 1}, // Yield(cpu)
	'H': {2, 1}, // Switch(cpu, id)
	'L': {2, 1}, // Bill(id, ns)
	'P': {1, 2}, // Pick(cpu)
	'K': {0, 1}, // TakeKick
	'J': {1, 1}, // TurnCost = ns
	'I': {0, 1}, // Bring
}

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// apply executes a call.
func apply(s *sched.Scheduler, o *op) (x, y uint64) {
	id, c, now := sched.ID(o.a[0]), uint32(o.a[0]), o.now
	switch o.verb {
	case 'O':
		return truth(s.Online(c, now)), 0
	case 'M':
		return truth(s.SetMember(uint32(o.a[0]), uint32(o.a[1]), true)), 0
	case 'X':
		return truth(s.SetExclusive(c, uint32(o.a[1]), now)), 0
	case 'C':
		p := sched.Policy{Shares: uint32(o.a[2]), Reservation: uint32(o.a[3]), Limit: uint32(o.a[4])}
		return uint64(s.Create(id, 0, uint8(o.a[1]), &p)), 0
	case 'D':
		return truth(s.Destroy(id, now)), 0
	case 'S':
		p := sched.Policy{Shares: uint32(o.a[1]), Reservation: uint32(o.a[2]), Limit: uint32(o.a[3])}
		return truth(s.SetPolicy(id, &p, now)), 0
	case 'A':
		return truth(s.SetAffinity(id, uint32(o.a[1]), now)), 0
	case 'V':
		return truth(s.SetHome(id, uint32(o.a[1]))), 0
	case 'G':
		return truth(s.Move(id, sched.ID(o.a[1]), now)), 0
	case 'U':
		return truth(s.Pause(id, now)), 0
	case 'R':
		return truth(s.Resume(id, now)), 0
	case 'W':
		s.Wake(id, now)
	case 'Q':
		s.Requeue(id, now)
	case 'T':
		s.Withdraw(id, now)
	case 'E':
		s.Urge(id, now)
	case 'N':
		s.Skip(c, o.a[1], o.a[2])
	case 'B':
		return uint64(s.Block(c, now)), 0
	case 'Y':
		s.Yield(c)
	case 'H':
		return truth(s.Switch(c, sched.ID(o.a[1]), now)), 0
	case 'L':
		s.Bill(id, o.a[1], now)
	case 'I':
		s.Bring(now)
	case 'J':
		s.TurnCost = min(o.a[0], sched.MaxTurnCost)
	case 'P':
		id, until := s.Pick(c, now)
		return uint64(id), until
	case 'K':
		return uint64(int64(s.TakeKick())), 0
	}
	return 0, 0
}

// call executes and records a call.
func (r *recorder) call(verb byte, now uint64, args ...uint64) (x, y uint64) {
	o := op{verb: verb, now: now}
	copy(o.a[:], args)
	x, y = apply(r.s, &o)
	if r.out != nil && r.err == nil {
		n := arity[verb]
		fmt.Fprintf(r.out, "%c %d", verb, now)
		for _, a := range o.a[:n[0]] {
			fmt.Fprintf(r.out, " %d", a)
		}
		_, r.err = fmt.Fprintf(r.out, " = %d", x)
		if n[1] == 2 {
			fmt.Fprintf(r.out, " %d", y)
		}
		fmt.Fprintln(r.out)
	}
	return x, y
}

// Replay executes a recorded trace on a fresh Scheduler and returns how many calls it had, and an
// error for the first whose result differs, or that breaks an invariant (looked at each 1,000 calls).
func Replay(in io.Reader) (calls int, err error) {
	b := bufio.NewReader(in)
	var version, cpus, nodes, sets int
	if _, err := fmt.Fscanf(b, "keel-sched-trace %d %d %d %d\n", &version, &cpus, &nodes, &sets); err != nil || version != 1 {
		return 0, fmt.Errorf("no trace of this version: it begins with keel-sched-trace 1")
	}
	if cpus < 1 || cpus > sched.MaxCPUs || nodes < 3 || nodes > 1<<24 || sets < 1 || sets > 1<<12 {
		return 0, fmt.Errorf("impossible sizes: %d processors, %d nodes, %d affinity sets", cpus, nodes, sets)
	}
	s := newScheduler(cpus, nodes, sets)
	for line := 2; ; line++ {
		var o op
		var verb rune
		_, err := fmt.Fscanf(b, "%c %d", &verb, &o.now)
		if err == io.EOF {
			return calls, nil
		}
		n, known := arity[byte(verb)]
		if err != nil || !known {
			return calls, fmt.Errorf("line %d: no call", line)
		}
		o.verb = byte(verb)
		for i := range n[0] {
			if _, err := fmt.Fscanf(b, " %d", &o.a[i]); err != nil {
				return calls, fmt.Errorf("line %d: %w", line, err)
			}
		}
		var want [2]uint64
		if n[1] == 2 {
			_, err = fmt.Fscanf(b, " = %d %d\n", &want[0], &want[1])
		} else {
			_, err = fmt.Fscanf(b, " = %d\n", &want[0])
		}
		if err != nil {
			return calls, fmt.Errorf("line %d: %w", line, err)
		}
		if err := inRange(s, &o); err != nil {
			return calls, fmt.Errorf("line %d: %w", line, err)
		}
		x, y := apply(s, &o)
		calls++
		if x != want[0] || y != want[1] {
			return calls, fmt.Errorf("line %d: %c returned %d %d, recorded was %d %d", line, verb, x, y, want[0], want[1])
		}
		if calls%1000 == 0 {
			if bad := s.Check(); bad != "" {
				return calls, fmt.Errorf("line %d: %s", line, bad)
			}
		}
	}
}

// inRange keeps a trace from naming what the caller of a Scheduler may not: nodes and processors that
// don't exist.
func inRange(s *sched.Scheduler, o *op) error {
	node, cpu := uint64(len(s.Nodes)), uint64(len(s.CPUs))
	ok := true
	switch o.verb {
	case 'W', 'L', 'Q', 'T', 'E':
		ok = o.a[0] > uint64(sched.Root) && o.a[0] < node && s.World(sched.ID(o.a[0]))
	case 'B', 'Y', 'P':
		ok = o.a[0] < cpu
	case 'N':
		ok = o.a[0] < cpu && o.a[1] <= o.now && o.a[2] <= o.now
	case 'H':
		ok = o.a[0] < cpu && o.a[1] > uint64(sched.Root) && o.a[1] < node && s.World(sched.ID(o.a[1])) &&
			s.Current(uint32(o.a[0])) != sched.ID(o.a[1])
	}
	if !ok {
		return fmt.Errorf("%c names what doesn't exist", o.verb)
	}
	return nil
}
