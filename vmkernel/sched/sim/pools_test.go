package sim

import (
	"fmt"
	"math"
	"testing"

	"keel/vmkernel/sched"
)

// TestSharesInAPool: VMs of one pool on several processors have what their shares are worth, also where one is due nearly all that its
// virtual processors can use: while those run, its siblings are alone in waiting, which doesn't make them due.
func TestSharesInAPool(t *testing.T) {
	worst := 0.0
	for _, cpus := range []int{2, 3, 4, 8} {
		for _, shares := range []int{2000, 3000, 10_000, 30_000} {
			for _, vcpus := range [][2]int{{1, 1}, {1, 4}, {2, 2}, {2, 4}, {3, 2}, {4, 4}} {
				for _, others := range []int{300, 1000, 3000} {
					r := simulate(t, fmt.Sprintf("cpus %d\nlength 2100ms\nwarmup 100ms\ngroup p\ngroup a parent=p shares=%d cosched\ngroup b parent=p shares=1000 cosched\ngroup o shares=%d\nworld a count=%d\nworld b count=%d\nworld o count=%d\n",
						cpus, shares, others, vcpus[0], vcpus[1], cpus))
					for _, g := range r.Groups {
						e := math.Abs(g.Used-g.Ideal) / float64(cpus)
						worst = max(worst, e)
						if e > 0.01 {
							t.Errorf("%d processors, shares %d:1000 beside %d, virtual %v: %s got %.2f%%, its part is %.2f%%", cpus, shares, others, vcpus, g.Name, 100*g.Used, 100*g.Ideal)
						}
					}
				}
			}
		}
	}
	t.Logf("the worst is %.2f%% of the machine off", 100*worst)
}

// TestSharesOfAWholeReservation: nor do VMs of a pool have turns at once for its reservation that is worth one, which would
// be the same part for each. The same where they are of a pool in that one, which has it all.
func TestSharesOfAWholeReservation(t *testing.T) {
	for _, cpus := range []int{2, 4, 8} {
		for _, x := range []struct {
			reservation   int
			shares, vcpus [3]int
		}{
			{100, [3]int{1000, 1000, 2000}, [3]int{1, 1, 1}},
			{100, [3]int{1000, 1000, 8000}, [3]int{1, 1, 1}},
			{100, [3]int{1000, 2000, 4000}, [3]int{4, 2, 1}},
			{150, [3]int{1000, 2000, 2000}, [3]int{1, 1, 1}},
			{150, [3]int{1000, 1000, 10_000}, [3]int{1, 1, 2}},
			{60, [3]int{1000, 3000, 8000}, [3]int{1, 2, 1}},
		} {
			for _, pool := range []string{"p", "q"} {
				text := fmt.Sprintf("cpus %d\nlength 2100ms\nwarmup 100ms\ngroup p shares=1 reservation=%d%%\n", cpus, x.reservation)
				if pool != "p" {
					text += "group q parent=p\n"
				}
				for i := range x.shares {
					text += fmt.Sprintf("group v%d parent=%s shares=%d cosched\nworld v%d count=%d\n", i, pool, x.shares[i], i, x.vcpus[i])
				}
				r := simulate(t, text+fmt.Sprintf("group o shares=1000000 cosched\nworld o count=%d\n", 2*cpus))
				for _, g := range r.Groups {
					if e := math.Abs(g.Used - g.Ideal); e > 0.015*float64(x.reservation)/100 {
						t.Errorf("%d processors, %d%% reserved, in %s, shares %v, virtual %v: %s got %.2f%%, its part is %.2f%%", cpus, x.reservation, pool, x.shares, x.vcpus, g.Name, 100*g.Used, 100*g.Ideal)
					}
				}
			}
		}
	}
}

// promised is what a reservation of some per cent of a processor is at least in two seconds, see rates.go.
func promised(percent int) float64 {
	return float64(percent)/100*(1-2*sched.ReserveLag/2e9) - 5*sched.Slice/2e9
}

// TestReservationOfManySleepers: a pool whose VMs wake and block all the time, beside one that spins, has what it has reserved: who
// waits for it isn't forgotten for what was prepaid of a turn that ended soon, however little is reserved.
func TestReservationOfManySleepers(t *testing.T) {
	for _, reservation := range []int{1, 2, 5, 10} {
		for _, cpus := range []int{2, 4, 8} {
			for _, sleepers := range []int{8, 16} {
				r := simulate(t, fmt.Sprintf("cpus %d\nlength 2100ms\nwarmup 100ms\ngroup p shares=1 reservation=%d%%\ngroup a parent=p\nworld a count=%d run=20us sleep=%dms jitter=50%%\n"+
					"group b parent=p cosched\nworld b\ngroup o shares=1000000 cosched\nworld o count=%d\n", cpus, reservation, sleepers, 40/reservation+1, 2*cpus))
				if got, want := r.Group("p").Used, promised(reservation); got < want {
					t.Errorf("%d processors, %d sleepers: %d%% is reserved, that is %.3f%% at least, it got %.3f%%", cpus, sleepers, reservation, 100*want, 100*got)
				}
			}
		}
	}
}

// TestSleepersOfAReservedPoolGetTheirTurns: nor do they lose to the one that spins what they have on one processor.
func TestSleepersOfAReservedPoolGetTheirTurns(t *testing.T) {
	for _, cpus := range []int{1, 2, 4} {
		r := simulate(t, fmt.Sprintf("cpus %d\nlength 2100ms\nwarmup 100ms\ngroup p shares=1 reservation=40%%\ngroup a parent=p cosched\nworld a count=4 run=50us sleep=2ms jitter=50%%\n"+
			"group b parent=p cosched\nworld b\ngroup o shares=1000000 cosched\nworld o count=%d\n", cpus, 2*cpus))
		if got := r.Group("a").Used; got < 0.058 {
			t.Errorf("%d processors: they got %.2f%%", cpus, 100*got)
		}
	}
}

// TestManyWhoWaitForAReservation: to look again at those that were put off costs few decisions, and leaves a processor the time for
// who is due.
func TestManyWhoWaitForAReservation(t *testing.T) {
	for _, x := range []struct {
		cpus, reservation, many int
		most                    float64 // decisions for each processor and ms
	}{{1, 10, 40, 3}, {2, 10, 40, 3}, {4, 1, 200, 3}, {4, 10, 200, 6}, {1, 1, 800, 6}} {
		text := fmt.Sprintf("cpus %d\nlength 2100ms\nwarmup 100ms\ngroup p shares=1 reservation=%d%%\nworld p count=%d\n", x.cpus, x.reservation, x.many)
		if x.many == 800 {
			text += "group c shares=1 reservation=50%\nworld c run=100us sleep=500us\n"
		}
		r := simulate(t, text+fmt.Sprintf("group o shares=1000000 cosched\nworld o count=%d\n", 2*x.cpus))
		if got := float64(r.Timers) / 2100 / float64(x.cpus); got > x.most {
			t.Errorf("%d processors, %d wait for %d%%: %.1f decisions for each and ms", x.cpus, x.many, x.reservation, got)
		}
		if x.many == 800 && r.Group("c").Used < 0.14 {
			t.Errorf("beside %d that wait one that is due a processor for a sixth of the time got %.2f%%", x.many, 100*r.Group("c").Used)
		}
	}
}

// TestReservationBeyondOneVM: what one VM can't use of its pool's reservation, as all of its virtual processors have processors
// already, is the others'.
func TestReservationBeyondOneVM(t *testing.T) {
	for _, x := range []struct{ cpus, reservation, a, b, c int }{{3, 241, 2, 2, 2}, {2, 190, 12, 1, 1}, {2, 190, 4, 1, 8}, {4, 390, 12, 2, 12}} {
		r := simulate(t, fmt.Sprintf("cpus %d\nlength 2100ms\nwarmup 100ms\ngroup p shares=1 reservation=%d%%\ngroup a parent=p shares=300\ngroup b parent=p shares=100000\ngroup c parent=p shares=100\ngroup o shares=100000\nworld a count=%d\nworld b count=%d\nworld c count=%d\nworld o count=%d\n",
			x.cpus, x.reservation, x.a, x.b, x.c, 2*x.cpus))
		wantShares(t, r, 0.03)
	}
}

// TestReservationOfShortTurns: a turn for a reservation is in its account from the beginning, and what wasn't used of it is not: who
// blocks after little has as much as before.
func TestReservationOfShortTurns(t *testing.T) {
	for _, cpus := range []int{1, 2} {
		r := simulate(t, fmt.Sprintf("cpus %d\nlength 2100ms\nwarmup 100ms\ngroup r shares=1 reservation=60%% cosched\nworld r run=100us sleep=100us\ngroup o shares=1000000 cosched\nworld o count=%d\n", cpus, 2*cpus))
		if g := r.Group("r"); g.Used < 0.48 {
			t.Errorf("%d processors: it runs for half of the time, which it has reserved, and got %.2f%%", cpus, 100*g.Used)
		}
	}
}
