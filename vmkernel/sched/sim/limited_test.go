package sim

import (
	"testing"
)

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
		for _, others := range []string{"", "group o shares=1000 cosched\nworld o count=4\n"} {
			t.Logf("%q beside %q", pool, others)
			wantShares(t, simulate(t, "cpus 4\nlength 2100ms\nwarmup 100ms\n"+pool+others), 0.02)
		}
	}
}

// TestSleeperInALimitedPool: one that uses less than its part of such a pool runs when it wakes.
func TestSleeperInALimitedPool(t *testing.T) {
	r := simulate(t, "cpus 4\nlength 3100ms\nwarmup 100ms\ngroup p limit=40%\ngroup a parent=p shares=2000 cosched\nworld a\ngroup b parent=p cosched\nworld b run=500us sleep=5ms\n")
	if b := r.Group("b"); b.P50 > 20_000 || b.Used < 0.08 {
		t.Errorf("it got %.2f%%, and ran after %d ns by the median", 100*b.Used, b.P50)
	}
}
