package sim

import (
	"fmt"
	"math"
	"testing"
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
// be the same part for each.
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
			text := fmt.Sprintf("cpus %d\nlength 2100ms\nwarmup 100ms\ngroup p shares=1 reservation=%d%%\n", cpus, x.reservation)
			for i := range x.shares {
				text += fmt.Sprintf("group v%d parent=p shares=%d cosched\nworld v%d count=%d\n", i, x.shares[i], i, x.vcpus[i])
			}
			r := simulate(t, text+fmt.Sprintf("group o shares=1000000 cosched\nworld o count=%d\n", 2*cpus))
			for _, g := range r.Groups {
				if e := math.Abs(g.Used - g.Ideal); e > 0.015*float64(x.reservation)/100 {
					t.Errorf("%d processors, %d%% reserved, shares %v, virtual %v: %s got %.2f%%, its part is %.2f%%", cpus, x.reservation, x.shares, x.vcpus, g.Name, 100*g.Used, 100*g.Ideal)
				}
			}
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
