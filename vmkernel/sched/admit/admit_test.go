package admit

import (
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"
)

func tree(t *testing.T) *Tree {
	t.Helper()
	x, err := New(4, 400, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []Spec{
		{Name: "web", IsPool: true, Shares: 1000, Reservation: 1000, Limit: 2000},
		{Name: "inner", Pool: "web", IsPool: true, Shares: 1000},
		{Name: "db", Pool: "inner", Shares: 2000, Reservation: 1500, VCPUs: 2},
		{Name: "rt", Shares: 1000, Reservation: 800, VCPUs: 1, Affinity: []int{3}},
	} {
		if err := x.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

// TestRefused: every impossible policy is refused by name and with the numbers, and changes nothing.
func TestRefused(t *testing.T) {
	for _, x := range []struct {
		s    Spec
		want string
	}{
		{Spec{Shares: 1}, "without a name"},
		{Spec{Name: "a", VCPUs: 1}, "a: shares: 0: 1 to 1000000"},
		{Spec{Name: "a", Shares: -5, VCPUs: 1}, "a: shares: -5"},
		{Spec{Name: "a", Shares: 1 << 40, VCPUs: 1}, "a: shares: 1099511627776: 1 to 1000000"},
		{Spec{Name: "a", Shares: 1, VCPUs: 1, Reservation: -10}, "a: reservation: -1%: it is negative"},
		{Spec{Name: "a", Shares: 1, VCPUs: 8, Reservation: 4001}, "a: reservation: 400.1%: the machine has 4 processors: 400%"},
		{Spec{Name: "a", Shares: 1, VCPUs: 1, Limit: -10}, "a: limit: -1%: it is negative"},
		{Spec{Name: "a", Shares: 1, VCPUs: 1, Limit: 1 << 40}, "a: limit: "},
		{Spec{Name: "a", Shares: 1, VCPUs: 1, Reservation: 500, Limit: 400}, "a: limit: 40%: it is below the reservation of 50%"},
		{Spec{Name: "a", Shares: 1, VCPUs: 1, Reservation: 1100}, "a: reservation: 110%: its 1 virtual processor can use 100%"},
		{Spec{Name: "a", Shares: 1}, "a: 0 virtual processors: 1 to 64"},
		{Spec{Name: "a", Shares: 1, VCPUs: 1, Affinity: []int{0, 4}}, "a: affinity: processor 4: the machine has 4 processors: 0 to 3"},
		{Spec{Name: "a", Shares: 1, VCPUs: 1, Affinity: []int{-1}}, "a: affinity: processor -1"},
		{Spec{Name: "a", Shares: 1, VCPUs: 4, Reservation: 1100, Affinity: []int{1, 1}}, "a: reservation: 110%: its affinity has 1 processor"},
		{Spec{Name: "a", Shares: 1, VCPUs: 1, Pool: "none"}, `a: pool: there is no pool "none"`},
		{Spec{Name: "a", Shares: 1, VCPUs: 1, Pool: "db"}, `a: pool: there is no pool "db"`},
		{Spec{Name: "web", IsPool: true, Shares: 1, Pool: "inner"}, `web: pool: "inner" is in web itself: a circle`},
		{Spec{Name: "web", IsPool: true, Shares: 1, Pool: "web"}, "a circle"},
		{Spec{Name: "web", Shares: 1, VCPUs: 1}, "the name is taken"},
		{Spec{Name: "a", Shares: 1, VCPUs: 1, Reservation: 600, Pool: "inner"}, "a: reservation: 60%: with it web reserves 210%, and its limit is 200%"},
		{Spec{Name: "a", Shares: 1, VCPUs: 4, Reservation: 1310}, "a: reservation: 131%: 130% of 360% are left (4 processors, 40% for the system, 230% reserved by others)"},
		{Spec{Name: "a", Shares: 1, VCPUs: 1, Reservation: 200, Affinity: []int{3}}, "a: reservation: 20%: with it VMs that may run on processor 3 only reserve 100%, and there are 90% (10% of each for the system)"},
	} {
		tr := tree(t)
		err := tr.Set(x.s)
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%+v: %v, not %q", x.s, err, x.want)
		}
		if len(tr.nodes) != 4 || tr.nodes["web"].Limit != 2000 {
			t.Errorf("%+v: refused and kept", x.s)
		}
	}
}

// TestDepth: a tree is as deep as the scheduler's.
func TestDepth(t *testing.T) {
	x, err := New(1, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	pool := ""
	for i, name := range strings.Split("abcdefghij", "") {
		err := x.Set(Spec{Name: name, IsPool: true, Shares: 1, Pool: pool})
		if (err == nil) != (i < 9) {
			t.Errorf("level %d: %v", i+1, err)
		}
		pool = name
	}
}

// TestRemove: what is removed leaves room.
func TestRemove(t *testing.T) {
	x := tree(t)
	big := Spec{Name: "big", Shares: 1, VCPUs: 4, Reservation: 2700}
	if x.Set(big) == nil {
		t.Error("admitted beyond the machine")
	}
	if err := x.Remove("web"); err == nil {
		t.Error("a pool with a VM in it was removed")
	}
	for _, name := range []string{"db", "inner", "web"} {
		if err := x.Remove(name); err != nil {
			t.Error(err)
		}
	}
	if err := x.Set(big); err != nil {
		t.Error(err)
	}
}

// TestExclusive: processors that are a VM's alone are kept whole for it, picked or named, and refused with the numbers.
func TestExclusive(t *testing.T) {
	x := tree(t)
	vm := func(name string, cpus int, affinity ...int) Spec {
		return Spec{Name: name, Shares: 1, VCPUs: cpus, Affinity: affinity, Exclusive: true}
	}
	one, err := x.Place(vm("one", 1))
	if err != nil || len(one.Affinity) != 1 || one.Affinity[0] != 2 { // 3 is rt's
		t.Fatalf("placed on %v, %v", one.Affinity, err)
	}
	if err := x.Set(one); err != nil {
		t.Fatal(err)
	}
	if again, err := x.Place(vm("one", 1)); err != nil || again.Affinity[0] != 2 {
		t.Errorf("placed again on %v, %v", again.Affinity, err)
	}
	limited := vm("one", 1, 2)
	limited.Limit = 500
	for _, c := range []struct {
		s    Spec
		want string
	}{
		{vm("a", 1, 2), "a: exclusive: processor 2, 100%: 30% of 360% are left (4 processors, 40% for the system, 330% reserved by others)"},
		{vm("a", 1), "a: exclusive: processor 1, 100%: 30% of 360% are left"},
		{limited, "one: limit: 50%: it is below the 100% of the processors that it is to have for itself"},
		{Spec{Name: "b", Shares: 1, VCPUs: 1, Affinity: []int{2}}, "b: affinity: b may run on processor 2 only, which others are to have for themselves"},
		{vm("a", 5), "a: exclusive: processors of its own: it needs 5 and 1 of 4 can be had: the others are in VMs' affinities, or take the host's interrupts"},
	} {
		s, err := x.Place(c.s)
		if err == nil {
			err = x.Set(s)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, not %q", c.s, err, c.want)
		}
	}
	if err := x.Remove("web"); err == nil {
		t.Error("a pool with a VM in it was removed")
	}
	x.Remove("db")
	x.Remove("inner")
	x.Remove("web")
	if err := x.Set(vm("a", 1, 2)); err == nil || !strings.Contains(err.Error(), "processor 2 is to be ") {
		t.Errorf("twice: %v", err)
	}
	if err := x.Set(vm("a", 1, 1)); err != nil {
		t.Error(err)
	}
	if err := x.Set(vm("b", 1, 0)); err == nil || !strings.Contains(err.Error(), "b: exclusive: processor 0, 100%: processor 0 takes the host's interrupts and is never a VM's alone") {
		t.Errorf("the last processor: %v", err)
	}
	// The reservation of who may run elsewhere has to fit there.
	if err := x.Remove("a"); err != nil {
		t.Fatal(err)
	}
	if err := x.Set(Spec{Name: "c", Shares: 1, VCPUs: 2, Reservation: 1100, Affinity: []int{1, 2}}); err == nil || !strings.Contains(err.Error(), "may run on processor 1 only") {
		t.Errorf("beside an exclusive processor: %v", err)
	}
}

// TestExclusiveInAPool: there its processors count, and a limit that the pool has or gets refuses it.
func TestExclusiveInAPool(t *testing.T) {
	x := tree(t)
	rt := Spec{Name: "own", Pool: "web", Shares: 1, VCPUs: 1, Affinity: []int{2}, Exclusive: true}
	refused := func(s Spec, want string) {
		t.Helper()
		if err := x.Set(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, not %q", s, err, want)
		}
	}
	refused(rt, "own: exclusive: processor 2, 100%: with it web reserves 250%, and its limit is 200%")
	if err := x.Remove("db"); err != nil {
		t.Fatal(err)
	}
	refused(rt, "own: exclusive: own is to have processor 2 for itself in web, whose limit of 200% others can use up: put it elsewhere")
	web := Spec{Name: "web", IsPool: true, Shares: 1000, Reservation: 1000}
	if err := x.Set(web); err != nil {
		t.Fatal(err)
	}
	rt.Pool = "inner"
	if err := x.Set(rt); err != nil {
		t.Fatal(err)
	}
	if got := x.committed("web"); got != 1000 {
		t.Errorf("%d thousandths are kept for web, which has reserved as many as the VM in it has for itself", got)
	}
	web.Limit = 3000
	refused(web, "web: exclusive: own is to have processor 2 for itself in web, whose limit of 300% others can use up")
}

// TestPinned: what is reserved on some processors only is admitted if it can be kept there beside the system group, all at once.
func TestPinned(t *testing.T) {
	vm := func(name string, reservation int64, affinity ...int) Spec {
		return Spec{Name: name, Shares: 1, Reservation: reservation, VCPUs: 8, Affinity: affinity}
	}
	for _, c := range []struct {
		vms  []Spec
		want string // of the last one; "" where it is admitted
	}{
		{[]Spec{vm("a", 750, 0)}, ""},
		{[]Spec{vm("a", 751, 0)}, "a: reservation: 75.1%: with it VMs that may run on processor 0 only reserve 75.1%, and there are 75% (25% of each for the system)"},
		{[]Spec{vm("a", 1500, 0, 1), vm("b", 750, 1, 2)}, ""},
		{[]Spec{vm("a", 1500, 0, 1), vm("b", 751, 1, 2)}, "b: reservation: 75.1%: with it VMs that may run on processors 0, 1, 2 only reserve 225.1%, and there are 225%"},
		{[]Spec{vm("a", 750, 0, 1), vm("b", 750, 1, 2), vm("c", 750, 2, 3), vm("d", 750, 3, 4), vm("e", 750, 0)}, ""}, // each makes room for the next
		{[]Spec{vm("a", 750, 0, 1), vm("b", 750, 1, 2), vm("c", 750, 2), vm("d", 1, 0)}, "processors 0, 1, 2 only reserve 225.1%"},
		{[]Spec{vm("a", 1500, 0, 1), vm("b", 1500, 2, 3), vm("c", 1, 0, 2)}, "c: reservation: 0.1%: with it VMs that may run on processors 0, 1, 2, 3 only reserve 300.1%"},
		{[]Spec{vm("a", 750, 0), vm("b", 750, 0, 0, 1)}, ""},
	} {
		x, err := New(8, 2000, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range c.vms {
			err := x.Set(s)
			switch last := i == len(c.vms)-1; {
			case err != nil && !(last && c.want != "" && strings.Contains(err.Error(), c.want)):
				t.Errorf("%v: %s: %v, not %q", c.vms, s.Name, err, c.want)
			case err == nil && last && c.want != "":
				t.Errorf("%v: admitted, want %q", c.vms, c.want)
			}
		}
	}
}

// TestPinnedIsExact: it is admitted exactly if no set of processors has more reserved on it than there is.
func TestPinnedIsExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	const cpus = 5
	refused := 0
	for range 3000 {
		x, err := New(cpus, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		var masks []int
		var needs []int64
		for i := range 1 + rng.IntN(5) {
			mask := 1 + rng.IntN(1<<cpus-1)
			s := Spec{Name: string(rune('a' + i)), Shares: 1, VCPUs: cpus}
			for c := range cpus {
				if mask>>c&1 != 0 {
					s.Affinity = append(s.Affinity, c)
				}
			}
			s.Reservation = rng.Int64N(int64(len(s.Affinity))*1000 + 1)
			err := x.Set(s)
			possible := true
			for set := 1; set < 1<<cpus; set++ {
				var sum int64
				for k, m := range append(masks, mask) {
					if m&^set == 0 {
						sum += append(needs, s.Reservation)[k]
					}
				}
				possible = possible && sum <= int64(bits.OnesCount(uint(set)))*1000
			}
			if (err == nil) != possible {
				t.Fatalf("%v %v and %+v: %v", masks, needs, s, err)
			}
			if err != nil {
				refused++
				break
			}
			masks, needs = append(masks, mask), append(needs, s.Reservation)
		}
	}
	if refused < 300 || refused > 2700 {
		t.Errorf("%d of 3000 refused: that tests little", refused)
	}
}
