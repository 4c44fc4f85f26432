package admit

import (
	"strings"
	"testing"
)

func tree(t *testing.T) *Tree {
	t.Helper()
	x, err := New(4, 400)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []Spec{
		{Name: "web", IsPool: true, Shares: 1000, Reservation: 1000, Limit: 2000},
		{Name: "inner", Pool: "web", IsPool: true, Shares: 1000},
		{Name: "db", Pool: "inner", Shares: 2000, Reservation: 1500, VCPUs: 2},
		{Name: "rt", Shares: 1000, Reservation: 900, VCPUs: 1, Affinity: []int{3}},
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
		{Spec{Name: "a", Shares: 1, VCPUs: 4, Reservation: 1300}, "a: reservation: 130%: 120% of 360% are left (4 processors, 40% for the system, 240% reserved by others)"},
		{Spec{Name: "a", Shares: 1, VCPUs: 1, Reservation: 200, Affinity: []int{3}}, "a: reservation: 20%: with it 110% are reserved on the 1 processor of "},
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
	x, err := New(1, 0)
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
