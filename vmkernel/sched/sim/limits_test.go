package sim

import "testing"

// TestSharesBelowALimit: VMs of a pool at its limit have what their shares are worth of that, not what their virtual processors take as
// all of them begin at once when the pool may go on.
func TestSharesBelowALimit(t *testing.T) {
	r := simulate(t, "cpus 4\nlength 2100ms\nwarmup 100ms\n"+`
group p shares=10000 limit=40%
group a parent=p shares=2000 cosched
group b parent=p shares=1000 cosched
group o cosched
world a count=1
world b count=8
world o count=4`)
	wantShares(t, r, 0.02)
}

// TestWhatALimitLeavesIsTheOthers: of its pool, whose other VM isn't later for the part that the one at its limit can't have.
func TestWhatALimitLeavesIsTheOthers(t *testing.T) {
	r := simulate(t, "cpus 2\nlength 2100ms\nwarmup 100ms\n"+`
group p
group a parent=p limit=20% cosched
group b parent=p shares=100 cosched
group o cosched
world a count=8
world b count=4
world o count=4`)
	wantShares(t, r, 0.02)
}

// TestSleepersCostTheirPoolNothing: what is due to those that have just gone to sleep, or have reached their limit, is the
// others' of the pool from then on.
func TestSleepersCostTheirPoolNothing(t *testing.T) {
	for _, x := range []struct{ what, groups string }{
		{"a limit", "group a parent=p shares=10000 limit=60% cosched\nworld a count=8 run=8ms sleep=8ms jitter=50%\n" +
			"group b parent=p shares=100 cosched\nworld b count=4\ngroup o cosched\nworld o count=4\n"},
		{"many worlds", "group a parent=p cosched\nworld a count=16 run=3ms sleep=2ms jitter=50%\ngroup c parent=p shares=30000\nworld c run=50us sleep=1ms jitter=50%\n" +
			"group b parent=p cosched\nworld b count=2\ngroup o shares=500 cosched\nworld o count=4\n"},
	} {
		r := simulate(t, "cpus 2\nlength 2100ms\nwarmup 100ms\ngroup p\n"+x.groups)
		for _, name := range []string{"p", "o"} {
			if g := r.Group(name); g.Error() < -0.01 || g.Error() > 0.01 {
				t.Errorf("%s: %s got %.2f%%, its part is %.2f%%", x.what, name, 100*g.Used, 100*g.Ideal)
			}
		}
	}
}
