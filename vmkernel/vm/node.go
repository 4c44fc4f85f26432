package vm

import (
	"slices"

	"keel/vmkernel/mem"
)

// settleOn chooses the NUMA node of a VM that has no memory yet: one of those of the processors that it may run on, a bit each, 0
// for all.
func (s *share) settleOn(cpus uint64) {
	s.m.mu.Lock()
	s.node, s.settled = s.m.home(s, cpus), true
	s.m.mu.Unlock()
}

// home is the node for settleOn. The mutex is held.
func (m *memory) home(of *share, cpus uint64) int {
	nodes := m.backend.Nodes()
	var free []uint64
	var order [][]uint8
	var allowed []int
	for i := range int(nodes.N) {
		n := &nodes.Node[i]
		free = append(free, pages(n.Free))
		order = append(order, n.Order[:nodes.N])
		if n.CPUs&cpus != 0 {
			allowed = append(allowed, i)
		}
	}
	if len(free) < 2 {
		return 0
	}
	// What is free on a node is about to be taken by those that are at home there, who get their memory as they touch it.
	left := slices.Clone(free)
	for _, s := range m.shares {
		if s != of && s.settled {
			left[s.node] -= min(left[s.node], s.missing())
		}
	}
	size := pages(of.in.spec.Memory.Size)
	for i, n := range left {
		if n >= size && (allowed == nil || slices.Contains(allowed, i)) {
			free = left
			break
		}
	}
	return mem.Home(size, free, order, allowed)
}

// missing is how many pages of its size the VM doesn't have yet. The mutex is held.
func (s *share) missing() uint64 {
	size := pages(s.in.spec.Memory.Size)
	if !s.begun {
		return size
	}
	use, err := s.m.backend.MemoryUse(s.in.handle)
	if err != nil {
		return 0
	}
	return size - min(size, pages(use.Resident))
}
