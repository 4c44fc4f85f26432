package mem

import (
	"errors"
	"strings"
	"testing"
)

const mib = 256 // pages

func newTree(t testing.TB, pages uint64) *Tree {
	t.Helper()
	tree, err := New(pages)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func admit(t testing.TB, tree *Tree, v VM) *Guest {
	t.Helper()
	if v.Shares == 0 {
		v.Shares = 1000
	}
	g, err := tree.Admit(v)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// check is the promise that everything else rests on: what is held and reserved is there, in the host and in each pool.
func (t *Tree) check(tb testing.TB) {
	tb.Helper()
	var walk func(n *node) (granted, overhead uint64)
	walk = func(n *node) (granted, overhead uint64) {
		if n.guest != nil {
			if n.granted > n.guest.size {
				tb.Fatalf("%s holds %d pages and is %d", n.name, n.granted, n.guest.size)
			}
			if n.uses != n.granted {
				tb.Fatalf("%s uses %d, granted %d", n.name, n.uses, n.granted)
			}
			return n.granted, n.overhead
		}
		uses := uint64(0)
		for _, c := range n.children {
			g, o := walk(c)
			granted, overhead = granted+g, overhead+o
			uses += c.committed()
		}
		if granted != n.granted || uses != n.uses {
			tb.Fatalf("%s: granted %d, sum %d; uses %d, sum %d", n.name, n.granted, granted, n.uses, uses)
		}
		if n.uses > n.most() {
			tb.Fatalf("%s has committed %d of %d pages", n.name, n.uses, n.most())
		}
		return granted, overhead
	}
	granted, overhead := walk(&t.host)
	if granted+overhead > t.Pages() || t.Free() != t.Pages()-granted-overhead || t.Unreserved() > t.Free() {
		tb.Fatalf("%d granted and %d overhead of %d; free %d, unreserved %d", granted, overhead, t.Pages(), t.Free(), t.Unreserved())
	}
}

func TestAdmissionCountsReservationAndOverhead(t *testing.T) {
	tree := newTree(t, 1000*mib)
	if err := tree.AddPool("web", "", Budget{Shares: 1, Reservation: 300 * mib, Limit: 500 * mib}); err != nil {
		t.Fatal(err)
	}
	admit(t, tree, VM{Name: "a", Size: 600 * mib, Overhead: 2 * mib, Budget: Budget{Reservation: 400 * mib}})
	if left := tree.Unreserved(); left != 298*mib {
		t.Fatalf("%d MiB left, want 1000-300-402", left/mib)
	}
	for _, c := range []struct {
		vm   VM
		want string
	}{
		{VM{Name: "b", Size: 600 * mib, Overhead: 2 * mib, Budget: Budget{Shares: 1, Reservation: 297 * mib}},
			"mem: VM b: a reservation of 297MiB and an overhead of 2MiB are more than the 298MiB that the host has left (of 1000MiB): reserve less, stop a VM or give the host more memory"},
		{VM{Name: "b", Pool: "web", Size: 600 * mib, Budget: Budget{Shares: 1, Reservation: 501 * mib}},
			"mem: VM b: a reservation of 501MiB is more than the 500MiB that pool web has left (of 500MiB): reserve less, stop a VM or give pool web more memory"},
		{VM{Name: "b", Pool: "db", Size: 1, Budget: Budget{Shares: 1}}, `mem: VM b: there is no pool "db"`},
		{VM{Name: "a", Size: 1, Budget: Budget{Shares: 1}}, "mem: there is a VM a already"},
		{VM{Name: "b", Size: 1}, "mem: VM b: 0 shares are not possible: give 1 to 16777216"},
		{VM{Name: "b", Size: 1, Budget: Budget{Shares: 1 << 63}}, "mem: VM b: 9223372036854775808 shares are not possible"},
		{VM{Name: "b", Size: 0, Budget: Budget{Shares: 1}}, "mem: VM b: memory of 0KiB with an overhead of 0KiB is not possible"},
		{VM{Name: "b", Size: ^uint64(0), Budget: Budget{Shares: 1}}, "mem: VM b: memory of 18446744073709551615 pages"},
		{VM{Name: "b", Size: mib, Overhead: ^uint64(0), Budget: Budget{Shares: 1}}, "with an overhead of 18446744073709551615 pages is not possible"},
		{VM{Name: "b", Size: mib, Budget: Budget{Shares: 1, Reservation: 2 * mib}}, "mem: VM b: reservation of 2MiB is more than its memory, 1MiB"},
		{VM{Name: "b", Size: mib, Budget: Budget{Shares: 1, Reservation: 255, Limit: 254}}, "mem: VM b: limit of 1016KiB is below the reservation of 1020KiB: raise the limit or lower the reservation"},
		{VM{Name: "b", Size: mib, Budget: Budget{Shares: 1, Limit: ^uint64(0)}}, "mem: VM b: limit of 18446744073709551615 pages is above the maximum"},
	} {
		if _, err := tree.Admit(c.vm); err == nil || !strings.HasPrefix(err.Error(), c.want) && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v\nwant %s", c.vm, err, c.want)
		}
		tree.check(t)
	}
	// In the pool: 300 MiB of it are the pool's already, so that 500 more than the pool has may be reserved.
	g := admit(t, tree, VM{Name: "b", Pool: "web", Size: 600 * mib, Budget: Budget{Reservation: 500 * mib}})
	if left := tree.Unreserved(); left != 98*mib {
		t.Errorf("%d MiB left, want 98", left/mib)
	}
	g.Release()
	g.Release()
	if left := tree.Unreserved(); left != 298*mib {
		t.Errorf("after Release: %d MiB left, want 298", left/mib)
	}
	for _, c := range []struct {
		name, parent string
		b            Budget
		want         string
	}{
		{"x", "y", Budget{Shares: 1}, `mem: pool x: there is no pool "y"`},
		{"web", "", Budget{Shares: 1}, `mem: there is a pool "web" already`},
		{"x", "", Budget{Shares: 1, Reservation: 299 * mib}, "mem: pool x: a reservation of 299MiB is more than the 298MiB that the host has left"},
		{"x", "web", Budget{Shares: 1, Reservation: 501 * mib}, "that pool web has left"},
		{"x", "web", Budget{}, "mem: pool x: 0 shares"},
	} {
		if err := tree.AddPool(c.name, c.parent, c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("pool %s: %v, want %s", c.name, err, c.want)
		}
	}
}

func TestReservationIsThereWhateverOthersTook(t *testing.T) {
	tree := newTree(t, 100*mib)
	if err := tree.AddPool("p", "", Budget{Shares: 1, Reservation: 20 * mib}); err != nil {
		t.Fatal(err)
	}
	a := admit(t, tree, VM{Name: "a", Size: 200 * mib, Budget: Budget{Reservation: 30 * mib}})
	b := admit(t, tree, VM{Name: "b", Size: 200 * mib, Overhead: mib})
	c := admit(t, tree, VM{Name: "c", Pool: "p", Size: 200 * mib})
	if err := b.Take(47*mib, false); err != nil { // the last 2 MiB are for those who give back
		t.Fatal(err)
	}
	var r *Refusal
	if err := b.Take(1, true); !errors.As(err, &r) || err.Error() != "mem: VM b has 47MiB and needs 4KiB more; 0KiB of it are reserved, "+
		"the host has 2MiB left, and no VM gives any back: reserve more for it, stop a VM or give the host more memory" {
		t.Errorf("beyond what is there: %v", err)
	}
	if err := c.Take(20*mib, false); err != nil { // its pool's
		t.Error(err)
	}
	if err := c.Take(1, false); !errors.As(err, &r) {
		t.Errorf("beyond its pool's reservation: %v", err)
	}
	if err := a.Take(30*mib, false); err != nil {
		t.Error(err)
	}
	tree.check(t)
	a.Observe(Sample{Balloon: true})
	if err := b.Take(1, true); !errors.As(err, &r) {
		t.Errorf("nobody holds more than is reserved: %v", err)
	}
	c.Give(mib)
	if err := b.Take(1, true); !errors.As(err, &r) { // it is the pool's reservation still
		t.Errorf("%v", err)
	}
	b.Observe(Sample{Balloon: true})
	a.Give(10 * mib)
	if err := c.Take(2*mib, true); err != ErrLater { // b could give back
		t.Errorf("%v, want ErrLater", err)
	}
	a.Give(^uint64(0))
	if a.Granted() != 0 {
		t.Errorf("a holds %d", a.Granted())
	}
	tree.check(t)
}

// TestWhoIsToGiveBackGetsToRun: a guest that waits for memory can't fill its balloon, so that the last of the memory is for
// those who are to fill theirs, a page at a time and ever more slowly, and not for those who are not.
func TestWhoIsToGiveBackGetsToRun(t *testing.T) {
	tree := newTree(t, 256*mib)
	rich := admit(t, tree, VM{Name: "rich", Size: 250 * mib, Budget: Budget{Shares: 1}})
	poor := admit(t, tree, VM{Name: "poor", Size: 250 * mib, Budget: Budget{Shares: 1000, Reservation: 10 * mib}})
	stubborn := admit(t, tree, VM{Name: "stubborn", Size: 250 * mib, Budget: Budget{Shares: 1}})
	if err := rich.Take(236*mib, false); err != nil {
		t.Fatal(err)
	}
	stubborn.Take(8*mib, false)
	rich.Observe(Sample{Active: 250 * mib, Balloon: true})
	poor.Observe(Sample{Active: 250 * mib, Balloon: true, Held: 250 * mib}) // it owes nothing
	tree.Balance()
	if err := poor.Take(10*mib, true); err != nil {
		t.Errorf("within its reservation: %v", err)
	}
	if err := poor.Take(mib, true); err != ErrLater {
		t.Errorf("one that is owed: %v, want ErrLater", err)
	}
	var r *Refusal
	if err := stubborn.Take(mib, false); !errors.As(err, &r) {
		t.Errorf("one without a balloon: %v, want a refusal", err)
	}
	if err := rich.Take(1, true); err != ErrPaced {
		t.Errorf("one that is to give back: %v, want ErrPaced", err)
	}
	before := tree.Scarcity()
	for tree.Unreserved() > 16 {
		if err := rich.Take(1, false); err != nil {
			t.Fatalf("it can't run, with %d pages left: %v", tree.Unreserved(), err)
		}
	}
	if after := tree.Scarcity(); after < 10*before {
		t.Errorf("it waits %d times as long as usual with %d pages left, and %d before", after, tree.Unreserved(), before)
	}
	tree.check(t)
}

func TestLimitsHold(t *testing.T) {
	tree := newTree(t, 1000*mib)
	if err := tree.AddPool("p", "", Budget{Shares: 1, Limit: 100 * mib}); err != nil {
		t.Fatal(err)
	}
	a := admit(t, tree, VM{Name: "a", Pool: "p", Size: 200 * mib, Budget: Budget{Limit: 80 * mib}})
	b := admit(t, tree, VM{Name: "b", Pool: "p", Size: 50 * mib, Overhead: mib})
	if err := a.Take(80*mib+1, true); err == nil || err.Error() != "mem: VM a has 0KiB and needs 80.0MiB more, which is above the limit of VM a, 80MiB: raise that" {
		t.Error(err)
	}
	if err := a.Take(80*mib, true); err != nil {
		t.Error(err)
	}
	if err := b.Take(20*mib, true); err == nil || err.Error() != "mem: VM b has 0KiB and needs 20MiB more, which is above the limit of pool p, 100MiB: raise that" {
		t.Error(err)
	}
	if err := b.Take(19*mib, true); err != nil {
		t.Error(err)
	}
	if err := b.Take(^uint64(0), true); err == nil {
		t.Error("more than any memory was granted")
	}
	tree.check(t)
}

func TestBudgetChangesWhileAVMRuns(t *testing.T) {
	tree := newTree(t, 100*mib)
	a := admit(t, tree, VM{Name: "a", Size: 80 * mib})
	b := admit(t, tree, VM{Name: "b", Size: 80 * mib})
	if err := a.Take(60*mib, false); err != nil {
		t.Fatal(err)
	}
	if err := b.SetBudget(Budget{Shares: 1, Reservation: 41 * mib}); err == nil || !strings.Contains(err.Error(), "more than the 40MiB that the host has left") {
		t.Error(err)
	}
	tree.check(t)
	if err := b.SetBudget(Budget{Shares: 1, Reservation: 40 * mib}); err != nil {
		t.Error(err)
	}
	if err := a.SetBudget(Budget{Shares: 1, Limit: 50 * mib}); err != nil {
		t.Error(err)
	}
	if a.Target() != 50*mib || a.BalloonTarget() != 30*mib {
		t.Errorf("target %d MiB, balloon %d MiB", a.Target()/mib, a.BalloonTarget()/mib)
	}
	if err := a.Take(1, false); err == nil {
		t.Error("it grew above its limit")
	}
	if err := a.SetBudget(Budget{Shares: 1, Reservation: 81 * mib}); err == nil {
		t.Error("it reserves more than it is")
	}
}

func TestAVMMovesWithWhatItHolds(t *testing.T) {
	tree := newTree(t, 100*mib)
	for name, limit := range map[string]uint64{"small": 20, "large": 70} {
		if err := tree.AddPool(name, "", Budget{Shares: 1, Limit: limit * mib}); err != nil {
			t.Fatal(err)
		}
	}
	a := admit(t, tree, VM{Name: "a", Pool: "large", Size: 80 * mib})
	if err := a.Take(30*mib, false); err != nil {
		t.Fatal(err)
	}
	b := Budget{Shares: 1, Reservation: 10 * mib}
	for pool, want := range map[string]string{"small": "what it holds, 30MiB, is more than the 20MiB that pool small has left", "none": `no pool "none"`} {
		if err := a.Move(pool, b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %q", err, want)
		}
		tree.check(t)
	}
	a.Give(15 * mib)
	for _, pool := range []string{"small", "", "large", "small"} {
		if err := a.Move(pool, b); err != nil || a.Pool() != pool || a.Granted() != 15*mib || a.Budget() != b {
			t.Errorf("to %q: %v, in %q with %d pages", pool, err, a.Pool(), a.Granted())
		}
		tree.check(t)
	}
	if err := a.Take(10*mib, false); err == nil {
		t.Error("it grew above its new pool's limit")
	}
	a.Release()
	tree.check(t)
}

func TestOverhead(t *testing.T) {
	// 1 GiB: 512 page tables, 1 directory, 1 pointer table, 1 root; twice; 8 pages for each processor.
	if got := Overhead(1<<18, 2, 8); got != 2*(512+1+1+1)+16 {
		t.Errorf("1 GiB: %d", got)
	}
	if got := Overhead(1, 0, 0); got != 8 {
		t.Errorf("4 KiB: %d", got)
	}
}

// TestAPoolsBudgetChangesWhileItIsUsed: what can't be kept is refused with the numbers, and changes nothing.
func TestAPoolsBudgetChangesWhileItIsUsed(t *testing.T) {
	tree := newTree(t, 1000*mib)
	for _, name := range []string{"web", "db"} {
		if err := tree.AddPool(name, "", Budget{Shares: 1, Reservation: 300 * mib}); err != nil {
			t.Fatal(err)
		}
	}
	g := admit(t, tree, VM{Name: "a", Pool: "web", Size: 400 * mib, Budget: Budget{Shares: 1, Reservation: 100 * mib}})
	if err := g.Take(350*mib, false); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		b    Budget
		want string
	}{
		{"web", Budget{Shares: 1, Limit: 340 * mib}, "pool web: limit of 340MiB is below the 350MiB that the VMs in it hold and have reserved"},
		{"web", Budget{Shares: 1, Reservation: 701 * mib}, "pool web: a reservation of 701MiB is more than the 700MiB that the host has left (of 1000MiB)"},
		{"web", Budget{Shares: 0}, "pool web: 0 shares are not possible"},
		{"none", Budget{Shares: 1}, `there is no pool "none"`},
	} {
		if err := tree.SetPool(c.name, c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %+v: %v, not %q", c.name, c.b, err, c.want)
		}
		tree.check(t)
		if left := tree.Unreserved(); left != 350*mib {
			t.Errorf("what was refused took of what is left: %s", size(left))
		}
	}
	if err := tree.SetPool("db", Budget{Shares: 9, Reservation: 650 * mib, Limit: 650 * mib}); err != nil {
		t.Error(err)
	}
	if err := tree.SetPool("web", Budget{Shares: 2, Limit: 350 * mib}); err != nil {
		t.Error(err)
	}
	tree.check(t)
	if err := g.Take(mib, false); err == nil || tree.Unreserved() != 0 {
		t.Errorf("above the pool's new limit: %v, and %s are unreserved", err, size(tree.Unreserved()))
	}
}
