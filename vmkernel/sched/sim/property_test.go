package sim

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"keel/vmkernel/sched"
)

func simulate(t testing.TB, text string) *Result {
	t.Helper()
	sc, err := Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(sc, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Check != "" {
		t.Error(r.Check)
	}
	if testing.Verbose() {
		r.Table(os.Stdout)
	}
	return r
}

// wantShares checks that no group is further from its ideal than a part of it.
func wantShares(t *testing.T, r *Result, most float64) {
	t.Helper()
	for _, g := range r.Groups {
		if math.Abs(g.Error()) > most {
			t.Errorf("%s got %.2f%% of a processor, its part is %.2f%%", g.Name, 100*g.Used, 100*g.Ideal)
		}
	}
}

const oneSecond = "length 1100ms\nwarmup 100ms\n"

// TestShares: three saturating VMs with shares 1 : 2 : 4 get their part over one second, within 1 % of
// it, with any number of virtual processors on any number of processors.
func TestShares(t *testing.T) {
	worst := 0.0
	for _, cpus := range []int{1, 2, 3, 4, 8} {
		for a := 1; a <= 8; a++ {
			for b := 1; b <= 8; b++ {
				for c := 1; c <= 8; c++ {
					if testing.Short() && (a+3*b+5*c)%7 != 0 {
						continue
					}
					r := simulate(t, fmt.Sprintf("cpus %d\n%sgroup a shares=1000 cosched\ngroup b shares=2000 cosched\ngroup c shares=4000 cosched\n"+
						"world a count=%d\nworld b count=%d\nworld c count=%d\n", cpus, oneSecond, a, b, c))
					for _, g := range r.Groups {
						worst = max(worst, math.Abs(g.Error()))
						if math.Abs(g.Error()) > 0.02 {
							t.Errorf("%d processors, virtual %d, %d, %d: %s got %.2f%%, its part is %.2f%%", cpus, a, b, c, g.Name, 100*g.Used, 100*g.Ideal)
						}
						if g.Skew > sched.SkewMax+200_000 {
							t.Errorf("%d processors, virtual %d, %d, %d: %s: skew %d ns", cpus, a, b, c, g.Name, g.Skew)
						}
					}
				}
			}
		}
	}
	t.Logf("the worst is %.2f%% of its part off", 100*worst)
}

// TestSharesBesideThreads: threads of the system group that come and go have no effect on shares, though each costs a switch
// there and one back: also where a VM has processors for itself, for which it would be the only one to pay.
func TestSharesBesideThreads(t *testing.T) {
	worst := 0.0
	for _, cpus := range []int{1, 2, 4} {
		for _, vcpus := range [][]int{{1, 1, 1}, {4, 2, 1}, {1, 2, 4}, {3, 1, 2}} {
			for _, turn := range []string{"20us", "50us"} {
				r := simulate(t, fmt.Sprintf("cpus %d\nturn %s\n%sgroup system system limit=%d%%\nworld system count=2 run=60us sleep=3ms jitter=80%%\n", cpus, turn, oneSecond, 25*cpus)+
					fmt.Sprintf("group a shares=1000 cosched\ngroup b shares=2000 cosched\ngroup c shares=4000 cosched\nworld a count=%d\nworld b count=%d\nworld c count=%d\n", vcpus[0], vcpus[1], vcpus[2]))
				got := []float64{r.Group("a").Used, r.Group("b").Used, r.Group("c").Used}
				for i, want := range parts(got[0]+got[1]+got[2], vcpus) {
					e := math.Abs(got[i]-want) / want
					worst = max(worst, e)
					if e > 0.01 {
						t.Errorf("%d processors, virtual %v, turns cost %s: %c got %.2f%%, its part is %.2f%%", cpus, vcpus, turn, 'a'+i, 100*got[i], 100*want)
					}
				}
			}
		}
	}
	t.Logf("the worst is %.2f%% of its part off", 100*worst)
}

// parts divides what was used by shares 1 : 2 : 4, none having more than its virtual processors can use.
func parts(used float64, vcpus []int) []float64 {
	p, left, shares := make([]float64, len(vcpus)), used, 0.0
	for i := range vcpus {
		shares += float64(int(1) << i)
	}
	for i := len(vcpus) - 1; i >= 0; i-- { // who has most shares for each virtual processor is full first, in all cases above
		w := float64(int(1) << i)
		p[i] = min(left*w/shares, float64(vcpus[i]))
		left, shares = left-p[i], shares-w
	}
	return p
}

// TestTree: shares are kept at each level, and what a VM can't use goes to its pool first.
func TestTree(t *testing.T) {
	r := simulate(t, "cpus 4\nlength 2100ms\nwarmup 100ms\n"+`
group web shares=3000
group batch shares=1000
group w1 parent=web shares=1000
group w2 parent=web shares=100
group w3 parent=web shares=1
group b1 parent=batch shares=1000
group b2 parent=batch shares=4000
world w1 count=1
world w2 count=1
world w3 count=4
world b1 count=8
world b2 count=3`)
	wantShares(t, r, 0.02)
}

// TestReservation: a reservation is met whatever the shares of the others are.
func TestReservation(t *testing.T) {
	r := simulate(t, "cpus 2\nlength 2100ms\nwarmup 100ms\n"+`
group small shares=1 reservation=60% cosched
group pool shares=1 reservation=30%
group inner parent=pool
group huge shares=1000000
world small count=2
world inner count=3
world huge count=6`)
	for name, want := range map[string]float64{"small": 0.6, "pool": 0.3} {
		if got := r.Group(name).Used; got < want*0.98 {
			t.Errorf("%s got %.2f%%, reserved was %.0f%%", name, 100*got, 100*want)
		}
	}
}

// TestSharesOfReservation: what a pool has for its reservation alone goes to its VMs by their shares, level by level, whatever part
// of it they have reserved, and what one can't use to the others.
func TestSharesOfReservation(t *testing.T) {
	for _, x := range []struct {
		groups string
		want   [3]float64 // of what the pool has
	}{
		{"group a parent=p\ngroup b parent=p shares=3000\ngroup c parent=p shares=4000\n", [3]float64{1. / 8, 3. / 8, 4. / 8}},
		{"group a parent=p cosched\ngroup b parent=p shares=3000 cosched\ngroup c parent=p shares=4000 cosched\n", [3]float64{1. / 8, 3. / 8, 4. / 8}},
		{"group a parent=p reservation=4%\ngroup b parent=p shares=3000\ngroup c parent=p shares=4000\n", [3]float64{1. / 8, 3. / 8, 4. / 8}},
		{"group a parent=p reservation=32% shares=1\ngroup b parent=p shares=3000\ngroup c parent=p\n", [3]float64{0.8, 0.15, 0.05}},
		{"group a parent=p limit=4%\ngroup b parent=p shares=1000\ngroup c parent=p shares=3000\n", [3]float64{0.1, 0.225, 0.675}},
		{"group q parent=p shares=3000\ngroup a parent=q\ngroup b parent=q shares=2000\ngroup c parent=p\n", [3]float64{1. / 4, 2. / 4, 1. / 4}},
		{"group q parent=p reservation=20%\ngroup a parent=q\ngroup b parent=q shares=4000\ngroup c parent=p\n", [3]float64{0.1, 0.4, 0.5}},
	} {
		for _, cpus := range []int{1, 2, 4} {
			for _, n := range []int{1, 3} {
				r := simulate(t, fmt.Sprintf("cpus %d\nlength 3100ms\nwarmup 100ms\ngroup p shares=1 reservation=40%%\n%sworld a count=%d\nworld b count=%d\nworld c count=%d\ngroup o shares=1000000\nworld o count=%d\n",
					cpus, x.groups, n, n, n, 2*cpus))
				p := r.Group("p").Used
				if p < 0.4*0.98 || p > 0.4*1.05 {
					t.Errorf("%d processors, %q: 40%% is reserved, it got %.2f%%", cpus, x.groups, 100*p)
				}
				for i, want := range x.want {
					if got := r.Group(string(rune('a'+i))).Used / p; math.Abs(got-want) > 0.02 {
						t.Errorf("%d processors, %d worlds each, %q: %c got %.1f%% of what the pool has, its part is %.1f%%", cpus, n, x.groups, 'a'+i, 100*got, 100*want)
					}
				}
			}
		}
	}
}

// TestReservationIsNoMore: who has next to no shares gets what is reserved and little more, while others want all the rest: also
// where it had a processor for its reservation, and for itself since.
func TestReservationIsNoMore(t *testing.T) {
	for cpus := 1; cpus <= 4; cpus *= 2 {
		r := simulate(t, fmt.Sprintf("cpus %d\n%sgroup small shares=1 reservation=50%% cosched\ngroup huge shares=1000000 cosched\nworld small\nat 20ms add huge count=%d\n", cpus, oneSecond, cpus))
		if g := r.Group("small"); g.Used < 0.49 || g.Used > 0.52 {
			t.Errorf("%d processors: 50%% is reserved, it got %.2f%%", cpus, 100*g.Used)
		}
	}
	// A turn that another of its pool is owed isn't one by shares, which would have the clocks follow it: nobody else's debt counted.
	r := simulate(t, "cpus 8\n"+oneSecond+`
group p shares=1 reservation=300%
group a parent=p
group v parent=p
group b shares=1 reservation=10%
group o shares=1000000 cosched
world a count=100
world v count=16 run=50us sleep=2ms jitter=50%
world b
world o count=16`)
	for name, want := range map[string]float64{"p": 3, "b": 0.1} {
		if got := r.Group(name).Used; got < want*0.99 || got > want*1.04 {
			t.Errorf("%s got %.2f%%, %.0f%% is reserved", name, 100*got, 100*want)
		}
	}
}

// TestLimit: a limit isn't exceeded, on an idle machine and on a busy one, for any number of worlds.
func TestLimit(t *testing.T) {
	for _, others := range []string{"", "group o\nworld o count=5\n"} {
		r := simulate(t, "cpus 4\nlength 2100ms\nwarmup 100ms\n"+others+`
group one limit=10%
group two limit=150% shares=100000
group pool limit=50%
group in1 parent=pool
group in2 parent=pool limit=1%
world one
world two count=4
world in1 count=2
world in2`)
		for name, want := range map[string]float64{"one": 0.1, "two": 1.5, "pool": 0.5, "in2": 0.01} {
			if got := r.Group(name).Used; got > want*1.02+0.002 || got < want*0.95-0.002 {
				t.Errorf("%s got %.2f%%, its limit is %.0f%%", name, 100*got, 100*want)
			}
		}
	}
}

// TestFlood: the system group's threads spin on all processors. They are paced to the limit, none
// waits over a millisecond, and what is reserved or shared by guests holds.
func TestFlood(t *testing.T) {
	for cpus := 1; cpus <= 4; cpus *= 2 {
		for _, each := range []int{1, 2, 4} {
			limit := 10 * cpus
			r := simulate(t, fmt.Sprintf("cpus %d\nlength 2100ms\nwarmup 100ms\ngroup system system limit=%d%%\nworld system count=%d\n", cpus, limit, cpus*each)+
				fmt.Sprintf("group r shares=1 reservation=40%% cosched\nworld r count=%d\ngroup a shares=1000\ngroup b shares=3000\nworld a count=%d\nworld b count=%d\n", cpus, cpus, cpus+1))
			s := r.Group("system")
			floor := float64(each*cpus) * sched.PacedSlice / sched.SystemWait * 1.2
			if most := max(float64(limit)/100*1.05+0.005, floor); s.Used > most {
				t.Errorf("%d processors, %d threads: the flood got %.2f%%, its limit is %d%%", cpus, cpus*each, 100*s.Used, limit)
			}
			if s.MaxWait > sched.SystemWait+20_000 {
				t.Errorf("%d processors, %d threads: one waited %d ns", cpus, cpus*each, s.MaxWait)
			}
			if g := r.Group("r"); g.Used < 0.4*0.98 {
				t.Errorf("%d processors, %d threads: 40%% was reserved, it got %.2f%%", cpus, cpus*each, 100*g.Used)
			}
			a, b := r.Group("a").Used, r.Group("b").Used
			if cpus == 1 && math.Abs(b/a-3) > 0.1 {
				t.Errorf("%d threads: shares 1:3 became 1:%.2f", each, b/a)
			}
		}
	}
}

// TestFloodOfTurns: the same where turns cost something, as on a slow machine, and other threads come and go: of SystemWait a least
// turn is left, for what else keeps a machine from being there in time.
func TestFloodOfTurns(t *testing.T) {
	longest := uint64(0)
	for _, cpus := range []int{1, 2, 4} {
		for _, turn := range []uint64{10, 20, 35, 50} { // us
			for _, each := range []int{1, 2} {
				r := simulate(t, fmt.Sprintf("cpus %d\nturn %dus\nlength 2100ms\nwarmup 100ms\ngroup system system limit=%d%%\nworld system count=%d\nworld system count=2 run=30us sleep=5ms jitter=50%%\n", cpus, turn, 25*cpus, cpus*each)+
					fmt.Sprintf("group r shares=1 reservation=25%%\ngroup a shares=1000000\nworld r\nworld a count=%d\n", cpus))
				s := r.Group("system")
				longest = max(longest, s.MaxWait)
				if s.MaxWait > sched.SystemWait-sched.PacedSlice-1000*turn {
					t.Errorf("%d processors, %d threads, turns cost %d us: one waited %d ns", cpus, cpus*each+2, turn, s.MaxWait)
				}
				if most := 0.25*float64(cpus)*1.05 + 0.005; s.Used > most {
					t.Errorf("%d processors, %d threads, turns cost %d us: the flood got %.2f%% of %d%%", cpus, cpus*each+2, turn, 100*s.Used, 25*cpus)
				}
				if g := r.Group("r"); g.Used < 0.25*0.98 {
					t.Errorf("%d processors, %d threads, turns cost %d us: 25%% was reserved, it got %.2f%%", cpus, cpus*each+2, turn, 100*g.Used)
				}
			}
		}
	}
	t.Logf("the longest wait is %d ns", longest)
}

// TestFloodIsBounded: while guests want all processors, the system group isn't further ahead of its limit in any interval, of any
// length, than rates.go argues: whether its threads spin, come and go, or begin one after the other, so that each processor has
// seen fewer of them run than do.
func TestFloodIsBounded(t *testing.T) {
	worst := 0.0
	for _, cpus := range []int{1, 2, 4, 8} {
		for _, turn := range []int{0, 20, 50, sched.MaxTurnCost / 1000} { // us
			for _, rate := range []int{20, 25} { // %, of each processor: two of the least turns fit
				if 1000*turn == sched.MaxTurnCost && (cpus == 1 || rate == 20) {
					continue // but not of these: one and a half fit into 25 %
				}
				for _, threads := range []string{
					fmt.Sprintf("world system count=%d\n", cpus),
					fmt.Sprintf("world system count=%d\nworld system count=2 run=30us sleep=5ms jitter=50%%\n", cpus),
					fmt.Sprintf("world system count=%d\nworld system count=%d run=100us sleep=300us jitter=50%%\n", cpus, cpus/2),
					fmt.Sprintf("world system\nworld system count=%d run=3ms sleep=9ms jitter=90%%\n", max(cpus-1, 1)),
					fmt.Sprintf("world system count=%d run=40ms sleep=60ms jitter=90%%\n", cpus),
				} {
					r := simulate(t, fmt.Sprintf("cpus %d\nipi 5us\nturn %dus\nlength 2100ms\nwarmup 100ms\ngroup system system limit=%d%%\n", cpus, turn, rate*cpus)+threads+
						fmt.Sprintf("group r shares=1 reservation=25%%\ngroup a shares=1000000\nworld r\nworld a count=%d\n", cpus))
					s := r.Group("system")
					late := float64(sched.Slice + sched.Soonest + 1000*turn + 5_000) // soonest, and the way of a kick
					most := sched.LimitBurst + 2*sched.Slice + late*float64(cpus)*1000/float64(s.Policy.Limit)
					worst = max(worst, s.Ahead/most)
					if s.Ahead > most {
						t.Errorf("%d processors, turns cost %d us, limit %d%%, %q: %.1f ms ahead of the limit, at most %.1f are allowed", cpus, turn, rate*cpus, threads, s.Ahead/1e6, most/1e6)
					}
				}
			}
		}
	}
	t.Logf("the worst is %.0f%% of what is allowed", 100*worst)
}

// TestGuestAmongThreads: a guest that comes where threads have begun to run on all processors, which have no timer, has one as soon
// as the burst is used up: at a quarter of the processors, after a third of it, and a turn.
func TestGuestAmongThreads(t *testing.T) {
	for _, cpus := range []int{1, 2, 4, 8} {
		r := simulate(t, fmt.Sprintf("cpus %d\nlength 200ms\nwarmup 190ms\ngroup system system limit=%d%%\ngroup g\nat 49ms add system count=%d\nat 50ms add g count=1\n", cpus, 25*cpus, cpus))
		if g := r.Group("g"); g.Used < 0.7 || g.MaxWait > sched.LimitBurst/3+sched.Slice {
			t.Errorf("%d processors: it got %.1f%% of one, and waited %d ns", cpus, 100*g.Used, g.MaxWait)
		}
	}
}

// TestPinnedBesideThreads: threads of the system group that are below its limit take no more than their part of a processor that
// worlds can't leave, however many of them there are: what is reserved there holds, and who has nothing reserved isn't starved.
func TestPinnedBesideThreads(t *testing.T) {
	for _, threads := range []string{"count=1", "count=2 run=3ms sleep=2ms jitter=50%", "count=3 run=9ms yield", "count=8"} {
		for _, pinned := range []int{1, 4} {
			text := "cpus 4\n" + oneSecond + "group system system limit=100% reservation=100%\nworld system " + threads + "\ngroup o shares=1000\nworld o count=8\n"
			for i := range pinned {
				c := (i + 2) % 4
				text += fmt.Sprintf("group r%d shares=1 reservation=60%% cosched\nworld r%d affinity=%d\ngroup p%d shares=2000\nworld p%d affinity=%d\n", i, i, c, i, i, c)
			}
			r := simulate(t, text)
			for i := range pinned {
				if g := r.Group(fmt.Sprint("r", i)); g.Used < 0.6*0.98 {
					t.Errorf("threads %s, %d pinned: 60%% was reserved, it got %.2f%%", threads, pinned, 100*g.Used)
				}
				if g := r.Group(fmt.Sprint("p", i)); g.Used < 0.02 {
					t.Errorf("threads %s, %d pinned: beside it one that has reserved nothing got %.2f%%", threads, pinned, 100*g.Used)
				}
			}
			if s := r.Group("system"); s.MaxWait > sched.SystemWait+20_000 {
				t.Errorf("threads %s: one waited %d ns", threads, s.MaxWait)
			}
		}
	}
}

// TestSystemLatency: below their limit the system group's threads run at once, whatever guests do.
func TestSystemLatency(t *testing.T) {
	r := simulate(t, "cpus 2\nlength 2100ms\nwarmup 100ms\ngroup system system limit=100%\nworld system count=6 run=50us sleep=1ms jitter=50%\ngroup g shares=100000\nworld g count=6\n")
	if s := r.Group("system"); s.P99 > 100_000 || s.MaxWait > sched.SystemWait {
		t.Errorf("99 %% of the wake-ups take %d ns, one %d ns", s.P99, s.MaxWait)
	}
}

// TestLatency: a VM that sleeps most of the time runs soon after it is woken on a saturated host, in
// each case where it uses less than its part.
func TestLatency(t *testing.T) {
	r := simulate(t, "cpus 2\nlength 4100ms\nwarmup 100ms\ngroup i shares=1000\nworld i run=100us sleep=2ms jitter=90%\ngroup a shares=1000\nworld a count=2\ngroup b shares=4000\nworld b count=3\n")
	if g := r.Group("i"); g.P50 > 20_000 || g.P99 > 1_500_000 {
		t.Errorf("woken and running: median %d ns, 99 %% %d ns", g.P50, g.P99)
	}
}

// TestLatencyBesideOne: a VM that halts after little, beside one that saturates the processor, runs at once each time. What
// the second uses while the first sleeps is charged to nobody; the first isn't to be held to have had more for that.
func TestLatencyBesideOne(t *testing.T) {
	for _, groups := range []string{"group i\ngroup a\n", "group i shares=250\ngroup a\n", "group web\ngroup i parent=web\ngroup a parent=web\n"} {
		for _, run := range []string{"60us", "300us"} {
			r := simulate(t, "cpus 1\nlength 4100ms\nwarmup 100ms\n"+groups+"world i run="+run+" sleep=2ms\nworld a\n")
			if g := r.Group("i"); g.P99 > 1_000 {
				t.Errorf("%q, running %s: median %d ns, 99 %% %d ns", groups, run, g.P50, g.P99)
			}
		}
	}
}

// TestCredit: who sleeps for long saves up nothing by it: when it is back, nobody waits for longer
// than for who never slept.
func TestCredit(t *testing.T) {
	for _, cpus := range []int{1, 2} {
		r := simulate(t, fmt.Sprintf("cpus %d\nlength 5s\nwarmup 100ms\ngroup plain\nworld plain count=%d\ngroup other\nworld other count=%d\ngroup x\nworld x count=%d run=200ms sleep=600ms\n", cpus, cpus, cpus, cpus))
		if g := r.Group("plain"); g.MaxWait > 8_000_000 {
			t.Errorf("%d processors: a VM waited %d ns for one that had slept", cpus, g.MaxWait)
		}
	}
}

// TestStarvation: one share in a million, and still each world runs within what its part makes it wait.
func TestStarvation(t *testing.T) {
	r := simulate(t, "cpus 2\nlength 60s\nwarmup 100ms\ngroup tiny shares=100\nworld tiny\ngroup huge shares=100000\nworld huge count=6\n")
	g := r.Group("tiny")
	if g.Used == 0 || g.MaxWait > 2_500_000_000 {
		t.Errorf("it got %.4f%% and waited %d ns", 100*g.Used, g.MaxWait)
	}
}

// TestAdversaries: nobody gets more than its part by how it behaves, while a plain VM with as many
// shares saturates.
func TestAdversaries(t *testing.T) {
	for name, worlds := range map[string]string{
		"sleeps before the tick": "world x count=4 run=950us sleep=1us",
		"sleeps after each 30us": "world x count=4 run=30us sleep=1us",
		"ping-pong":              "world x count=40 run=200us ring",
		"two rings":              "world x count=9 run=900us ring\nworld x count=9 run=150us ring",
		"fork storm":             "world x count=30 run=300us fork",
		"fork storm of one":      "world x count=2 run=20us fork",
		"many worlds":            "world x count=60",
		"yields":                 "world x count=8 run=20us yield",
		"sleeps at random":       "world x count=50 run=300us sleep=3ms jitter=100%",
	} {
		for _, cpus := range []int{1, 2, 4} {
			for _, flags := range []string{"", " cosched"} {
				r := simulate(t, fmt.Sprintf("cpus %d\n%sgroup plain cosched\nworld plain count=4\ngroup x%s\n%s\n", cpus, oneSecond, flags, worlds))
				if g := r.Group("plain"); g.Used < 0.98*min(float64(cpus)/2, 4) {
					t.Errorf("%s%s, %d processors: the plain VM got %.2f%%, its part is %d%%", name, flags, cpus, 100*g.Used, 50*cpus)
				}
			}
		}
	}
}

// TestAlternatingShares: who changes shares all the time gets no more than they are worth on average,
// and the others share the rest equally.
func TestAlternatingShares(t *testing.T) {
	var b strings.Builder
	b.WriteString("cpus 2\n" + oneSecond + "group x\nworld x count=2\ngroup a\nworld a count=2\ngroup b\nworld b count=3\n")
	for i := 0; i < 1000; i++ {
		fmt.Fprintf(&b, "at %dus set x shares=%d\n", 100_000+1000*i, []int{100, 2900}[i%2])
	}
	r := simulate(t, b.String())
	if x, y := r.Group("a").Used, r.Group("b").Used; math.Abs(x/y-1) > 0.02 {
		t.Errorf("equal shares became %.2f%% and %.2f%%", 100*x, 100*y)
	}
	if g := r.Group("x"); g.Error() > 0.05 {
		t.Errorf("it got %.2f%%, its part is %.2f%%", 100*g.Used, 100*g.Ideal)
	}
}

// TestChanges: a change of shares or limit, a pause and a resumption take effect within 10 ms.
func TestChanges(t *testing.T) {
	for _, x := range []struct {
		event  string
		lo, hi float64
	}{
		{"set a shares=3000", 0.70, 0.80}, {"set a limit=10%", 0, 0.16}, {"pause a", 0, 0.001}, {"kill a", 0, 0.001}, {"set b limit=10%", 0.85, 1},
		{"set a reservation=90%", 0.86, 0.94},
	} {
		r := simulate(t, "cpus 1\nlength 1s\nwarmup 100ms\ngroup a\nworld a count=2\ngroup b\nworld b count=2\nat 500ms "+x.event+"\n")
		var sum float64
		n := 0
		for i, at := range r.Times {
			if at >= 514_000_000 && at < 560_000_000 {
				sum += r.Samples[i][0]
				n++
			}
		}
		if got := sum / float64(n); got < x.lo || got > x.hi {
			t.Errorf("%s: from 10 to 60 ms later it gets %.1f%%", x.event, 100*got)
		}
	}
}

// TestSharesJump: a change of shares by whatever factor takes effect within 10 ms, also where one VM had run for long as the other
// had next to no shares, below the root and in a pool: neither has to make up for what was right before.
func TestSharesJump(t *testing.T) {
	for _, cpus := range []int{1, 2, 4} {
		for _, pool := range []string{"", "group p\ngroup q\nworld q count=4\n"} {
			for _, x := range [][2]int{{1, 5000}, {1, 1000}, {10, 1000}, {100, 3000}, {1, 1_000_000}, {1000, 1}, {5000, 1}, {1_000_000, 1}, {1000, 3000}} {
				in := ""
				if pool != "" {
					in = " parent=p"
				}
				r := simulate(t, fmt.Sprintf("cpus %d\nlength 700ms\nwarmup 100ms\n"+pool+"group a cosched shares=%d%s\ngroup b cosched%s\nworld a count=%d\nworld b count=%d\nat 500ms set a shares=%d\n",
					cpus, x[0], in, in, cpus, cpus, x[1]))
				var a, b float64
				for i, at := range r.Times {
					if at >= 513_000_000 && at <= 613_000_000 {
						n := len(r.Groups)
						a += r.Samples[i][n-2]
						b += r.Samples[i][n-1]
					}
				}
				if got, want := a/(a+b), float64(x[1])/float64(x[1]+1000); math.Abs(got-want) > 0.04 {
					t.Errorf("%d processors, pool %q, shares from %d to %d beside 1000: from 10 to 110 ms later it gets %.1f%%, its part is %.1f%%", cpus, in, x[0], x[1], 100*got, 100*want)
				}
			}
		}
	}
}

// TestAffinity: worlds run where they may, exclusive processors run nobody else's, and among those that
// share a processor shares hold though others have more room elsewhere.
func TestAffinity(t *testing.T) {
	r := simulate(t, "cpus 4\n"+oneSecond+`
group a shares=1000
group b shares=2000
group c shares=4000
group d
group rt
world a affinity=0
world b affinity=0
world c affinity=0
world d count=3 affinity=1-2
world rt affinity=3
exclusive 3 rt`)
	for name, want := range map[string]float64{"a": 1. / 7, "b": 2. / 7, "c": 4. / 7, "d": 2, "rt": 1} {
		if got := r.Group(name).Used; math.Abs(got/want-1) > 0.02 {
			t.Errorf("%s got %.2f%%, its part is %.2f%%", name, 100*got, 100*want)
		}
	}
}

// TestSkew: where affinity keeps one virtual processor from running as much as its sibling could, the
// sibling waits for it.
func TestSkew(t *testing.T) {
	r := simulate(t, "cpus 2\n"+oneSecond+"group vm cosched\nworld vm affinity=0\nworld vm affinity=1\ngroup o shares=3000\nworld o affinity=0\n")
	g := r.Group("vm")
	if g.Skew > sched.SkewMax+50_000 {
		t.Errorf("skew %d ns", g.Skew)
	}
	if g.Used > 0.6 {
		t.Errorf("one of its processors gets at most 25 %%, both got %.2f%%", 100*g.Used)
	}
}

// TestSkewAtLimit: nor does a limit have virtual processors drift apart, of which it parks some while others go on.
func TestSkewAtLimit(t *testing.T) {
	for _, cpus := range []int{2, 4} {
		for _, limit := range []int{10, 60, 130, 150} {
			for vcpus := 2; vcpus <= 4; vcpus++ {
				r := simulate(t, fmt.Sprintf("cpus %d\nturn 50us\n%sgroup vm limit=%d%% cosched\nworld vm count=%d\ngroup o shares=1 cosched\nworld o\n",
					cpus, oneSecond, limit, vcpus))
				if g := r.Group("vm"); g.Skew > sched.SkewMax+300_000 {
					t.Errorf("%d processors, %d virtual, a limit of %d%%: skew %d ns", cpus, vcpus, limit, g.Skew)
				}
			}
		}
	}
}

// TestTickless: a processor with one world, or none, takes no timer.
func TestTickless(t *testing.T) {
	r := simulate(t, "cpus 4\nlength 10s\nwarmup 9999ms\ngroup a cosched\nworld a count=3\n")
	if r.Timers > 4 {
		t.Errorf("%d timers", r.Timers)
	}
}

// TestBig: thousands of processors and 100,000 worlds.
func TestBig(t *testing.T) {
	cpus, vms, length, most := 1024, 2000, "150ms", 0.05
	if testing.Short() {
		cpus, vms, length, most = 256, 500, "60ms", 0.1
	}
	var b strings.Builder
	fmt.Fprintf(&b, "cpus %d\nlength %s\nwarmup 10ms\ngroup idle\nworld idle count=%d run=50us sleep=10s jitter=100%%\n", cpus, length, 100_000-4*vms)
	for i := range vms {
		fmt.Fprintf(&b, "group g%d shares=%d\nworld g%d count=%d\n", i, 1000*(1+i%4), i, 1+i%7)
	}
	r := simulate(t, b.String())
	if r.Idle > 0.01 {
		t.Errorf("%.1f%% idle", 100*r.Idle)
	}
	var got, want [4]float64
	for i := range vms {
		g := r.Group(fmt.Sprint("g", i))
		got[i%4] += g.Used
		want[i%4] += g.Ideal
	}
	for i := range got {
		if math.Abs(got[i]/want[i]-1) > most {
			t.Errorf("VMs with %d shares got %.2f, their part is %.2f", 1000*(1+i), got[i], want[i])
		}
	}
}

// TestDeterministic: the same scenario gives the same trace, and replays.
func TestDeterministic(t *testing.T) {
	text := "cpus 3\nlength 120ms\nwarmup 10ms\ngroup a cosched\nworld a count=5 run=1ms sleep=300us jitter=80%\ngroup b limit=90%\nworld b count=2\n"
	var traces [2]bytes.Buffer
	for i := range traces {
		sc, err := Parse(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Run(sc, &traces[i]); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(traces[0].Bytes(), traces[1].Bytes()) {
		t.Error("two runs differ")
	}
	if _, err := Replay(&traces[0]); err != nil {
		t.Error(err)
	}
}

// TestWhatIsOnesAloneCostsNoShares: a world with a processor of its own doesn't cost its pool what the others in it are due
// elsewhere.
func TestWhatIsOnesAloneCostsNoShares(t *testing.T) {
	r := simulate(t, "cpus 2\n"+oneSecond+`
group web
group own parent=web
group a parent=web
group b parent=web shares=1000
group c
world own affinity=1
world a
world b run=300us sleep=300us
world c
exclusive 1 own`)
	for name, want := range map[string]float64{"own": 1, "a": 1. / 4, "b": 1. / 4, "c": 2. / 4} {
		if got := r.Group(name).Used; math.Abs(got/want-1) > 0.03 {
			t.Errorf("%s got %.2f%%, its part is %.2f%%", name, 100*got, 100*want)
		}
	}
}
