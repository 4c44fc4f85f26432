package mem

import "testing"

const gib = 1024 * mib

func TestHomeIsWhereAVMFits(t *testing.T) {
	order := [][]uint8{{0, 1, 2}, {1, 2, 0}, {2, 0, 1}}
	for _, c := range []struct {
		name    string
		pages   uint64
		free    []uint64
		allowed []int
		want    int
	}{
		{"the emptiest of those on which it fits", gib, []uint64{2 * gib, 3 * gib, 1 * gib}, nil, 1},
		{"only there it fits", 2 * gib, []uint64{gib, gib, 2 * gib}, nil, 2},
		{"processors decide", gib, []uint64{2 * gib, 3 * gib, gib}, []int{0, 2}, 0},
		{"it must span: as few as possible", 4 * gib, []uint64{gib, 2 * gib, 2 * gib}, nil, 1},
		{"it fits nowhere", 9 * gib, []uint64{gib, 2 * gib, gib}, nil, 1},
		{"processors on nodes without memory", gib, []uint64{gib, gib, gib}, []int{7}, 0},
	} {
		if got := Home(c.pages, c.free, order, c.allowed); got != c.want {
			t.Errorf("%s: node %d, want %d", c.name, got, c.want)
		}
	}
	if got := Home(gib, []uint64{1}, [][]uint8{{0}}, nil); got != 0 {
		t.Errorf("a host with one node: %d", got)
	}
}
