package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"keel/vmkernel/sched"
)

// skewed is what of the skew that is allowed beyond SkewMax a scenario has at most, in per cent, where turns cost some us and kicks take some.
func skewed(t *testing.T, turn, ipi int, text string) (worst uint64) {
	t.Helper()
	// soonest, the way of a kick, and a decision that has begun
	late := uint64(sched.Soonest + 1000*(turn+ipi+turn))
	for _, g := range simulate(t, fmt.Sprintf("turn %dus\nipi %dus\n%s", turn, ipi, text)).Groups {
		worst = max(worst, 100*sub(g.Skew, sched.SkewMax)/late)
		if g.Skew > sched.SkewMax+late {
			t.Errorf("turns cost %d us, a kick %d, %q: %s is %d us ahead, at most %d are allowed", turn, ipi, text, g.Name, g.Skew/1000, (sched.SkewMax+late)/1000)
		}
	}
	return worst
}

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
				"group vm shares=4000 cosched\nworld vm count=3 run=70us yield jitter=50%\nworld vm count=4\ngroup o shares=1000 cosched\nworld o\n",
				"group vm limit=230% cosched\nworld vm count=6 run=300us yield jitter=90%\ngroup o shares=1 cosched\nworld o\n",
			} {
				for _, threads := range []string{"", "world system count=3 run=60us sleep=500us jitter=50%\n", "world system count=2 run=2ms sleep=6ms jitter=90%\nworld system count=8 run=40us sleep=700us jitter=90%\n"} {
					worst = max(worst, skewed(t, turn, ipi, fmt.Sprintf("cpus 4\nlength 1100ms\nwarmup 100ms\ngroup system system limit=100%%\n%s%s", threads, guests)))
				}
			}
		}
	}
	t.Logf("the worst is %d%% of what is allowed beyond SkewMax", worst)
}

// unsteady is a scenario of three VMs, in a pool or not, of virtual processors that may spin, sleep, be pinned or have a home, and that
// are paused and resumed, get other shares, and become more, at random times.
func unsteady(r *rand.Rand) string {
	var b strings.Builder
	fmt.Fprintf(&b, "length 1100ms\nwarmup 20ms\n")
	if r.IntN(2) == 0 {
		fmt.Fprintf(&b, "group system system limit=100%%\nworld system count=%d run=%dus sleep=%dus jitter=90%%\n", 1+r.IntN(8), 20+r.IntN(3000), 100+r.IntN(5000))
	}
	b.WriteString("group p shares=2000 reservation=30%\n")
	for v := range 3 {
		policy := []string{"", " parent=p", " limit=120%", " reservation=20% parent=p"}[r.IntN(4)]
		fmt.Fprintf(&b, "group v%d cosched shares=%d%s\n", v, []int{10, 1000, 5000}[r.IntN(3)], policy)
		switch r.IntN(5) {
		case 4:
			fmt.Fprintf(&b, "world v%d count=%d run=%dus yield jitter=80%%\nworld v%d count=3\n", v, 2+r.IntN(4), 50+r.IntN(3000), v)
		case 0:
			fmt.Fprintf(&b, "world v%d count=8\n", v)
		case 1:
			fmt.Fprintf(&b, "world v%d count=4\nworld v%d count=4 run=%dus sleep=%dus jitter=80%%\n", v, v, 100+r.IntN(4000), 50+r.IntN(2000))
		case 2:
			fmt.Fprintf(&b, "world v%d count=2 affinity=0\nworld v%d count=5\n", v, v)
		case 3:
			fmt.Fprintf(&b, "world v%d count=%d home=0\nworld v%d count=3 home=1\n", v, 1+r.IntN(5), v)
		}
	}
	for range 20 {
		v, at := r.IntN(3), 30+r.IntN(900)
		switch r.IntN(4) {
		case 0, 1:
			fmt.Fprintf(&b, "at %dms pause v%d\nat %dms resume v%d\n", at, v, at+r.IntN(20), v)
		case 2:
			fmt.Fprintf(&b, "at %dms set v%d shares=%d\n", at, v, 1+r.IntN(4000))
		case 3:
			fmt.Fprintf(&b, "at %dms add v%d count=1\n", at, v)
			if r.IntN(4) == 0 {
				fmt.Fprintf(&b, "at %dms kill v%d\n", at+500, v)
			}
		}
	}
	return b.String()
}

// TestSkewIsBoundedWhateverChanges: also of who is woken or resumed beside one that has run alone since long, and where the one
// behind is put aside for a thread, or has no processor that it may run on.
func TestSkewIsBoundedWhateverChanges(t *testing.T) {
	step := uint64(1)
	if testing.Short() {
		step = 10
	}
	worst := uint64(0)
	for seed := uint64(260); seed <= 430; seed += step {
		r := rand.New(rand.NewPCG(seed, 3))
		cpus := []int{2, 3, 4, 8}[r.IntN(4)]
		turn, ipi := r.IntN(75), 1+r.IntN(100)
		worst = max(worst, skewed(t, turn, ipi, fmt.Sprintf("cpus %d\nseed %d\n%s", cpus, seed, unsteady(r))))
	}
	t.Logf("the worst is %d%% of what is allowed beyond SkewMax", worst)
}
