package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// randomTree is a scenario of one to three pools of two to four VMs each beside another VM, on two to five processors: shares from 100
// to 30,000, one to four virtual processors each, which all spin. What pools have is by their shares or, where it is reserved, little
// more than that.
func randomTree(seed uint64, reserved bool) string {
	r := rand.New(rand.NewPCG(seed, 7))
	shares := []int{1000, 1000, 2000, 3000, 10_000, 30_000, 300, 100}
	var b strings.Builder
	cpus, pools, vm := 2+r.IntN(4), 1+r.IntN(3), 0
	fmt.Fprintf(&b, "cpus %d\nlength 2100ms\nwarmup 100ms\n", cpus)
	for p := range pools {
		if reserved {
			fmt.Fprintf(&b, "group p%d shares=%d reservation=%d%%\n", p, 1+r.IntN(2)*r.IntN(2000), 10+r.IntN(80*cpus/pools))
		} else {
			fmt.Fprintf(&b, "group p%d shares=%d\n", p, shares[r.IntN(4)])
		}
		for range 2 + r.IntN(3) {
			fmt.Fprintf(&b, "group v%d parent=p%d shares=%d%s\nworld v%d count=%d\n", vm, p, shares[r.IntN(len(shares))], []string{"", " cosched"}[r.IntN(2)], vm, 1+r.IntN(4))
			vm++
		}
	}
	if reserved {
		fmt.Fprintf(&b, "group o shares=100000\nworld o count=%d\n", 2*cpus)
	} else {
		fmt.Fprintf(&b, "group o shares=%d\nworld o count=%d\n", shares[r.IntN(4)], 1+r.IntN(5))
	}
	return b.String()
}

// TestRandomTrees: by how much less than its part the worst of each of 300 trees has, a pool, a VM in it or the one beside them: what
// tags.go says of those that the bound isn't for. Differences below 10 % of a processor count as parts of that.
func TestRandomTrees(t *testing.T) {
	trees := uint64(300)
	if testing.Short() {
		trees = 30
	}
	for _, x := range []struct {
		reserved    bool
		worst, mean float64
		few         int // of which more than 5 %
	}{{false, 0.15, 0.005, 2}, {true, 0.40, 0.006, 3}} {
		worst, sum, few := 0.0, 0.0, 0
		for seed := uint64(1); seed <= trees; seed++ {
			less := 0.0
			for _, g := range simulate(t, randomTree(seed, x.reserved)).Groups {
				less = max(less, (g.Ideal-g.Used)/max(g.Ideal, 0.1))
			}
			if less > 0.05 {
				few++
			}
			if less > x.worst {
				t.Errorf("tree %d, reserved %v: one has %.1f%% less than its part", seed, x.reserved, 100*less)
			}
			worst, sum = max(worst, less), sum+less
		}
		t.Logf("reserved %v: the worst has %.1f%% less than its part, those of all trees %.2f%% on average, %d more than 5 %%", x.reserved, 100*worst, 100*sum/float64(trees), few)
		if sum/float64(trees) > x.mean || few > x.few {
			t.Errorf("reserved %v: at most %.2f%% on average are allowed, and %d of more than 5 %%", x.reserved, 100*x.mean, x.few)
		}
	}
}
