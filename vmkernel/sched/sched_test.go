package sched_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"keel/vmkernel/sched"
)

// memory that is laid out by the linker, as the lower half has it: no code runs to make it.
var (
	nodes [512]sched.Node
	procs [4]sched.CPU
	words [16]uint64
	trees [64]uint32
	fixed = sched.Scheduler{Memory: sched.Memory{Nodes: nodes[:], CPUs: procs[:], Bits: words[:], Trees: trees[:]}}
)

func newScheduler(t testing.TB, cpus, n, sets int) *sched.Scheduler {
	s := &sched.Scheduler{Memory: sched.Memory{
		Nodes: make([]sched.Node, n), CPUs: make([]sched.CPU, cpus),
		Bits: make([]uint64, sched.BitWords(cpus, sets)), Trees: make([]uint32, sched.TreeWords(cpus)),
	}}
	if !s.Init() {
		t.Fatal("Init refuses")
	}
	for c := range cpus {
		if !s.Online(uint32(c), 0) {
			t.Fatal("Online refuses")
		}
	}
	return s
}

// TestInit: memory that doesn't fit together is refused.
func TestInit(t *testing.T) {
	if !fixed.Init() {
		t.Error("static memory is refused")
	}
	for name, s := range map[string]*sched.Scheduler{
		"no processor": {Memory: sched.Memory{Nodes: nodes[:], Bits: words[:], Trees: trees[:]}},
		"two nodes":    {Memory: sched.Memory{Nodes: nodes[:2], CPUs: procs[:], Bits: words[:], Trees: trees[:]}},
		"short trees":  {Memory: sched.Memory{Nodes: nodes[:], CPUs: procs[:], Bits: words[:], Trees: trees[:23]}},
		"no set":       {Memory: sched.Memory{Nodes: nodes[:], CPUs: procs[:], Bits: words[:3], Trees: trees[:]}},
	} {
		if s.Init() {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestRefused: what a caller can't have is refused, and changes nothing.
func TestRefused(t *testing.T) {
	s := newScheduler(t, 2, 20, 3)
	ok := sched.Policy{Shares: 1000}
	g := s.Create(sched.Root, 0, sched.Group|sched.Cosched, &ok)
	w := s.Create(g, 0, 0, &ok)
	sys := s.Create(sched.Root, 0, sched.Group|sched.System, &ok)
	for name, id := range map[string]sched.ID{
		"no shares":             s.Create(sched.Root, 0, 0, &sched.Policy{}),
		"too many shares":       s.Create(sched.Root, 0, 0, &sched.Policy{Shares: sched.MaxShares + 1}),
		"limit below the rest":  s.Create(sched.Root, 0, 0, &sched.Policy{Shares: 1, Reservation: 10, Limit: 9}),
		"enormous reservation":  s.Create(sched.Root, 0, 0, &sched.Policy{Shares: 1, Reservation: sched.MaxRate + 1}),
		"below a world":         s.Create(w, 0, 0, &ok),
		"below nothing":         s.Create(19, 0, 0, &ok),
		"beyond the nodes":      s.Create(1000, 0, 0, &ok),
		"group in a VM":         s.Create(g, 0, sched.Group, &ok),
		"second system group":   s.Create(sched.Root, 0, sched.Group|sched.System, &ok),
		"system group inside":   s.Create(sys, 0, sched.Group|sched.System, &ok),
		"cosched without group": s.Create(sched.Root, 0, sched.Cosched, &ok),
	} {
		if id != sched.None {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, done := range map[string]bool{
		"destroys the root":         s.Destroy(sched.Root, 0),
		"destroys nothing":          s.Destroy(sched.None, 0),
		"destroys a full group":     s.Destroy(g, 0),
		"changes the root":          s.SetPolicy(sched.Root, &ok, 0),
		"affinity to an empty set":  s.SetAffinity(w, 1, 0),
		"affinity to no set":        s.SetAffinity(w, 3, 0),
		"affinity of a group":       s.SetAffinity(g, 0, 0),
		"member of set 0":           s.SetMember(0, 1, true),
		"processor beyond":          s.SetMember(1, 2, true),
		"online twice":              s.Online(1, 0),
		"exclusive without members": s.SetExclusive(1, 1, 0),
	} {
		if done {
			t.Errorf("%s: accepted", name)
		}
	}
	if !s.SetMember(1, 0, true) || !s.SetMember(1, 1, true) || !s.SetExclusive(0, 1, 0) {
		t.Error("an exclusive processor is refused")
	}
	if s.SetExclusive(1, 1, 0) {
		t.Error("the last processor of set 0 was given away")
	}
	if bad := s.Check(); bad != "" {
		t.Error(bad)
	}
}

// TestYield: a virtual processor that spins gives the rest of its turn to a sibling that waits, and no
// more than that.
func TestYield(t *testing.T) {
	s := newScheduler(t, 1, 20, 1)
	p := sched.Policy{Shares: 1000}
	vm := s.Create(sched.Root, 0, sched.Group|sched.Cosched, &p)
	a, b := s.Create(vm, 0, 0, &p), s.Create(vm, 0, 0, &p)
	other := s.Create(sched.Root, 0, 0, &p)
	for _, w := range []sched.ID{a, b, other} {
		s.Wake(w, 0)
	}
	got := map[sched.ID]int{}
	now := uint64(0)
	var yields int
	id, _ := s.Pick(0, now)
	for now < 400_000_000 {
		now += 20_000
		got[id] += 20
		if id != other {
			was, inTurn := id, s.Until(0) > now
			s.Yield(0)
			id, _ = s.Pick(0, now)
			if inTurn && id != a+b-was {
				t.Fatal("the sibling that waits, though it spins too, isn't picked")
			}
			yields++
		} else if now >= s.Until(0) {
			id, _ = s.Pick(0, now)
		}
	}
	if o := float64(got[other]) / 400_000; o < 0.49 || o > 0.9 {
		t.Errorf("the other VM got %.1f%%, its part is 50%%", 100*o)
	}
	if yields < 100 || got[a] == 0 || got[b] == 0 {
		t.Errorf("%d yields, %v", yields, got)
	}
}

// TestSwitch: a hand-over keeps the turn, is charged to who runs, and is refused to who may not run.
func TestSwitch(t *testing.T) {
	s := newScheduler(t, 1, 20, 1)
	p := sched.Policy{Shares: 1000}
	sys := s.Create(sched.Root, 0, sched.Group|sched.System, &p)
	thread := s.Create(sys, 0, 0, &p)
	vcpu := s.Create(sched.Root, 0, 0, &p)
	other := s.Create(sched.Root, 0, 0, &p)
	s.Wake(thread, 0)
	s.Wake(other, 0)
	s.Pick(0, 0)
	if !s.Switch(0, vcpu, 100_000) || s.Current(0) != vcpu || s.State(thread) != sched.Blocked {
		t.Fatal("the thread can't hand over")
	}
	if u := s.Until(0); u > sched.Slice+100_000 {
		t.Errorf("the turn became longer: %d", u)
	}
	if !s.Switch(0, thread, 300_000) || s.Used(vcpu) != 200_000 || s.Used(thread) != 100_000 {
		t.Errorf("used: %d and %d", s.Used(vcpu), s.Used(thread))
	}
	s.Pause(vcpu, 300_000)
	if s.Switch(0, vcpu, 350_000) || s.State(vcpu) != sched.Paused {
		t.Error("a paused vCPU runs")
	}
	if id, _ := s.Pick(0, 350_000); id != other {
		t.Errorf("%d runs", id)
	}
	if bad := s.Check(); bad != "" {
		t.Error(bad)
	}
}

// busy makes a machine with n worlds, in VMs of four, on a number of processors. Of the worlds, the
// first `awake` are runnable.
func busy(b testing.TB, cpus, n, awake int) (*sched.Scheduler, []sched.ID) {
	s := newScheduler(b, cpus, n+n/4+10, 1)
	rng := rand.New(rand.NewPCG(1, 1))
	var worlds []sched.ID
	p := sched.Policy{Shares: 1000}
	pool := s.Create(sched.Root, 0, sched.Group, &p)
	var vm sched.ID
	for i := range n {
		if i%4 == 0 {
			vm = s.Create(pool, 0, sched.Group|sched.Cosched, &sched.Policy{Shares: 500 + rng.Uint32N(4000)})
		}
		worlds = append(worlds, s.Create(vm, 0, 0, &p))
	}
	for _, w := range worlds[:awake] {
		s.Wake(w, 1)
	}
	for s.TakeKick() >= 0 {
	}
	for c := range cpus {
		s.Pick(uint32(c), 2)
	}
	return s, worlds
}

// TestNoAllocation: nothing that the lower half calls allocates.
func TestNoAllocation(t *testing.T) {
	s, worlds := busy(t, 4, 200, 100)
	now := uint64(10)
	i := 0
	p := sched.Policy{Shares: 700, Limit: 500}
	if n := testing.AllocsPerRun(2000, func() {
		now += 250_000
		c := uint32(i % 4)
		s.Pick(c, now)
		w := s.Block(c, now)
		s.Pick(c, now)
		s.Yield(c)
		s.Pick(c, now+1000)
		s.Wake(w, now+1000)
		s.Bill(w, 1000, now+1000)
		x := worlds[i%len(worlds)]
		s.SetPolicy(x, &p, now)
		s.Pause(x, now)
		s.Resume(x, now)
		id := s.Create(sched.Root, 0, 0, &p)
		s.Wake(id, now)
		s.Destroy(id, now)
		for s.TakeKick() >= 0 {
		}
		i++
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

var sizes = []int{10, 100, 1000, 100_000}

// BenchmarkPick is a decision at the end of a turn, with that many worlds runnable.
func BenchmarkPick(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n, "worlds"), func(b *testing.B) {
			s, _ := busy(b, 4, n, n)
			now := uint64(10)
			b.ResetTimer()
			for i := range b.N {
				now += sched.Slice / 4
				s.Pick(uint32(i%4), now)
				for s.TakeKick() >= 0 {
				}
			}
		})
	}
}

// BenchmarkWakeBlock is a wake-up, the decision that it causes, and a block with its decision, with
// that many worlds runnable.
func BenchmarkWakeBlock(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n, "worlds"), func(b *testing.B) {
			s, _ := busy(b, 4, n, n)
			now := uint64(10)
			b.ResetTimer()
			for i := range b.N {
				now += 50_000
				c := uint32(i % 4)
				w := s.Block(c, now)
				s.Pick(c, now)
				s.Wake(w, now+20_000)
				for {
					k := s.TakeKick()
					if k < 0 {
						break
					}
					s.Pick(uint32(k), now+20_000)
				}
			}
		})
	}
}

// BenchmarkSleepers is the same with ten worlds runnable and that many asleep.
func BenchmarkSleepers(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n, "asleep"), func(b *testing.B) {
			s, _ := busy(b, 4, n+10, 10)
			now := uint64(10)
			b.ResetTimer()
			for i := range b.N {
				now += 50_000
				c := uint32(i % 4)
				w := s.Block(c, now)
				s.Pick(c, now)
				if w != sched.None {
					s.Wake(w, now+20_000)
				}
				for {
					k := s.TakeKick()
					if k < 0 {
						break
					}
					s.Pick(uint32(k), now+20_000)
				}
			}
		})
	}
}

// BenchmarkSwitch is a hand-over to another world and back.
func BenchmarkSwitch(b *testing.B) {
	s, _ := busy(b, 1, 100, 0)
	p := sched.Policy{Shares: 1000}
	sys := s.Create(sched.Root, 0, sched.Group|sched.System, &p)
	thread := s.Create(sys, 0, 0, &p)
	vcpu := s.Create(sched.Root, 0, 0, &p)
	s.Wake(thread, 10)
	s.Pick(0, 10)
	now := uint64(10)
	for b.Loop() {
		now += 1000
		s.Switch(0, vcpu, now)
		now += 1000
		s.Switch(0, thread, now)
	}
}
