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

// nestedTree is a scenario of one to three pools beside another VM, each of one to three VMs, or pools of such to a depth of three, on one
// to eight processors. Of pools and VMs one in five has a limit. With sleepers only VMs have, which sleep at times, and each pool has another
// that doesn't, which can use all of what the pool is due.
func nestedTree(seed uint64, sleepers bool) string {
	r := rand.New(rand.NewPCG(seed, 8))
	var b strings.Builder
	cpus, pools, vms := []int{1, 2, 3, 4, 8}[r.IntN(5)], 0, 0
	fmt.Fprintf(&b, "cpus %d\nlength 2100ms\nwarmup 100ms\nseed %d\n", cpus, seed)
	shares := func() int { return []int{100, 300, 1000, 1000, 2000, 3000, 10_000, 30_000}[r.IntN(8)] }
	limit := func(least, most int) string {
		if r.IntN(5) != 0 {
			return ""
		}
		return fmt.Sprintf(" limit=%d%%", least+r.IntN(most-least+1))
	}
	vm := func(parent, policy, worlds string) {
		fmt.Fprintf(&b, "group v%d parent=%s shares=%d%s\nworld v%d %s\n", vms, parent, shares(), policy, vms, worlds)
		vms++
	}
	var pool func(parent string, depth int)
	pool = func(parent string, depth int) {
		name, policy := fmt.Sprint("p", pools), ""
		pools++
		if !sleepers {
			policy = limit(30, 100*cpus)
		}
		fmt.Fprintf(&b, "group %s%s shares=%d%s\n", name, parent, shares(), policy)
		for range 1 + r.IntN(3) {
			if depth < 3 && r.IntN(10) < 3 {
				pool(" parent="+name, depth+1)
				continue
			}
			worlds := fmt.Sprintf("count=%d", []int{1, 1, 2, 2, 4, 8, 16}[r.IntN(7)])
			if sleepers {
				worlds += []string{" run=20us sleep=500us", " run=50us sleep=1ms", " run=200us sleep=1ms", " run=1ms sleep=1ms", " run=3ms sleep=2ms", " run=3ms sleep=9ms", " run=8ms sleep=30ms"}[r.IntN(7)] + " jitter=50%"
			}
			vm(name, limit(5, 150)+[]string{"", " cosched"}[r.IntN(2)], worlds)
		}
		if sleepers {
			vm(name, " cosched", fmt.Sprintf("count=%d", cpus))
		}
	}
	for range 1 + r.IntN(3) {
		pool("", 1)
	}
	fmt.Fprintf(&b, "group o shares=%d cosched\nworld o count=%d\n", shares(), 2*cpus)
	return b.String()
}

// TestRandomTrees: by how much less than its part the worst of each of some hundred trees has, a pool, a VM in it or the one beside them: what
// tags.go says of those that the bound isn't for. Of VMs that sleep it isn't known what they can use, so pools are looked at there. Differences
// below 10 % of a processor count as parts of that.
func TestRandomTrees(t *testing.T) {
	for _, x := range []struct {
		name        string
		tree        func(seed uint64) string
		trees       uint64
		pools       bool // only
		worst, mean float64
		few         int // of which more than 5 %
	}{
		{"by shares", func(seed uint64) string { return randomTree(seed, false) }, 300, false, 0.22, 0.006, 3},
		{"reserved", func(seed uint64) string { return randomTree(seed, true) }, 300, false, 0.48, 0.007, 6},
		{"limited", func(seed uint64) string { return nestedTree(seed, false) }, 150, false, 0.45, 0.025, 17},
		{"sleepers", func(seed uint64) string { return nestedTree(seed, true) }, 100, true, 0.05, 0.003, 1},
	} {
		t.Run(x.name, func(t *testing.T) {
			if testing.Short() {
				x.trees /= 10
			}
			worst, sum, few := 0.0, 0.0, 0
			for seed := uint64(1); seed <= x.trees; seed++ {
				less := 0.0
				for _, g := range simulate(t, x.tree(seed)).Groups {
					if x.pools && g.Parent >= 0 {
						continue
					}
					less = max(less, (g.Ideal-g.Used)/max(g.Ideal, 0.1))
				}
				if less > 0.05 {
					few++
				}
				if less > x.worst {
					t.Errorf("tree %d: one has %.1f%% less than its part", seed, 100*less)
				}
				worst, sum = max(worst, less), sum+less
			}
			t.Logf("the worst has %.1f%% less than its part, those of all trees %.2f%% on average, %d more than 5 %%", 100*worst, 100*sum/float64(x.trees), few)
			if sum/float64(x.trees) > x.mean || few > x.few {
				t.Errorf("at most %.2f%% on average are allowed, and %d of more than 5 %%", 100*x.mean, x.few)
			}
		})
	}
}
