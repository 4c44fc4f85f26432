package mem

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// A simulated guest, and what it does in a second: how much it wants to hold, what its balloon does with its target,
// and what it says.
type simGuest struct {
	*Guest
	name    string
	wants   func(second int) uint64 // pages that it has use for, all of them active unless active says otherwise
	active  func(second int) uint64
	balloon func(held, target uint64) uint64 // what it holds after a second; nil: no driver
	lies    bool                             // it says that it holds its target, and holds nothing

	held           uint64
	later, refused int
	within         int // refusals within its reservation: never
}

// inflates moves at most 64 MiB a second towards the target.
func inflates(held, target uint64) uint64 {
	if held < target {
		return held + min(target-held, 64*mib)
	}
	return target
}

func constant(pages uint64) func(int) uint64 { return func(int) uint64 { return pages } }

// sim runs a host for some seconds. Each second guests grow in small steps, in turn, and then Balance is called.
type sim struct {
	*Tree
	guests []*simGuest
	second int
}

func (s *sim) run(t testing.TB, seconds int) {
	t.Helper()
	for range seconds {
		for step := range 8 {
			for _, g := range s.guests {
				s.step(t, g, step)
			}
		}
		for _, g := range s.guests {
			said := g.held
			if g.lies {
				said = g.BalloonTarget()
			}
			active := g.Granted()
			if g.active != nil {
				active = g.active(s.second)
			}
			g.Observe(Sample{Active: active, Balloon: g.balloon != nil, Held: said})
		}
		s.Balance()
		sum := uint64(0)
		for _, g := range s.guests {
			sum += g.Target()
			if g.Target() > g.max() || g.Target() < g.node.budget.Reservation {
				t.Fatalf("second %d: %s has a target of %d", s.second, g.name, g.Target())
			}
		}
		if all := s.Pages() - s.overheads(); sum > all {
			t.Fatalf("second %d: targets are %d pages of %d", s.second, sum, all)
		}
		s.second++
	}
}

func (s *sim) step(t testing.TB, g *simGuest, step int) {
	t.Helper()
	if g.balloon != nil && step == 0 {
		g.held = g.balloon(g.held, g.BalloonTarget())
	}
	size := g.size - g.held // what the guest's kernel has to work with
	if g.Granted() > size && !g.lies {
		g.Give(g.Granted() - size)
	}
	want := min(g.wants(s.second), size)
	if want > g.Granted() {
		pages := (want - g.Granted() + 7) / 8 // an eighth of what is missing
		err := g.Take(pages, true)
		if err == ErrPaced && step == 7 {
			err = g.Take(min(pages, 16), false)
		}
		var r *Refusal
		switch {
		case errors.As(err, &r):
			g.refused++
			_ = err.Error()
		case err != nil:
			g.later++
		}
		if err != nil && g.Granted()+pages <= g.node.budget.Reservation {
			g.within++
			t.Fatalf("second %d: %s was refused %d pages with %d of %d reserved: %v", s.second, g.name, pages, g.Granted(), g.node.budget.Reservation, err)
		}
	}
	s.check(t)
}

func (s *sim) add(t testing.TB, g *simGuest, v VM) *simGuest {
	t.Helper()
	g.name = v.Name
	g.Guest = admit(t, s.Tree, v)
	g.Observe(Sample{Balloon: g.balloon != nil})
	s.guests = append(s.guests, g)
	return g
}

func near(got, want, off uint64) bool { return got <= want+off && want <= got+off }

func TestSharesDecideAmongGuestsThatWantAll(t *testing.T) {
	s := &sim{Tree: newTree(t, 7*1024*mib)}
	var list []*simGuest
	for i, shares := range []uint64{1000, 2000, 4000} {
		list = append(list, s.add(t, &simGuest{wants: constant(1 << 40), balloon: inflates},
			VM{Name: fmt.Sprint(shares), Size: 6 * 1024 * mib, Budget: Budget{Shares: shares}}))
		_ = i
	}
	s.run(t, 120)
	pages := s.Pages() - s.high
	for i, g := range list {
		want := pages * (1 << i) / 7
		if !near(g.Target(), want, g.band()+4) || !near(g.Granted(), want, 2*g.band()) {
			t.Errorf("%s: target %d MiB, holds %d MiB, its share is %d MiB", g.name, g.Target()/mib, g.Granted()/mib, want/mib)
		}
		if g.refused > 0 {
			t.Errorf("%s was refused %d times", g.name, g.refused)
		}
	}
	// Nothing changes any more: targets stay within the dead band.
	for range 60 {
		before := []uint64{list[0].Target(), list[1].Target(), list[2].Target()}
		s.run(t, 1)
		for i, g := range list {
			if !near(g.Target(), before[i], g.band()) {
				t.Errorf("second %d: the target of %s goes from %d to %d", s.second, g.name, before[i], g.Target())
			}
		}
	}
}

func TestIdleMemoryGoesToTheBusy(t *testing.T) {
	s := &sim{Tree: newTree(t, 2048*mib)}
	idle := s.add(t, &simGuest{wants: constant(1500 * mib), active: constant(0), balloon: inflates}, VM{Name: "idle", Size: 1500 * mib, Budget: Budget{Reservation: 128 * mib}})
	s.run(t, 60)
	if idle.Granted() != 1500*mib {
		t.Fatalf("alone it holds %d MiB", idle.Granted()/mib)
	}
	busy := s.add(t, &simGuest{wants: constant(1500 * mib), balloon: inflates}, VM{Name: "busy", Size: 1500 * mib})
	s.run(t, 120)
	// All that is idle counts fourfold, so that it would have 397 MiB and the other 1587: more than that one is.
	if !near(busy.Granted(), 1500*mib, busy.band()) || idle.Granted() > 500*mib || idle.refused+busy.refused > 0 {
		t.Errorf("busy holds %d MiB, idle %d MiB", busy.Granted()/mib, idle.Granted()/mib)
	}
	// The busy one stops: what it had goes back.
	busy.wants = constant(0)
	busy.Give(busy.Granted())
	s.run(t, 120)
	if !near(idle.Granted(), 1500*mib, idle.band()) {
		t.Errorf("afterwards idle holds %d MiB, balloon target %d MiB", idle.Granted()/mib, idle.BalloonTarget()/mib)
	}
}

func TestPoolsShareBeforeTheirVMsDo(t *testing.T) {
	s := &sim{Tree: newTree(t, 4096*mib)}
	for _, p := range []string{"a", "b"} {
		if err := s.AddPool(p, "", Budget{Shares: 1000}); err != nil {
			t.Fatal(err)
		}
	}
	only := s.add(t, &simGuest{wants: constant(1 << 40), balloon: inflates}, VM{Name: "only", Pool: "a", Size: 4096 * mib, Budget: Budget{Shares: 1}})
	for i := range 3 {
		s.add(t, &simGuest{wants: constant(1 << 40), balloon: inflates}, VM{Name: fmt.Sprint(i), Pool: "b", Size: 4096 * mib, Budget: Budget{Shares: 1 << 20}})
	}
	s.run(t, 200)
	if want := (s.Pages() - s.high) / 2; !near(only.Granted(), want, 2*only.band()) {
		t.Errorf("the only VM of its pool holds %d MiB, half is %d", only.Granted()/mib, want/mib)
	}
}

func TestAdversariesHurtNobodyWithinTheirReservation(t *testing.T) {
	s := &sim{Tree: newTree(t, 4096*mib)}
	wave := func(second int) uint64 { return uint64(second%2) * 4096 * mib }
	s.add(t, &simGuest{wants: constant(1 << 40), balloon: func(held, target uint64) uint64 { return 0 }}, VM{Name: "never inflates", Size: 3000 * mib})
	s.add(t, &simGuest{wants: constant(1 << 40), balloon: inflates, lies: true}, VM{Name: "lies", Size: 3000 * mib})
	s.add(t, &simGuest{wants: constant(1 << 40)}, VM{Name: "no driver", Size: 3000 * mib, Budget: Budget{Limit: 1000 * mib}})
	s.add(t, &simGuest{wants: wave, balloon: inflates}, VM{Name: "wave", Size: 2000 * mib})
	honest := s.add(t, &simGuest{balloon: inflates, wants: func(second int) uint64 {
		if second%20 < 10 {
			return 1 << 40
		}
		return 0
	}}, VM{Name: "honest", Size: 1024 * mib, Overhead: 4 * mib, Budget: Budget{Shares: 1, Reservation: 300 * mib}})
	for range 20 {
		s.run(t, 10)
		if honest.Granted() < 300*mib-8 { // what an eighth of a page rounds to
			t.Fatalf("second %d: it needs all and has reserved 300 MiB, but holds %d", s.second, honest.Granted()/mib)
		}
		s.run(t, 8)
		honest.Give(honest.Granted()) // reported as free
		s.run(t, 2)
	}
	if limited := s.guests[2]; limited.Granted() > 1000*mib {
		t.Errorf("%d MiB held with a limit of 1000", limited.Granted()/mib)
	}
	for _, g := range s.guests {
		t.Logf("%-15s holds %4d MiB, target %4d MiB, later %d, refused %d", g.name, g.Granted()/mib, g.Target()/mib, g.later, g.refused)
	}
	// One that arrives when all is taken is admitted without a reservation only, and is refused rather than served by a lie.
	if _, err := s.Admit(VM{Name: "late", Size: 1024 * mib, Budget: Budget{Shares: 1, Reservation: 1024 * mib}}); err == nil {
		t.Error("a reservation was promised that isn't there")
	}
}

// TestTargetsDontSwing has guests with working sets that they always use, pages beyond that they don't, and noise in what
// is seen of it, and looks at how far targets move once they have settled.
func TestTargetsDontSwing(t *testing.T) {
	for _, active := range []uint64{100, 500, 900, 1300, 1900} {
		r := rand.New(rand.NewPCG(3, active))
		s := &sim{Tree: newTree(t, 4096*mib)}
		for i := range 4 {
			g := &simGuest{wants: constant(1 << 40), balloon: inflates}
			g.active = func(int) uint64 {
				used := min(active*mib*uint64(i+1)/2, g.Granted())
				return used - r.Uint64N(used/20+1)
			}
			s.add(t, g, VM{Name: fmt.Sprint(i), Size: 2048 * mib})
		}
		s.run(t, 300)
		var low, high [4]uint64
		for i, g := range s.guests {
			low[i], high[i] = g.Target(), g.Target()
		}
		for range 300 {
			s.run(t, 1)
			for i, g := range s.guests {
				low[i], high[i] = min(low[i], g.Target()), max(high[i], g.Target())
			}
		}
		for i, g := range s.guests {
			if swing := high[i] - low[i]; swing > 4*g.band() {
				t.Errorf("with %d MiB active, the target of %s swings by %d MiB of %d: %d..%d", active*uint64(i+1)/2, g.name, swing/mib, g.size/mib, low[i]/mib, high[i]/mib)
			}
			if g.refused > 0 {
				t.Errorf("%s was refused %d times", g.name, g.refused)
			}
		}
	}
}

// TestNobodyIsAskedForWhatNobodyNeeds has guests that use little of what they are, where all of it fits, and then one that
// doesn't fit any more beside them.
func TestNobodyIsAskedForWhatNobodyNeeds(t *testing.T) {
	s := &sim{Tree: newTree(t, 4096*mib)}
	idle := func(name string, size uint64, b Budget) *simGuest {
		return s.add(t, &simGuest{balloon: inflates, wants: constant(64 * mib)}, VM{Name: name, Size: size, Budget: b})
	}
	whole := []*simGuest{idle("one", 1024*mib, Budget{}), idle("two", 2048*mib, Budget{})}
	limited := idle("limited", 1024*mib, Budget{Limit: 256 * mib})
	s.run(t, 20)
	for _, g := range whole {
		if g.BalloonTarget() != 0 {
			t.Errorf("%s is asked for %d MiB of %d, and all fits", g.name, g.BalloonTarget()/mib, g.size/mib)
		}
	}
	if got := limited.BalloonTarget(); got != 768*mib {
		t.Errorf("the limited one is asked for %d MiB, want what is beyond its limit, 768", got/mib)
	}
	last := s.add(t, &simGuest{balloon: inflates, wants: constant(2048 * mib)}, VM{Name: "last", Size: 2048 * mib})
	s.run(t, 60)
	if whole[1].BalloonTarget() == 0 || last.Granted() < 2000*mib {
		t.Errorf("idle ones are asked for %d MiB, and who has use for it holds %d", whole[1].BalloonTarget()/mib, last.Granted()/mib)
	}
}

// TestGuestsThatKeepSomeFreeGrowToTheirShares has guests whose kernels use all that their balloons leave them but for a part that
// they keep for bad times or never touch: their balloons end as their shares say, even beside one that uses all that it gets, and
// no memory is held back from all of them.
func TestGuestsThatKeepSomeFreeGrowToTheirShares(t *testing.T) {
	for _, keep := range [][2]uint64{{4, 4}, {10, 10}, {24, 24}, {40, 40}, {0, 24}, {0, 40}} {
		s := &sim{Tree: newTree(t, 320*mib)}
		for i := range 2 {
			g := &simGuest{balloon: inflates}
			g.wants = func(second int) uint64 {
				if second < 30 { // an idle beginning fills the balloons
					return 64 * mib
				}
				return g.size - g.held - keep[i]*mib
			}
			s.add(t, g, VM{Name: fmt.Sprint(i), Size: 256 * mib, Budget: Budget{Shares: uint64(1000 * (i + 1))}})
		}
		s.run(t, 90)
		pages := s.Pages() - s.high
		few, many := s.guests[0], s.guests[1]
		if sum := few.Target() + many.Target(); !near(sum, pages, few.band()+many.band()) {
			t.Errorf("keeping %d MiB free: targets are %d MiB of %d", keep, sum/mib, pages/mib)
		}
		if got, want := few.Target(), pages/3; !near(got, want, 2*few.band()+keep[1]*mib/2) {
			t.Errorf("keeping %d MiB free: a third of the shares has a target of %d MiB, want %d", keep, got/mib, want/mib)
		}
	}
}

// TestWhatIsKeptForAnEmptyPoolIsNobodys: guests are asked for what is kept for pools and can't be theirs, and the targets of those
// in a pool leave what is kept for one in it.
func TestWhatIsKeptForAnEmptyPoolIsNobodys(t *testing.T) {
	s := &sim{Tree: newTree(t, 2048*mib)}
	for _, p := range []struct {
		name, parent string
		b            Budget
	}{{"outer", "", Budget{Shares: 1000, Reservation: 500 * mib, Limit: 800 * mib}}, {"inner", "outer", Budget{Shares: 1, Reservation: 300 * mib}}, {"empty", "", Budget{Shares: 1, Reservation: 400 * mib}}} {
		if err := s.AddPool(p.name, p.parent, p.b); err != nil {
			t.Fatal(err)
		}
	}
	in := s.add(t, &simGuest{wants: constant(1 << 40), balloon: inflates}, VM{Name: "in", Pool: "outer", Size: 1000 * mib, Budget: Budget{Shares: 1000}})
	out := s.add(t, &simGuest{wants: constant(1 << 40), balloon: inflates}, VM{Name: "out", Size: 2000 * mib, Budget: Budget{Shares: 1000}})
	s.run(t, 100)
	if in.Target() != 500*mib {
		t.Errorf("the one in a pool of 800 MiB, of which 300 are kept for another, has a target of %d MiB", in.Target()/mib)
	}
	if want := s.Pages() - s.high - 400*mib - 300*mib - 500*mib; !near(out.Target(), want, 1) || !near(out.Granted(), want, 2*out.band()) {
		t.Errorf("the one outside has a target of %d MiB and holds %d, want %d", out.Target()/mib, out.Granted()/mib, want/mib)
	}
}

// TestAReservationIsHadFromWhatIsLent: a VM is admitted whose reservation others hold on loan, once they have given that back, and
// nobody takes from it meanwhile what there is already; one whose reservation can't be had so is refused at once.
func TestAReservationIsHadFromWhatIsLent(t *testing.T) {
	for _, pool := range []string{"", "p"} {
		s := &sim{Tree: newTree(t, 2048*mib)}
		if err := s.AddPool("p", "", Budget{Shares: 1000, Reservation: 100 * mib}); err != nil {
			t.Fatal(err)
		}
		old := s.add(t, &simGuest{wants: constant(1 << 40), balloon: inflates}, VM{Name: "old", Size: 1900 * mib, Budget: Budget{Shares: 1 << 20, Reservation: 300 * mib}})
		s.run(t, 60)
		if old.Granted() < 1800*mib {
			t.Fatalf("alone it holds %d MiB", old.Granted()/mib)
		}
		v := VM{Name: "new", Pool: pool, Size: 2000 * mib, Overhead: 8 * mib, Budget: Budget{Shares: 1, Reservation: 1750 * mib}}
		if _, err := s.Admit(v); err == nil || err == ErrLater {
			t.Errorf("more than others can give back: %v", err)
		}
		v.Reservation = 1000 * mib
		g, err := s.Admit(v)
		if err != ErrLater || g == nil {
			t.Fatalf("%v, want ErrLater", err)
		}
		for range 60 {
			before := g.node.committed()
			if err = g.Arrive(); err == nil {
				break
			}
			if now := g.node.committed(); now < before {
				t.Errorf("second %d: %d MiB are kept for it, and were %d", s.second, now/mib, before/mib)
			}
			s.check(t)
			s.run(t, 1)
		}
		if err != nil || g.Budget() != v.Budget {
			t.Fatalf("in pool %q it hasn't arrived: %v", pool, err)
		}
		if err := g.Take(v.Reservation, true); err != nil {
			t.Error(err)
		}
		s.check(t)
	}
}

// TestManyThatGrowAtOnce has guests that want all that they are in the same second, with twice as much promised as there is.
func TestManyThatGrowAtOnce(t *testing.T) {
	s := &sim{Tree: newTree(t, 8192*mib)}
	on := false
	for i := range 16 {
		s.add(t, &simGuest{balloon: inflates, wants: func(int) uint64 {
			if on {
				return 1024 * mib
			}
			return 64 * mib
		}}, VM{Name: fmt.Sprint(i), Size: 1024 * mib, Budget: Budget{Reservation: 256 * mib}})
	}
	s.run(t, 20)
	on = true
	s.run(t, 100)
	want := (s.Pages() - s.high) / 16
	for _, g := range s.guests {
		if !near(g.Granted(), want, 2*g.band()) || g.refused > 0 {
			t.Errorf("%s holds %d MiB, its share is %d, refused %d times", g.name, g.Granted()/mib, want/mib, g.refused)
		}
	}
}

// TestNothingIsPromisedTwice is the invariant, over a long run of random calls.
func TestNothingIsPromisedTwice(t *testing.T) {
	events := 400_000
	if testing.Short() {
		events = 20_000
	}
	r := rand.New(rand.NewPCG(7, 7))
	tree := newTree(t, 10_000)
	pools := []string{""}
	for i := range 8 {
		name := fmt.Sprint("p", i)
		if tree.AddPool(name, pools[r.IntN(len(pools))], Budget{1 + r.Uint64N(9), r.Uint64N(800), 2000 + r.Uint64N(8000)}) == nil {
			pools = append(pools, name)
		}
	}
	var guests []*Guest
	arrived := 0
	for i := range events {
		switch k := r.IntN(20); {
		case k == 0 && len(guests) < 40:
			size := 1 + r.Uint64N(6000)
			g, err := tree.Admit(VM{fmt.Sprint("v", i), pools[r.IntN(len(pools))], size, r.Uint64N(30), Budget{1 + r.Uint64N(MaxShares), r.Uint64N(size/4 + 1), size/3 + r.Uint64N(size)}})
			if err == nil || err == ErrLater {
				guests = append(guests, g)
			}
		case len(guests) == 0:
		case k == 1 && r.IntN(3) == 0:
			at := r.IntN(len(guests))
			guests[at].Release()
			guests = append(guests[:at], guests[at+1:]...)
		case k == 2:
			g := guests[r.IntN(len(guests))]
			if g.Arrive() != nil {
				continue
			}
			arrived++
			g.SetBudget(Budget{1 + r.Uint64N(MaxShares), r.Uint64N(g.size), r.Uint64N(2 * g.size)})
		case k == 3:
			tree.Balance()
		case k < 6:
			guests[r.IntN(len(guests))].Observe(Sample{Active: r.Uint64N(8000), Balloon: r.IntN(2) == 0, Held: r.Uint64N(8000)})
		case k < 10:
			guests[r.IntN(len(guests))].Give(r.Uint64N(500))
		default:
			g := guests[r.IntN(len(guests))]
			pages := r.Uint64N(300)
			before := g.Granted()
			left := g.node.budget.Reservation - min(g.node.budget.Reservation, g.Granted())
			if err := g.Take(pages, r.IntN(2) == 0); err != nil && pages <= left {
				t.Fatalf("event %d: %d of %d reserved pages were refused: %v", i, pages, left, err)
			}
			if g.Granted() > max(before, g.max()) {
				t.Fatalf("event %d: it grew to %d with a limit of %d", i, g.Granted(), g.max())
			}
		}
		if i%16 == 0 {
			tree.check(t)
		}
	}
	for _, g := range guests {
		g.Release()
	}
	tree.check(t)
	if arrived == 0 {
		t.Error("nobody who was expected has arrived")
	}
	if tree.host.granted != 0 || tree.overheads() != 0 {
		t.Errorf("%d pages are held, %d of overhead, by nobody", tree.host.granted, tree.overheads())
	}
}

func BenchmarkBalance(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		tree := newTree(b, uint64(n)*512*mib)
		for i := range n {
			g := admit(b, tree, VM{Name: fmt.Sprint(i), Size: 1024 * mib})
			g.Take(500*mib, false)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for range b.N {
				tree.Balance()
			}
		})
	}
}
