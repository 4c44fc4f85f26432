package sim

import "testing"

// wantSharesAtLimit wants what a pool with a limit has divided by shares on four processors, whether others want those or not.
func wantSharesAtLimit(t *testing.T, pool string, most float64) {
	t.Helper()
	for _, others := range []string{"", "group o shares=1000 cosched\nworld o count=4\n"} {
		t.Logf("%q beside %q", pool, others)
		wantShares(t, simulate(t, "cpus 4\nlength 2100ms\nwarmup 100ms\n"+pool+others), most)
	}
}

// TestSharesInALimitedPool: a pool's limit is divided by shares whether others want the processors or not, whatever the numbers of
// virtual processors, and nobody is starved by one who uses just what the limit allows, and never ends its turn for it.
func TestSharesInALimitedPool(t *testing.T) {
	for _, pool := range []string{
		"group p limit=40%\ngroup a parent=p shares=2000 cosched\nworld a\ngroup b parent=p cosched\nworld b\n",
		"group p limit=40%\ngroup a parent=p shares=2000 cosched\nworld a\ngroup b parent=p cosched\nworld b count=8\n",
		"group p limit=40%\ngroup a parent=p shares=2000 cosched\nworld a count=8\ngroup b parent=p cosched\nworld b\n",
		"group p limit=100%\ngroup a parent=p cosched\nworld a\ngroup b parent=p cosched\nworld b\ngroup c parent=p shares=2000 cosched\nworld c\n",
		"group p limit=200%\ngroup a parent=p cosched\nworld a\ngroup b parent=p cosched\nworld b count=2\ngroup c parent=p shares=2000 cosched\nworld c count=4\n",
		"group p limit=100%\ngroup q parent=p limit=30%\nworld q count=3\ngroup c parent=p\nworld c count=3\n",
		"group p limit=100%\ngroup q parent=p limit=30%\ngroup a parent=q shares=2000 cosched\nworld a count=2\ngroup b parent=q cosched\nworld b\ngroup c parent=p\nworld c count=3\n",
		"group p limit=100%\ngroup q parent=p\ngroup a parent=q shares=2000 cosched\nworld a count=2\ngroup b parent=q cosched\nworld b\ngroup c parent=p\nworld c count=3\n",
	} {
		wantSharesAtLimit(t, pool, 0.02)
	}
}

// TestSleeperInALimitedPool: one that uses less than its part of such a pool runs when it wakes.
func TestSleeperInALimitedPool(t *testing.T) {
	r := simulate(t, "cpus 4\nlength 3100ms\nwarmup 100ms\ngroup p limit=40%\ngroup a parent=p shares=2000 cosched\nworld a\ngroup b parent=p cosched\nworld b run=500us sleep=5ms\n")
	if b := r.Group("b"); b.P50 > 20_000 || b.Used < 0.08 {
		t.Errorf("it got %.2f%%, and ran after %d ns by the median", 100*b.Used, b.P50)
	}
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

// TestLimitIsHeldWhoeverBegins: one that runs alone, and can't reach a limit so, is looked at when others begin to run below it.
func TestLimitIsHeldWhoeverBegins(t *testing.T) {
	for _, pool := range []string{
		"group p limit=100%\ngroup a parent=p shares=10000 cosched\nworld a run=20ms sleep=3ms\ngroup b parent=p cosched\nworld b\n",
		"group p limit=100%\ngroup q parent=p\ngroup a parent=q cosched\nworld a\ngroup b parent=q cosched\nworld b\n",
		"group p limit=100%\ngroup a parent=p cosched\nworld a\ngroup b parent=p cosched\nat 200ms add b count=4\n",
		"group p limit=200%\ngroup a parent=p cosched\nworld a\ngroup b parent=p cosched\nworld b count=2 run=20ms sleep=3ms\n",
		"group p limit=100%\nworld p\nworld p run=20ms sleep=3ms\n",
	} {
		r := simulate(t, "cpus 8\nlength 2100ms\nwarmup 100ms\n"+pool)
		if p := r.Group("p"); p.Used > 1.01*float64(p.Policy.Limit)/1000 {
			t.Errorf("%q: it got %.1f%%", pool, 100*p.Used)
		}
	}
}

// TestWhoCantUseItsPartOfALimitedPool: the others divide what that leaves by their shares, and are no later for it.
func TestWhoCantUseItsPartOfALimitedPool(t *testing.T) {
	for _, pool := range []string{
		"group p limit=100%\ngroup c parent=p limit=5% cosched\nworld c\ngroup a parent=p shares=4000 cosched\nworld a\ngroup b parent=p cosched\nworld b\n",
		"group p limit=150%\ngroup a parent=p shares=10000 cosched\nworld a\ngroup b parent=p cosched\nworld b\n",
	} {
		wantSharesAtLimit(t, pool, 0.03)
	}
	r := simulate(t, "cpus 2\nlength 2100ms\nwarmup 100ms\ngroup p limit=150%\ngroup a parent=p shares=10000 cosched\nworld a\n"+
		"group b parent=p cosched\nworld b count=8\ngroup c parent=p cosched\nworld c run=200us sleep=2ms jitter=20%\n")
	if r.Timers > 20_000 {
		t.Errorf("%d timers on two processors in two seconds", r.Timers)
	}
}

// TestWhoSleepsForAMoment: of a limited pool it keeps its part, whatever another had beyond its own meanwhile.
func TestWhoSleepsForAMoment(t *testing.T) {
	r := simulate(t, "cpus 4\nlength 2100ms\nwarmup 100ms\ngroup p limit=100%\ngroup a parent=p shares=10000 cosched\n"+
		"world a run=2ms sleep=200us jitter=20%\ngroup b parent=p cosched\nworld b\n")
	if a := r.Group("a"); a.Used < 0.8 {
		t.Errorf("it got %.1f%%, its part is %.1f%%", 100*a.Used, 100*a.Ideal)
	}
}
