package core

import "testing"

// TestAListLosesWhoLeavesIt takes worlds out of a list in every order of three.
func TestAListLosesWhoLeavesIt(t *testing.T) {
	for _, order := range [][]uint32{{1, 2, 3}, {1, 3, 2}, {2, 1, 3}, {2, 3, 1}, {3, 1, 2}, {3, 2, 1}} {
		all := makeWorlds(t, 4)
		first := uint32(0)
		for _, w := range all[:3] {
			w.waitNext, first = first, w.id
		}
		leaveList(&first, all[3]) // isn't there
		left := map[uint32]bool{1: true, 2: true, 3: true}
		for _, id := range order {
			leaveList(&first, worldAt(id))
			delete(left, id)
			n := 0
			for i := first; i != 0; i = worldAt(i).waitNext {
				if n++; !left[i] || n > 3 {
					t.Fatalf("order %v: %d is in the list after %d has left", order, i, id)
				}
			}
			if n != len(left) || worldAt(id).waitNext != 0 {
				t.Errorf("order %v: %d in the list after %d has left, want %d", order, n, id, len(left))
			}
		}
	}
}
