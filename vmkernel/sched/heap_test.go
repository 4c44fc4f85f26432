package sched

import (
	"math/rand/v2"
	"runtime"
	"testing"
)

// TestHeap: nodes put in and taken out at random leave a heap, the least key first.
func TestHeap(t *testing.T) {
	s := &Scheduler{Memory: Memory{Nodes: make([]Node, 200)}}
	rng := rand.New(rand.NewPCG(1, 2))
	top, size := None, uint32(0)
	for i := range 20_000 {
		id := 1 + ID(rng.Uint32N(199))
		if s.Nodes[id].link[byKey].in {
			s.remove(&top, id, byKey)
			size--
		} else {
			s.insert(&top, id, byKey, rng.Uint64N(50)-20)
			size++
		}
		if n, ok := s.checkHeap(top, byKey); !ok || n != size {
			t.Fatalf("step %d: %d of %d nodes, %v", i, n, size, ok)
		}
	}
}

// TestCheckingADeepHeapTakesNoStack: nodes that come in the falling order of their keys are one way down, and the check of it
// is made on a stack of fixed size.
func TestCheckingADeepHeapTakesNoStack(t *testing.T) {
	const nodes = 100_000
	s := &Scheduler{Memory: Memory{Nodes: make([]Node, nodes+1)}}
	top := None
	for i := range ID(nodes) {
		s.insert(&top, 1+i, byKey, uint64(nodes-i))
	}
	grown := make(chan uint64)
	go func() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if n, ok := s.checkHeap(top, byKey); !ok || n != nodes {
			t.Errorf("%d nodes of %d, %v", n, nodes, ok)
		}
		runtime.ReadMemStats(&after)
		grown <- after.StackInuse - min(after.StackInuse, before.StackInuse)
	}()
	if n := <-grown; n > 1<<20 {
		t.Errorf("the check of %d nodes took %d bytes of stack", nodes, n)
	}
}

// TestABrokenHeapIsFound: whatever link of it is wrong, and without end to the search.
func TestABrokenHeapIsFound(t *testing.T) {
	for i, damage := range []func(s *Scheduler, top ID) ID{
		func(s *Scheduler, top ID) ID { s.Nodes[top].link[byKey].in = false; return top },
		func(s *Scheduler, top ID) ID { s.Nodes[top].link[byKey].up = top; return top },
		func(s *Scheduler, top ID) ID { l := &s.Nodes[top].link[byKey]; l.right = l.left; return top },
		func(s *Scheduler, top ID) ID { l := &s.Nodes[top].link[byKey]; l.ld++; return top },
		func(s *Scheduler, top ID) ID { s.Nodes[s.Nodes[top].link[byKey].right].link[byKey].key = 0; return top },
		func(s *Scheduler, top ID) ID { s.Nodes[s.Nodes[top].link[byKey].right].link[byKey].up = 0; return top },
		func(s *Scheduler, top ID) ID {
			s.Nodes[s.Nodes[top].link[byKey].left].link[byKey].left = top
			return top
		},
		func(s *Scheduler, top ID) ID { return s.Nodes[top].link[byKey].left },
	} {
		s := &Scheduler{Memory: Memory{Nodes: make([]Node, 20)}}
		top := None
		for id := range ID(15) {
			s.insert(&top, 1+id, byKey, uint64(1+id*7%15))
		}
		if n, ok := s.checkHeap(top, byKey); !ok || n != 15 {
			t.Fatalf("%d of 15 nodes, %v", n, ok)
		}
		top = damage(s, top)
		if _, ok := s.checkHeap(top, byKey); ok {
			t.Errorf("damage %d: taken for a heap", i)
		}
	}
}
