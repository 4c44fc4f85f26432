package mem

import (
	"cmp"
	"fmt"
	"slices"
)

// MaxNodes is how many NUMA nodes a Topology takes.
const MaxNodes = 64

// A Range is memory of a node, as an enabled memory affinity structure of the SRAT gives it (ACPI 6.5, 5.2.16.2).
type Range struct {
	Domain uint32 // proximity domain
	Base   uint64 // physical address, in bytes
	Length uint64 // in bytes
}

// Local is the distance of a node to itself in a SLIT (ACPI 6.5, 5.2.17), and Remote what two nodes have without one.
const (
	Local  = 10
	Remote = 20
)

// A Topology is where a host's memory is. A host without an SRAT has one node.
type Topology struct {
	domains []uint32    // of the nodes, ascending
	ranges  []nodeRange // by address
	order   [][]int     // for each node all nodes, the nearest first
}

type nodeRange struct {
	first, last uint64
	node        int
}

// NewTopology makes a Topology of an SRAT's ranges, and of a SLIT's distances by position of the domains in ascending
// order, row by row; nil: none. Firmware that contradicts itself gives an error, and no Topology: the caller goes on with
// Uniform.
func NewTopology(ranges []Range, distances []uint8) (*Topology, error) {
	t := &Topology{}
	for _, r := range ranges {
		if r.Length == 0 {
			continue
		}
		if r.Base+(r.Length-1) < r.Base {
			return nil, fmt.Errorf("mem: SRAT: %#x bytes at %#x wrap around the address space", r.Length, r.Base)
		}
		if !slices.Contains(t.domains, r.Domain) {
			t.domains = append(t.domains, r.Domain)
		}
		if len(t.domains) > MaxNodes {
			return nil, fmt.Errorf("mem: SRAT: more than %d domains", MaxNodes)
		}
	}
	slices.Sort(t.domains)
	for _, r := range ranges {
		if r.Length != 0 {
			node, _ := slices.BinarySearch(t.domains, r.Domain)
			t.ranges = append(t.ranges, nodeRange{r.Base, r.Base + (r.Length - 1), node})
		}
	}
	slices.SortFunc(t.ranges, func(a, b nodeRange) int { return cmp.Compare(a.first, b.first) })
	for i := 1; i < len(t.ranges); i++ {
		if a, b := t.ranges[i-1], t.ranges[i]; b.first <= a.last {
			return nil, fmt.Errorf("mem: SRAT: %#x..%#x of domain %d overlaps %#x..%#x of domain %d",
				b.first, b.last, t.domains[b.node], a.first, a.last, t.domains[a.node])
		}
	}
	n := len(t.domains)
	if n == 0 {
		return Uniform(), nil
	}
	if distances != nil && len(distances) != n*n {
		return nil, fmt.Errorf("mem: SLIT: %d distances for %d domains: there must be %d", len(distances), n, n*n)
	}
	for from := range n {
		distance := func(to int) uint8 {
			switch {
			case from == to:
				return 0 // whatever the SLIT says: the node itself comes first
			case distances == nil:
				return Remote
			}
			return max(distances[from*n+to], 1)
		}
		order := make([]int, n)
		for i := range order {
			order[i] = (from + i) % n // among equals the next ones, so that not all fall back on node 0
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(distance(a), distance(b)) })
		t.order = append(t.order, order)
	}
	return t, nil
}

// Uniform is the Topology of a host that has one node.
func Uniform() *Topology {
	return &Topology{domains: []uint32{0}, ranges: []nodeRange{{0, ^uint64(0), 0}}, order: [][]int{{0}}}
}

// Nodes is how many nodes there are; they are numbered from 0 in the order of their domains.
func (t *Topology) Nodes() int { return len(t.domains) }

// Node returns the node of a proximity domain, such as a processor's, or false where it has no memory.
func (t *Topology) Node(domain uint32) (int, bool) { return slices.BinarySearch(t.domains, domain) }

// NodeOf returns the node of a physical address. What the SRAT doesn't name is node 0's.
func (t *Topology) NodeOf(addr uint64) int {
	i, _ := slices.BinarySearchFunc(t.ranges, addr, func(r nodeRange, addr uint64) int { return cmp.Compare(r.last, addr) })
	if i < len(t.ranges) && t.ranges[i].first <= addr {
		return t.ranges[i].node
	}
	return 0
}

// Order returns the nodes to take memory from for a VM whose home is this one: itself, then the nearest. It is not to be
// changed.
func (t *Topology) Order(home int) []int { return t.order[home] }

// Home chooses the node of a VM: of those on which it fits wholly, the one that leaves the most free; else, where it must
// span nodes, the one from which on, by Order, it needs the fewest; of equals the one with the most free. free has each
// node's free pages, and allowed the nodes of the processors that the VM may run on; nil is all.
func (t *Topology) Home(pages uint64, free []uint64, allowed []int) int {
	best, bestSpan := -1, 0
	for node := range t.Nodes() {
		if allowed != nil && !slices.Contains(allowed, node) {
			continue
		}
		span, left := 0, pages
		for _, n := range t.order[node] {
			span++
			if left -= min(left, free[n]); left == 0 {
				break
			}
		}
		if best < 0 || span < bestSpan || span == bestSpan && free[node] > free[best] {
			best, bestSpan = node, span
		}
	}
	return max(best, 0)
}
