package vm

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"keel/arch/amd64/virt"
	"keel/vmkernel/linux"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
)

// startedVM makes a VM of a description that runs until it is killed. The fake host has 4 processors, of which 100 % are the system's.
func startedVM(t *testing.T, m *Manager, s seed.VM) (*VM, error) {
	t.Helper()
	v, _, err := m.Create(s)
	if err != nil {
		return nil, err
	}
	if err = v.Start(t.Context()); err == nil {
		t.Cleanup(func() { v.Kill(context.Background()) })
	}
	return v, err
}

// idleFake is a host whose guests wait.
func idleFake() *fake { return newFake(idles) }

func TestReservationsOfProcessorsAreAdmittedWithNumbers(t *testing.T) {
	f := idleFake()
	m, _ := newManager(f)
	if err := m.AddPools([]seed.Pool{
		{Name: "web", CPU: seed.Share{Shares: 3000, Reservation: 1500}},
		{Name: "inner", Parent: "web", CPU: seed.Share{Shares: 1, Limit: 1000}},
	}); err != nil {
		t.Fatal(err)
	}
	if len(f.pools) != 2 || f.pools[0].Shares != 3000 || f.pools[1].Pool != 1 || f.pools[1].Limit != 1000 {
		t.Fatalf("the lower half's pools: %+v", f.pools)
	}
	a := spec("a")
	a.CPU.Count = 2
	a.CPU.Share = seed.Share{Shares: 10, Reservation: 1200, Limit: 1300}
	a.CPU.Affinity = []int{1, 3}
	if _, err := startedVM(t, m, a); err != nil {
		t.Fatal(err)
	}
	if got, want := f.machines[0].cfg.CPU, (sys.CPUPolicy{Shares: 10, Reservation: 1200, Limit: 1300, Affinity: 1<<1 | 1<<3}); got != want {
		t.Errorf("the machine got %+v, want %+v", got, want)
	}
	for _, c := range []struct {
		name   string
		change func(*seed.CPU)
		want   []string
	}{
		{"big", func(c *seed.CPU) { c.Reservation = 700; c.Count = 1 }, []string{"VM big", "70%", "30% of 300% are left", "4 processors", "100% for the system", "270% reserved by others"}},
		{"lost", func(c *seed.CPU) { c.Pool = "db" }, []string{"there is no pool"}},
		{"tight", func(c *seed.CPU) { c.Pool, c.Reservation, c.Count = "inner", 1100, 2 }, []string{"pool inner", "its limit is 100%"}},
	} {
		s := spec(c.name)
		c.change(&s.CPU)
		_, err := startedVM(t, m, s)
		if !errors.Is(err, ErrNoProcessors) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q doesn't say %q", c.name, err, w)
			}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*seed.CPU)
		want   string
	}{
		{"wide", func(c *seed.CPU) { c.Reservation = 1500; c.Count = 1 }, "VM wide: reservation: 150%: its 1 virtual processor can use 100%"},
		{"far", func(c *seed.CPU) { c.Affinity = []int{0, 9} }, "VM far: affinity: processor 9: the machine has 4 processors: 0 to 3"},
		{"huge", func(c *seed.CPU) { c.Reservation = 3500; c.Count = 4 }, "VM huge: reservation: 350%: 300% of 300% are left"},
	} {
		s := spec(c.name)
		c.change(&s.CPU)
		if v, made, err := m.Create(s); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) || v != nil || made {
			t.Errorf("%s: %v, not %q", c.name, err, c.want)
		}
		if v, err := m.Find(c.name); err == nil {
			t.Errorf("%s was refused, and is there", v)
		}
	}
	inner := spec("fits")
	inner.CPU.Pool = "inner"
	if _, err := startedVM(t, m, inner); err != nil {
		t.Error(err)
	} else if got := f.machines[len(f.machines)-1].cfg.CPU; got.Pool != 2 || got.Shares != uint32(inner.CPU.Count)*seed.SharesPerCPU {
		t.Errorf("in its pool: %+v", got)
	}
}

func TestAStoppedVMsReservationIsFree(t *testing.T) {
	m, _ := newManager(idleFake())
	a, b := spec("a"), spec("b")
	a.CPU.Count, b.CPU.Count = 3, 3
	a.CPU.Reservation, b.CPU.Reservation = 2000, 2000
	va, err := startedVM(t, m, a)
	if err != nil {
		t.Fatal(err)
	}
	vb, err := startedVM(t, m, b)
	if !errors.Is(err, ErrNoProcessors) {
		t.Fatalf("both were admitted: %v", err)
	}
	if err := va.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := vb.Start(t.Context()); err != nil {
		t.Errorf("after the other has stopped: %v", err)
	}
	defer vb.Kill(context.Background())
}

func TestPolicyOfARunningVMChanges(t *testing.T) {
	f := idleFake()
	m, _ := newManager(f)
	v, err := startedVM(t, m, spec("demo"))
	if err != nil {
		t.Fatal(err)
	}
	to := seed.Share{Shares: 4000, Reservation: 300, Limit: 800}
	if err := v.SetCPU(to, []int{2}); err != nil {
		t.Fatal(err)
	}
	if got, want := f.machines[0].cpu, (sys.CPUPolicy{Shares: 4000, Reservation: 300, Limit: 800, Affinity: 4}); got != want {
		t.Errorf("the lower half got %+v, want %+v", got, want)
	}
	for _, bad := range []seed.Share{{Shares: 1, Reservation: 3100}, {Shares: 1, Reservation: 900, Limit: 800}} {
		if err := v.SetCPU(bad, nil); !errors.Is(err, ErrNoProcessors) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	f.refuseCPU = linux.EINVAL
	if err := v.SetCPU(seed.Share{Shares: 1, Reservation: 900}, nil); err == nil {
		t.Error("what the lower half refused was taken")
	}
	f.refuseCPU = nil
	if got := v.Spec().CPU; got.Share != to {
		t.Errorf("after refusals it is %+v", got)
	}
	s, running := v.Stats()
	if !running || s.CPU.Used != 2000 || s.CPU.Stolen != 22 {
		t.Errorf("its figures: %+v", s.CPU)
	}
	pool := *v.Spec()
	pool.CPU.Pool = "web"
	if err := v.Update(pool, 0); !errors.Is(err, ErrNoProcessors) || !strings.Contains(err.Error(), "pool web") {
		t.Errorf("a pool that there isn't: %v", err)
	}
}

func TestARunningVMMovesToAnotherPool(t *testing.T) {
	f := idleFake()
	m, _ := newManager(f)
	if err := m.AddPools([]seed.Pool{
		{Name: "web", CPU: seed.Share{Shares: 3000, Limit: 1000}, Memory: seed.Share{Shares: 1, Limit: 2 << 20}},
		{Name: "db", CPU: seed.Share{Shares: 1000}, Memory: seed.Share{Shares: 1, Limit: 32 << 20}},
	}); err != nil {
		t.Fatal(err)
	}
	s := spec("demo")
	s.CPU.Count = 2
	s.CPU.Pool, s.Memory.Pool, s.CPU.Reservation, s.Memory.Reservation = "db", "db", 1500, 4<<20
	v, err := startedVM(t, m, s)
	if err != nil {
		t.Fatal(err)
	}
	pools := map[string]sys.Pool{"web": 1, "db": 2}
	for _, c := range []struct {
		change func(*seed.VM)
		want   string // "" where it is possible
	}{
		{func(s *seed.VM) { s.CPU.Pool = "web" }, "pool web reserves 150%, and its limit is 100%"},
		{func(s *seed.VM) { s.Memory.Pool, s.Memory.Reservation = "web", 4<<20 }, "the 2MiB that pool web has left (of 2MiB)"},
		{func(s *seed.VM) { s.CPU.Pool, s.CPU.Reservation = "web", 900 }, ""},
		{func(s *seed.VM) { s.Memory.Pool = "" }, ""},
		{func(s *seed.VM) { s.CPU.Pool, s.CPU.Reservation = "", 1500 }, ""},
	} {
		was := v.Spec()
		to := *was
		c.change(&to)
		err := v.Update(to, 0)
		switch got := f.machines[0].cpu; {
		case c.want != "":
			if err == nil || !strings.Contains(err.Error(), c.want) || v.Spec() != was {
				t.Errorf("to %+v: %v, not %q", to.CPU, err, c.want)
			}
		case err != nil:
			t.Errorf("to %+v: %v", to.CPU, err)
		case to.CPU.Pool != was.CPU.Pool && got.Pool != pools[to.CPU.Pool]:
			t.Errorf("to %+v: the lower half's policy is %+v", to.CPU, got)
		}
	}
}

// TestPolicyOfAStartingVMChanges: what is changed while a VM's machine is made holds once it runs, or it doesn't start.
func TestPolicyOfAStartingVMChanges(t *testing.T) {
	f := idleFake()
	m, _ := newManager(f)
	v := create(t, m, spec("demo"))
	cpu := seed.Share{Shares: 4000, Reservation: 300, Limit: 800}
	memory := seed.Share{Shares: 7, Reservation: 2 << 20}
	f.creates = func() {
		if s := v.State(); s != Starting {
			t.Errorf("it is %s", s)
		}
		if err := errors.Join(v.SetCPU(cpu, []int{2}), v.SetMemory(memory)); err != nil {
			t.Error(err)
		}
	}
	if err := v.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := f.machines[0]
	if want := (sys.CPUPolicy{Shares: 4000, Reservation: 300, Limit: 800, Affinity: 4}); got.cpu != want {
		t.Errorf("the lower half got %+v, want %+v", got.cpu, want)
	}
	if got.reserved != memory.Reservation {
		t.Errorf("%d bytes are reserved, want %d", got.reserved, memory.Reservation)
	}
	if err := v.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}

	other := create(t, m, spec("other"))
	f.creates = func() {
		f.creates = nil
		if err := other.Start(t.Context()); err != nil {
			t.Error(err)
		}
		if err := errors.Join(other.SetCPU(seed.Share{Shares: 1, Reservation: 2000}, nil), v.SetCPU(seed.Share{Shares: 1, Reservation: 1500}, nil)); err != nil {
			t.Error(err)
		}
	}
	defer other.Kill(context.Background())
	if err := v.Start(t.Context()); !errors.Is(err, ErrNoProcessors) || !strings.Contains(err.Error(), "150%") {
		t.Errorf("with more than can be had it started: %v", err)
	}
	if s := v.State(); s != Off || len(f.late) != 0 {
		t.Errorf("it is %s, and calls of machines that were gone: %v", s, f.late)
	}
}

func TestRefusalsNameARunningVMAsItIsCalledNow(t *testing.T) {
	f := idleFake()
	m, _ := newManager(f)
	v, err := startedVM(t, m, spec("old"))
	if err != nil {
		t.Fatal(err)
	}
	to := *v.Spec()
	to.Name = "new"
	if err := v.Update(to, 0); err != nil {
		t.Fatal(err)
	}
	second := spec("old")
	second.CPU.Reservation = 2000
	w, err := startedVM(t, m, second)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		refused error
		want    string
	}{
		{v.SetCPU(seed.Share{Shares: 1, Reservation: 1500}, nil), "VM new: reservation: 150%: 100% of 300% are left"},
		{w.SetCPU(seed.Share{Shares: 1, Reservation: 4100}, nil), "VM old: reservation: 410%"},
		{memoryPool(v, "none"), "VM new: there is no pool"},
		{memoryPool(w, "none"), "VM old: there is no pool"},
	} {
		if c.refused == nil || !strings.Contains(c.refused.Error(), c.want) {
			t.Errorf("%v, not %q", c.refused, c.want)
		}
	}
}

// memoryPool moves a VM's memory to a pool.
func memoryPool(v *VM, pool string) error {
	to := *v.Spec()
	to.Memory.Pool = pool
	return v.Update(to, 0)
}

func TestAnEndedMachineAdmitsNothing(t *testing.T) {
	p := newProcessors(newFake(nil))
	s, err := p.admit(&seed.VM{Name: "demo", CPU: seed.CPU{Count: 1}})
	if err != nil {
		t.Fatal(err)
	}
	s.end()
	if err := s.set(&instance{gone: true}, &seed.CPU{Count: 1, Share: seed.Share{Shares: 1, Reservation: 900}}); err != nil || p.tree.Has(vmNode("demo")) {
		t.Errorf("a machine that has ended still reserves: %v", err)
	}
}

func TestProcessorsForAVMAlone(t *testing.T) {
	f := idleFake()
	m, _ := newManager(f)
	s := spec("rt")
	s.CPU.Count, s.CPU.Exclusive = 2, true
	if _, err := startedVM(t, m, s); err != nil {
		t.Fatal(err)
	}
	if got := f.machines[0].cfg.CPU; got.Exclusive != 1 || got.Affinity != 1<<2|1<<3 {
		t.Errorf("the machine got %+v", got)
	}
	s = spec("also")
	s.CPU.Count, s.CPU.Exclusive = 2, true
	if _, err := startedVM(t, m, s); !errors.Is(err, ErrNoProcessors) || !strings.Contains(err.Error(), "it needs 2 and 1 of 4 can be had") {
		t.Errorf("two more of four: %v", err)
	}
	s = spec("other")
	s.CPU.Affinity = []int{3}
	if _, err := startedVM(t, m, s); !errors.Is(err, ErrNoProcessors) || !strings.Contains(err.Error(), "processor 3 only") {
		t.Errorf("on a processor that is another's: %v", err)
	}
}

// TestWhatAVMHadForItselfIsGivenBack: when it is killed, is switched off, or crashes, and when it no longer wants it.
func TestWhatAVMHadForItselfIsGivenBack(t *testing.T) {
	for name, end := range map[string]func(v *VM, exit chan virt.Exit) error{
		"killed":    func(v *VM, _ chan virt.Exit) error { return v.Kill(context.Background()) },
		"crashed":   func(_ *VM, exit chan virt.Exit) error { exit <- virt.Exit{Kind: virt.KindTripleFault}; return nil },
		"unwilling": func(v *VM, _ chan virt.Exit) error { s := *v.Spec(); s.CPU.Exclusive = false; return v.Update(s, 0) },
	} {
		exit := make(chan virt.Exit, 1)
		f := newFake(func(m *fakeMachine, p *sys.VCPUPage, flags uint64, event virt.Event) linux.Errno {
			select {
			case <-m.kicks[0]:
				p.State.Exit = virt.Exit{Kind: virt.KindNop}
			case p.State.Exit = <-exit:
			}
			return 0
		})
		m, _ := newManager(f)
		s := spec("rt")
		s.CPU.Count, s.CPU.Exclusive = 3, true
		v, err := startedVM(t, m, s)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Exclusive(); !slices.Equal(got, []int{1, 2, 3}) {
			t.Errorf("it has %v for itself", got)
		}
		if err := end(v, exit); err != nil {
			t.Fatal(err)
		}
		if name == "crashed" {
			eventually(t, "it is off", func() bool { return v.State() == Off })
		}
		if got := v.Exclusive(); got != nil {
			t.Errorf("%s: it still has %v for itself", name, got)
		}
		s = spec("next")
		s.CPU.Count, s.CPU.Exclusive, s.CPU.Affinity = 1, true, []int{1}
		if _, err := startedVM(t, m, s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestProcessorsAreKeptWhileAVMIsRestarted: what a guest that reboots has reserved isn't another's meanwhile.
func TestProcessorsAreKeptWhileAVMIsRestarted(t *testing.T) {
	var reset atomic.Bool
	f := newFake(nil)
	f.run = func(k *fakeMachine, p *sys.VCPUPage, flags uint64, e virt.Event) linux.Errno {
		errno := idles(k, p, flags, e)
		if reset.Swap(false) {
			return out(p, 0xCF9, 1, 6)
		}
		return errno
	}
	m, _ := newManager(f)
	a, b := spec("a"), spec("b")
	a.CPU.Count, a.CPU.Reservation, a.OnReboot = 1, 200, seed.Restart
	a.CPU.Affinity, a.CPU.Exclusive = []int{2}, true
	b.CPU.Count, b.CPU.Affinity, b.CPU.Exclusive = 1, []int{2}, true
	v, err := startedVM(t, m, a)
	if err != nil {
		t.Fatal(err)
	}
	reset.Store(true)
	f.Kick(0, 0)
	eventually(t, "the machine is gone", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.machines[0].destroyed
	})
	if _, err := startedVM(t, m, b); !errors.Is(err, ErrNoProcessors) {
		t.Errorf("another was given its processor: %v", err)
	}
	eventually(t, "it runs again", func() bool { return v.Status().Starts == 2 })
	if got := f.machines[1].cfg.CPU; got.Affinity != 1<<2 || got.Exclusive != 1 {
		t.Errorf("its next machine got %+v", got)
	}
	v.Kill(t.Context())
	b.Name = "c"
	if _, err := startedVM(t, m, b); err != nil {
		t.Errorf("when it is off: %v", err)
	}
}
