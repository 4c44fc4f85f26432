package sim

import (
	"fmt"
	"testing"

	"keel/vmkernel/sched"
)

// TestSkewIsBounded: with more virtual processors than there are processors, so that they often stop and go on while others haven't
// been told yet, beside threads that come and go, and with a limit: none is further ahead than skew.go argues.
func TestSkewIsBounded(t *testing.T) {
	worst := uint64(0)
	for _, turn := range []int{0, 50, 75} { // us
		for _, ipi := range []int{5, 50, 150} { // us
			for _, guests := range []string{
				"group vm shares=4000 cosched\nworld vm count=5\ngroup o shares=1 cosched\nworld o\n",
				"group vm shares=4000 cosched\nworld vm count=5\ngroup o shares=3000 cosched\nworld o affinity=0\n",
				"group vm limit=230% cosched\nworld vm count=5\ngroup o shares=1 cosched\nworld o\n",
			} {
				for _, threads := range []string{"", "world system count=3 run=60us sleep=500us jitter=50%\n", "world system count=2 run=2ms sleep=6ms jitter=90%\nworld system count=8 run=40us sleep=700us jitter=90%\n"} {
					r := simulate(t, fmt.Sprintf("cpus 4\nturn %dus\nipi %dus\nlength 1100ms\nwarmup 100ms\ngroup system system limit=100%%\n%s%s", turn, ipi, threads, guests))
					// soonest, the way of a kick, and a decision that has begun
					late := uint64(sched.Soonest + 1000*(turn+ipi+turn))
					g := r.Group("vm")
					worst = max(worst, 100*sub(g.Skew, sched.SkewMax)/late)
					if g.Skew > sched.SkewMax+late {
						t.Errorf("turns cost %d us, a kick %d, %q, %q: %d us ahead, at most %d are allowed", turn, ipi, threads, guests, g.Skew/1000, (sched.SkewMax+late)/1000)
					}
				}
			}
		}
	}
	t.Logf("the worst is %d%% of what is allowed beyond SkewMax", worst)
}
