package sim

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// TestHome: worlds run mostly next to their memory, where half of the processors are, and shares are right as ever.
func TestHome(t *testing.T) {
	for _, cpus := range []int{4, 8} {
		left, right := fmt.Sprintf("0-%d", cpus/2-1), fmt.Sprintf("%d-%d", cpus/2, cpus-1)
		for _, vcpus := range [][4]int{{2, 2, 2, 2}, {4, 4, 2, 2}, {1, 3, 4, 2}} {
			for _, shares := range [][4]int{{1000, 1000, 1000, 1000}, {1000, 2000, 3000, 1000}} {
				text := fmt.Sprintf("cpus %d\nlength 2100ms\nwarmup 100ms\n", cpus)
				for i := range vcpus {
					home := left
					if i%2 == 1 {
						home = right
					}
					text += fmt.Sprintf("group v%d shares=%d cosched\nworld v%d count=%d home=%s\n", i, shares[i], i, vcpus[i]*cpus/4, home)
				}
				r := simulate(t, text)
				home, all := 0.0, 0.0
				for _, g := range r.Groups {
					home, all = home+g.Used*g.Home, all+g.Used
					if e := math.Abs(g.Used-g.Ideal) / float64(cpus); e > 0.01 {
						t.Errorf("%d processors, virtual %v, shares %v: %s got %.2f%%, its part is %.2f%%", cpus, vcpus, shares, g.Name, 100*g.Used, 100*g.Ideal)
					}
				}
				if home /= all; home < 0.7 {
					t.Errorf("%d processors, virtual %v, shares %v: %.1f%% of the time at home", cpus, vcpus, shares, 100*home)
				}
				t.Logf("%d processors, virtual %v, shares %v: %.1f%% of the time at home, %d moves", cpus, vcpus, shares, 100*home, r.Moves)
			}
		}
	}
}

// TestHomeLeavesNothingIdle: a home that is crowded keeps nobody from processors that nobody else wants, nor those who are to have
// the rest from their shares of them.
func TestHomeLeavesNothingIdle(t *testing.T) {
	r := simulate(t, "cpus 4\n"+oneSecond+"group a cosched\ngroup b cosched shares=2000\ngroup c cosched shares=3000\nworld a count=4 home=0-1\nworld b count=4 home=0-1\nworld c count=4 home=0-1\n")
	if r.Idle > 0.001 {
		t.Errorf("%.1f%% idle", 100*r.Idle)
	}
	wantShares(t, r, 0.02)
}

// TestHomeIsComeBackTo: who found no room at home goes back as soon as there is some, though it runs alone and nothing ends its turn.
func TestHomeIsComeBackTo(t *testing.T) {
	r := simulate(t, "cpus 4\nlength 1s\nwarmup 510ms\ngroup a\ngroup b\nworld a count=2 home=0-1\nworld b count=2 home=0-1\nat 500ms kill a\n")
	if g := r.Group("b"); g.Home < 0.999 || g.Used < 1.999 {
		t.Errorf("it used %.1f%%, %.1f%% of it at home", 100*g.Used, 100*g.Home)
	}
	if r.Moves > 10 {
		t.Errorf("%d moves", r.Moves)
	}
}

// TestHomeOfSleepers: those that sleep often aren't sent to and fro.
func TestHomeOfSleepers(t *testing.T) {
	text := "cpus 4\nlength 2100ms\nwarmup 100ms\ngroup a cosched\ngroup b cosched\ngroup c cosched\nworld a count=3 home=0-1 run=500us sleep=700us jitter=80%\nworld b count=3 home=2-3 run=500us sleep=700us jitter=80%\nworld c count=1 home=0-1\n"
	r, anywhere := simulate(t, text), simulate(t, strings.NewReplacer(" home=0-1", "", " home=2-3", "").Replace(text))
	home, all := 0.0, 0.0
	for _, g := range r.Groups {
		home, all = home+g.Used*g.Home, all+g.Used
		if other := anywhere.Group(g.Name); g.Used < other.Used*0.97 {
			t.Errorf("%s got %.2f%%, with no home %.2f%%", g.Name, 100*g.Used, 100*other.Used)
		}
	}
	if home /= all; home < 0.75 {
		t.Errorf("%.1f%% of the time at home", 100*home)
	}
	if r.Moves > 2*anywhere.Moves {
		t.Errorf("%d moves, with no home %d", r.Moves, anywhere.Moves)
	}
}
