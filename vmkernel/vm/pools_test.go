package vm

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"keel/vmkernel/linux"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
)

func TestPoolsChangeWhileTheirVMsRun(t *testing.T) {
	f := idleFake()
	m, _ := newManager(f)
	web := seed.Pool{Name: "web", CPU: seed.Share{Shares: 3000, Reservation: 500}, Memory: seed.Share{Shares: 1, Reservation: 1 << 20}}
	inner := seed.Pool{Name: "inner", Parent: "web", CPU: seed.Share{Shares: 7}, Memory: seed.Share{Shares: 7}}
	if err := m.AddPools([]seed.Pool{web, inner}); err != nil {
		t.Fatal(err)
	}
	s := spec("demo")
	s.CPU.Pool, s.CPU.Reservation, s.Memory.Pool, s.Memory.Reservation = "inner", 1500, "inner", 4<<20
	if _, err := startedVM(t, m, s); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name        string
		cpu, memory seed.Share
		kind        error
		want        string
	}{
		{"web", seed.Share{Shares: 1, Limit: 1400}, web.Memory, ErrNoProcessors, "pool web: limit: 140%: what is in it reserves 150%"},
		{"web", seed.Share{Shares: 1, Reservation: 3100}, web.Memory, ErrNoProcessors, "pool web: reservation: 310%: 300% of 300% are left (4 processors, 100% for the system, 0% reserved by others)"},
		{"inner", seed.Share{Shares: 1}, seed.Share{Shares: 1, Limit: 2 << 20}, ErrNoMemory, "pool inner: limit of 2MiB is below the 4"},
		{"web", web.CPU, seed.Share{Shares: 1, Reservation: 1 << 40}, ErrNoMemory, "pool web: a reservation of 1024GiB is more than the "},
		{"db", web.CPU, web.Memory, ErrNotFound, "there is no pool db: the host has web, inner"},
	} {
		if err := m.SetPool(c.name, c.cpu, c.memory); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %+v %+v: %v, not %q", c.name, c.cpu, c.memory, err, c.want)
		}
	}
	f.refuseCPU = linux.EINVAL
	if err := m.SetPool("web", seed.Share{Shares: 1, Reservation: 2500}, seed.Share{Shares: 1}); err == nil {
		t.Error("what the lower half refused was taken")
	}
	f.refuseCPU = nil
	if got := m.Pools(); !reflect.DeepEqual(got, []seed.Pool{web, inner}) || f.pools[0].Shares != 3000 || m.PoolStats()[2].Reserved != 1500 {
		t.Errorf("after refusals: %+v, %+v", got, f.pools)
	}

	web.CPU, web.Memory = seed.Share{Shares: 9, Reservation: 2000, Limit: 2500}, seed.Share{Shares: 5, Limit: 16 << 20}
	if err := m.SetPool("web", web.CPU, web.Memory); err != nil {
		t.Fatal(err)
	}
	if got, want := f.pools[0], (sys.CPUPolicy{Shares: 9, Reservation: 2000, Limit: 2500}); got != want {
		t.Errorf("the lower half got %+v, want %+v", got, want)
	}
	if err := m.SetPool("inner", seed.Share{Shares: 4, Limit: 1500}, inner.Memory); err != nil || f.pools[1].Pool != 1 || f.pools[1].Limit != 1500 {
		t.Errorf("a pool in a pool: %v, %+v", err, f.pools)
	}
	other := spec("other")
	other.CPU.Reservation = 1100 // 200 % of 300 % are the pool's now
	if _, err := startedVM(t, m, other); !errors.Is(err, ErrNoProcessors) || !strings.Contains(err.Error(), "100% of 300% are left") {
		t.Errorf("beside the pool's new reservation: %v", err)
	}
}
