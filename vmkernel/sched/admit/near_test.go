package admit

import (
	"fmt"
	"testing"
)

// TestProcessorsForItselfAreNearEachOther: of one NUMA node where that has enough, that of the VM's memory if it has some.
func TestProcessorsForItselfAreNearEachOther(t *testing.T) {
	for _, x := range []struct {
		vcpus       int
		taken, home []int
		want        string
	}{
		{2, nil, nil, "[7 5]"},
		{4, nil, nil, "[7 5 3 1]"},
		{5, nil, nil, "[7 6 5 4 3]"}, // no node has so many
		{2, nil, []int{0, 2, 4, 6}, "[6 4]"},
		{3, []int{5, 3}, nil, "[6 4 2]"},
		{4, nil, []int{0, 2, 4, 6}, "[7 5 3 1]"}, // processor 0 takes the host's interrupts
		{2, []int{6, 4, 2}, []int{0, 2, 4, 6}, "[7 5]"},
	} {
		tree, err := New(8, 2000, 0)
		if err != nil {
			t.Fatal(err)
		}
		tree.Near([][]int{{0, 2, 4, 6}, {1, 3, 5, 7}})
		if x.taken != nil {
			if err := tree.Set(Spec{Name: "other", Shares: 1000, VCPUs: len(x.taken), Affinity: x.taken}); err != nil {
				t.Fatal(err)
			}
		}
		s, err := tree.Place(Spec{Name: "vm", Shares: 1000, VCPUs: x.vcpus, Exclusive: true, Home: x.home})
		if got := fmt.Sprint(s.Affinity); err != nil || got != x.want {
			t.Errorf("%d virtual processors, %v taken, memory next to %v: %s, want %s (%v)", x.vcpus, x.taken, x.home, got, x.want, err)
		}
	}
}
