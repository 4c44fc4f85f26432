package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestWhoComesLateHasItsPart: VMs and pools that are created after the machine has run for long, and are confined to processors where
// others crowd, while others yet go where they like. Each of one processor's has its part of that.
func TestWhoComesLateHasItsPart(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 5))
		var b strings.Builder
		cpus := 2 + r.IntN(3)
		fmt.Fprintf(&b, "cpus %d\nseed %d\nlength 14s\nwarmup 12s\ngroup system system limit=%d%%\nworld system count=2 run=60us sleep=3ms jitter=80%%\n", cpus, seed, 25*cpus)
		for i := range 2 {
			fmt.Fprintf(&b, "group free%d cosched\nworld free%d count=%d\n", i, i, cpus)
		}
		confined := map[string]float64{} // what the shares of each are
		sum := 0.0
		vm := func(name, options string) {
			shares := 500 * (1 + r.IntN(4))
			confined[name] = float64(shares)
			sum += float64(shares)
			fmt.Fprintf(&b, "group %s shares=%d %s\n", name, shares, options)
		}
		for i := range 1 + r.IntN(3) {
			name := fmt.Sprint("early", i)
			vm(name, "cosched")
			fmt.Fprintf(&b, "world %s count=%d affinity=0\n", name, 1+r.IntN(2))
		}
		for i := range 1 + r.IntN(2) {
			name, at := fmt.Sprint("late", i), 8+3*r.Float64()
			vm(name, fmt.Sprintf("cosched at=%.3fs", at))
			fmt.Fprintf(&b, "at %.3fs add %s count=%d affinity=0\n", at+r.Float64()/2, name, 1+r.IntN(2))
		}
		vm("pool", "at=9s")
		for i := range 2 {
			fmt.Fprintf(&b, "group in%d parent=pool cosched at=9s\nat %dms add in%d affinity=0\n", i, 9500+50*i, i)
		}
		res := simulate(t, b.String())
		all := 0.0
		for name := range confined {
			all += res.Group(name).Used
		}
		for name, shares := range confined {
			if got, want := res.Group(name).Used, all*shares/sum; all < 0.5 || math.Abs(got-want) > 0.03*want {
				t.Errorf("seed %d: %s has %.1f%% of a processor, its part is %.1f%%", seed, name, 100*got, 100*want)
			}
		}
	}
}
