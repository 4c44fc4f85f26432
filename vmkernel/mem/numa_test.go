package mem

import (
	"slices"
	"strings"
	"testing"
)

const gib = 1 << 30

func TestTopologyOfAnSRAT(t *testing.T) {
	// Two sockets as firmware reports them: the hole below 4 GiB splits the first one's memory, and domains need not begin at 0.
	topology, err := NewTopology([]Range{{7, 20 * gib, 16 * gib}, {3, 0, 0xA0000}, {3, 1 << 20, 3*gib - 1<<20}, {3, 4 * gib, 16 * gib}, {9, 0, 0}, {5, 40 * gib, gib}},
		[]uint8{10, 40, 20, 40, 10, 30, 20, 30, 10})
	if err != nil {
		t.Fatal(err)
	}
	if topology.Nodes() != 3 {
		t.Fatalf("%d nodes", topology.Nodes())
	}
	for addr, want := range map[uint64]int{0: 0, 0x9FFFF: 0, 0xA0000: 0, 2 * gib: 0, 4 * gib: 0, 20*gib - 1: 0, 20 * gib: 2, 36*gib - 1: 2, 40 * gib: 1, 41 * gib: 0, ^uint64(0): 0} {
		if got := topology.NodeOf(addr); got != want {
			t.Errorf("%#x is on node %d, want %d", addr, got, want)
		}
	}
	for home, want := range [][]int{{0, 2, 1}, {1, 2, 0}, {2, 0, 1}} {
		if got := topology.Order(home); !slices.Equal(got, want) {
			t.Errorf("order of node %d: %v, want %v", home, got, want)
		}
	}
	if node, ok := topology.Node(7); node != 2 || !ok {
		t.Errorf("domain 7 is node %d, %v", node, ok)
	}
	if _, ok := topology.Node(9); ok {
		t.Error("a domain without memory has a node")
	}
	for _, c := range []struct {
		pages   uint64
		free    []uint64
		allowed []int
		want    int
	}{
		{100, []uint64{100, 200, 300}, nil, 2},
		{100, []uint64{100, 99, 0}, nil, 0},
		{100, []uint64{100, 200, 300}, []int{0, 1}, 1},
		{400, []uint64{250, 200, 150}, nil, 0},      // 0 and 2 are enough, as are 2 and 0: 0 has more
		{1000, []uint64{250, 200, 150}, nil, 0},     // nowhere enough
		{100, []uint64{250, 200, 150}, []int{}, 0},  // no processor: still somewhere
		{300, []uint64{0, 299, 300}, []int{1}, 1},   // spans: its home is where it may run
		{300, []uint64{150, 150, 150}, []int{1}, 1}, // likewise
	} {
		if got := topology.Home(c.pages, c.free, c.allowed); got != c.want {
			t.Errorf("%+v: node %d", c, got)
		}
	}
}

func TestTopologyWithoutTables(t *testing.T) {
	for _, topology := range []*Topology{Uniform(), must(t, nil, nil)} {
		if topology.Nodes() != 1 || topology.NodeOf(5*gib) != 0 || !slices.Equal(topology.Order(0), []int{0}) {
			t.Errorf("%+v", topology)
		}
	}
	two := must(t, []Range{{1, 0, gib}, {0, gib, gib}, {2, 2 * gib, gib}}, nil)
	for home, want := range [][]int{{0, 1, 2}, {1, 2, 0}, {2, 0, 1}} {
		if got := two.Order(home); !slices.Equal(got, want) {
			t.Errorf("without a SLIT, order of node %d: %v", home, got)
		}
	}
}

func must(t *testing.T, ranges []Range, distances []uint8) *Topology {
	t.Helper()
	topology, err := NewTopology(ranges, distances)
	if err != nil {
		t.Fatal(err)
	}
	return topology
}

func TestTablesThatContradictThemselvesAreRefused(t *testing.T) {
	many := make([]Range, MaxNodes+1)
	for i := range many {
		many[i] = Range{uint32(i), uint64(i) * gib, gib}
	}
	for _, c := range []struct {
		ranges    []Range
		distances []uint8
		want      string
	}{
		{[]Range{{0, gib, ^uint64(0)}}, nil, "0xffffffffffffffff bytes at 0x40000000 wrap"},
		{[]Range{{0, 0, gib + 1}, {1, gib, gib}}, nil, "0x40000000..0x7fffffff of domain 1 overlaps 0x0..0x40000000 of domain 0"},
		{[]Range{{0, 0, gib}, {1, gib, gib}}, []uint8{10}, "SLIT: 1 distances for 2 domains: there must be 4"},
		{many, nil, "more than 64 domains"},
	} {
		if _, err := NewTopology(c.ranges, c.distances); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func FuzzTopology(f *testing.F) {
	f.Add(uint64(0), uint64(gib), uint64(gib), uint64(gib), []byte{10, 20, 20, 10}, uint64(5))
	f.Fuzz(func(t *testing.T, a, an, b, bn uint64, distances []byte, at uint64) {
		if len(distances) == 0 {
			distances = nil
		}
		topology, err := NewTopology([]Range{{0, a, an}, {1, b, bn}}, distances)
		if err != nil {
			return
		}
		if n := topology.NodeOf(at); n < 0 || n >= topology.Nodes() {
			t.Errorf("%#x is on node %d of %d", at, n, topology.Nodes())
		}
		for home := range topology.Nodes() {
			order := slices.Clone(topology.Order(home))
			if order[0] != home {
				t.Errorf("node %d: order %v", home, order)
			}
			slices.Sort(order)
			if len(slices.Compact(order)) != topology.Nodes() {
				t.Errorf("node %d: order %v", home, order)
			}
		}
	})
}
