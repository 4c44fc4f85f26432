package sched

import (
	"math/rand/v2"
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
		if n, ok := s.checkHeap(top, None, byKey, 0); !ok || n != size {
			t.Fatalf("step %d: %d of %d nodes, %v", i, n, size, ok)
		}
	}
}
