package vm

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keel/arch/amd64/virt"
	"keel/vmkernel/device/virtio"
	"keel/vmkernel/device/virtio/virtiotest"
	"keel/vmkernel/linux"
	"keel/vmkernel/mem"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
)

const mebi = 1 << 20

// eats is a guest that touches so many pages, from address 0 on, and then idles.
func eats(pages int) func(*fakeMachine, *sys.VCPUPage, uint64, virt.Event) linux.Errno {
	return func(m *fakeMachine, p *sys.VCPUPage, flags uint64, e virt.Event) linux.Errno {
		if m.runs > pages {
			return idles(m, p, flags, e)
		}
		flat(&p.State)
		p.State.Exit = virt.Exit{Kind: virt.KindMMIO, GPA: uint64(m.runs-1) * mem.PageSize}
		return 0
	}
}

// hungry is a host that has so much for VMs, in MiB, whose guests touch so much.
func hungry(t *testing.T, host, touch uint64) (*fake, *Manager, *record) {
	t.Helper()
	f := newFake(eats(int(touch * mebi / mem.PageSize)))
	f.free = 48*mebi + host*mebi
	m, r := newManager(f)
	return f, m, r
}

// runVM starts a VM of so many MiB.
func runVM(t *testing.T, m *Manager, name string, size uint64, set func(*seed.Memory)) (*VM, error) {
	t.Helper()
	s := spec(name)
	s.CPU.Count = 1
	s.Memory.Size = size * mebi
	if set != nil {
		set(&s.Memory)
	}
	v := create(t, m, s)
	err := v.Start(t.Context())
	t.Cleanup(func() { v.Kill(t.Context()) })
	return v, err
}

func resident(v *VM) uint64 {
	s, _ := v.MemoryStats()
	return s.Resident / mebi
}

func TestVMsAreAdmittedByWhatCanBeHad(t *testing.T) {
	f, m, _ := hungry(t, 100, 0)
	if err := m.AddPools([]seed.Pool{
		{Name: "web", Memory: seed.Share{Shares: 100, Reservation: 20 * mebi, Limit: 40 * mebi}},
		{Name: "db", Parent: "web", Memory: seed.Share{Shares: 100, Reservation: 10 * mebi}},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := runVM(t, m, "a", 64, func(s *seed.Memory) { s.Reservation = 64 * mebi }); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		size       uint64
		set        func(*seed.Memory)
	}{
		{"b", "vm: memory: VM b: a reservation of 20MiB and an overhead of 888KiB are more than the 15.0MiB that the host has left (of 100MiB): reserve less, stop a VM or give the host more memory", 32,
			func(s *seed.Memory) { s.Reservation = 20 * mebi }},
		{"c", "memory of 32MiB is more than the 14MiB that the host has left and other VMs can give back: make the VM smaller, limit its memory, stop a VM or give the host more memory", 32, nil},
		{"d", "more than the 30MiB that pool web has left (of 40MiB)", 64, func(s *seed.Memory) { s.Pool, s.Reservation = "db", 41*mebi }},
		{"e", `there is no pool "none"`, 4, func(s *seed.Memory) { s.Pool = "none" }},
		{"f", "limit of 4MiB is below the reservation of 8MiB", 16, func(s *seed.Memory) { s.Reservation, s.Limit = 8*mebi, 4*mebi }},
		{"g", "reservation of 32MiB is more than its memory, 16MiB", 16, func(s *seed.Memory) { s.Reservation = 32 * mebi }},
		{"h", "shares are not possible", 16, func(s *seed.Memory) { s.Shares = 1 << 31 }},
	} {
		v, err := runVM(t, m, c.name, c.size, c.set)
		if !errors.Is(err, ErrNoMemory) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v\nwant %s", c.name, err, c.want)
		}
		if s := v.Status(); s.State != Off || !strings.Contains(s.LastError, c.want) {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
	if len(f.machines) != 1 {
		t.Errorf("%d machines were made", len(f.machines))
	}
	before := m.MemoryStats()
	v, err := runVM(t, m, "i", 32, func(s *seed.Memory) { s.Limit = 12 * mebi })
	if err != nil {
		t.Errorf("what its limit lets it have is there: %v", err)
	}
	v.Kill(t.Context())
	if after := m.MemoryStats(); after.Unreserved != before.Unreserved || after.Granted != before.Granted || f.FreeMemory() != before.VMs+48*mebi-64*mebi {
		t.Errorf("a VM that is gone left something: %+v, %+v, %d free", before, after, f.FreeMemory())
	}
}

func TestPoolsThatCanNotBeAreRefusedAndNotThere(t *testing.T) {
	one := seed.Share{Shares: 1}
	for want, list := range map[string][]seed.Pool{
		`pool bad: there is no pool "none"`:                              {{Name: "bad", Parent: "none", CPU: one, Memory: one}},
		`there is a pool "good" already`:                                 {{Name: "good", CPU: one, Memory: one}},
		"pool bad: a reservation of 101MiB is more than the 100MiB that": {{Name: "bad", CPU: one, Memory: seed.Share{Shares: 1, Reservation: 101 * mebi}}},
		"pool bad: reservation: 301%: 300% of 300% are left":             {{Name: "bad", CPU: seed.Share{Shares: 1, Reservation: 3010}, Memory: seed.Share{Shares: 1, Reservation: 90 * mebi}}},
		`pool in: there is no pool "bad"`:                                {{Name: "bad", CPU: seed.Share{Shares: 1, Reservation: 3010}, Memory: one}, {Name: "in", Parent: "bad", CPU: one, Memory: one}},
	} {
		_, m, _ := hungry(t, 100, 0)
		good := seed.Pool{Name: "good", CPU: one, Memory: one}
		err := m.AddPools(append([]seed.Pool{good}, list...))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if got := m.Pools(); !slices.Equal(got, []seed.Pool{good}) || m.MemoryStats().Unreserved != 100*mebi || len(m.PoolStats()) != 2 {
			t.Errorf("%s: there are %+v, %d bytes unreserved, %+v", want, got, m.MemoryStats().Unreserved, m.PoolStats())
		}
	}
}

func TestMemoryComesWhenItIsTouchedAndGoesToOthers(t *testing.T) {
	f, m, r := hungry(t, 64, 20)
	a, err := runVM(t, m, "a", 32, nil)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has what it touched", func() bool { return resident(a) == 20 })
	s, _ := a.MemoryStats()
	if s.Granted < s.Resident || s.Granted > 24*mebi || s.Size != 32*mebi || s.Shares != 320 || s.Overhead != mebi || s.Balloon || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
	a.run.in.Release(0, 8*mebi)
	a.run.in.Settle()
	if n := resident(a); n != 12 {
		t.Errorf("after giving 8 MiB back it has %d", n)
	}
	eventually(t, "the policy knows", func() bool {
		s := m.MemoryStats()
		return s.Granted <= 14*mebi && s.Granted >= 12*mebi && s.Unreserved > 64*mebi-16*mebi
	})
	if strings.Contains(r.String(), "waits") || len(f.late) != 0 {
		t.Errorf("%s %v", r, f.late)
	}
}

func TestWhatCanNotBeHadIsWaitedForAndNothingCrashes(t *testing.T) {
	_, m, r := hungry(t, 44, 28)
	a, err := runVM(t, m, "a", 32, nil)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a has all that it touches", func() bool { return resident(a) == 28 })
	b, err := runVM(t, m, "b", 32, func(s *seed.Memory) { s.Limit = 9 * mebi })
	if err != nil {
		t.Fatal(err)
	}
	waits := func() bool { s, _ := b.MemoryStats(); return s.Waiting == 1 }
	eventually(t, "b waits at its limit", waits)
	wantLines(t, r.String(), `msg="vm waits for memory" vm=b error="mem: VM b has 9MiB and needs 4KiB more, which is above the limit of VM b, 9MiB: raise that"`)
	if err := b.SetMemory(seed.Share{Limit: 30 * mebi}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "b has gone on", func() bool { return resident(b) > 9 })
	eventually(t, "b waits for others", func() bool { return waits() && strings.Contains(r.String(), "and no VM gives any back") })
	isState(t, b, Running)
	if n := resident(a); n != 28 {
		t.Errorf("a has %d MiB", n)
	}
	// A VM that waits can be paused and goes on waiting.
	if err := b.Pause(t.Context()); err != nil {
		t.Error(err)
	}
	if err := b.Resume(); err != nil {
		t.Error(err)
	}
	a.Kill(t.Context())
	eventually(t, "b has what it touches", func() bool { return resident(b) == 28 })
	eventually(t, "the log says so", func() bool { return strings.Contains(r.String(), `msg="vm has memory again" vm=b`) })
	if strings.Contains(r.String(), "crash") {
		t.Errorf("%s", r)
	}
}

// TestVMThatWaitsForMemoryHearsAtOnce of what is changed for it, and of its end: however long it would wait to ask again.
func TestVMThatWaitsForMemoryHearsAtOnce(t *testing.T) {
	_, m, _ := hungry(t, 64, 20)
	m.host.memory.pause = time.Hour
	if err := m.AddPools([]seed.Pool{{Name: "p", Memory: seed.Share{Shares: 1, Limit: 10 * mebi}}}); err != nil {
		t.Fatal(err)
	}
	v, err := runVM(t, m, "v", 32, func(s *seed.Memory) { s.Limit, s.Pool = 8*mebi, "p" })
	if err != nil {
		t.Fatal(err)
	}
	waits := func() bool { s, _ := v.MemoryStats(); return s.Waiting == 1 }
	eventually(t, "it waits", waits)
	if err := v.SetMemory(seed.Share{Limit: 32 * mebi}); err != nil { // its pool's is in the way now
		t.Fatal(err)
	}
	eventually(t, "it goes on", func() bool { return resident(v) == 9 && waits() })
	if err := m.SetPool("p", seed.Share{Shares: 1}, seed.Share{Shares: 1, Limit: 12 * mebi}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it goes on", func() bool { return resident(v) == 11 && waits() })
	if err := v.Kill(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReservationIsThereWhateverOthersDo(t *testing.T) {
	_, m, r := hungry(t, 64, 30)
	a, err := runVM(t, m, "a", 32, func(s *seed.Memory) { s.Reservation = 30 * mebi })
	if err != nil {
		t.Fatal(err)
	}
	b, err := runVM(t, m, "b", 32, nil)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "both have what they touch", func() bool { return resident(a) == 30 && resident(b) == 30 })
	// What a guest gives back of its reservation stays set aside for it.
	a.run.in.Release(0, 16*mebi)
	a.run.in.Settle()
	if s, _ := a.MemoryStats(); s.Granted != 30*mebi || s.Resident != 14*mebi {
		t.Errorf("%+v", s)
	}
	if strings.Contains(r.String(), "waits") {
		t.Errorf("%s", r)
	}
}

// TestAReservationIsKeptWhileAVMIsRestarted: another guest, which gives nothing back, wants all that it can get.
func TestAReservationIsKeptWhileAVMIsRestarted(t *testing.T) {
	f, m, _ := hungry(t, 64, 60)
	var reset atomic.Bool
	eat := f.run
	f.run = func(k *fakeMachine, p *sys.VCPUPage, flags uint64, e virt.Event) linux.Errno {
		f.mu.Lock()
		first := k == f.machines[0]
		f.mu.Unlock()
		switch {
		case first && reset.Load():
			return out(p, 0xCF9, 1, 6)
		case k.cfg.Memory == 32*mebi: // a
			return eats(30*mebi/mem.PageSize)(k, p, flags, e)
		}
		return eat(k, p, flags, e)
	}
	s := spec("a")
	s.CPU.Count, s.OnReboot, s.Memory.Size = 1, seed.Restart, 32*mebi
	s.Memory.Reservation = 30 * mebi
	a := create(t, m, s)
	t.Cleanup(func() { a.Kill(context.Background()) })
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := runVM(t, m, "b", 60, func(s *seed.Memory) { s.Limit = 30 * mebi })
	if err != nil {
		t.Fatal(err)
	}
	if err := b.SetMemory(seed.Share{}); err != nil {
		t.Fatal(err)
	}
	waits := func() bool { s, _ := b.MemoryStats(); return s.Waiting == 1 }
	eventually(t, "b has all but a's", func() bool { return waits() && resident(a) == 30 })
	had := resident(b)
	before := m.MemoryStats()
	reset.Store(true)
	f.Kick(0, 0)
	eventually(t, "a runs again", func() bool { return a.Status().Starts == 2 || a.State() == Off })
	if s := a.Status(); s.State != Running {
		t.Fatalf("%+v", s)
	}
	eventually(t, "b waits again", waits)
	if now := resident(b); now != had {
		t.Errorf("b has %d MiB, and had %d", now, had)
	}
	a.Kill(t.Context())
	b.Kill(t.Context())
	if after := m.MemoryStats(); after.Unreserved != before.VMs || len(m.host.memory.shares) != 0 {
		t.Errorf("%+v are left", after)
	}
}

func TestPolicyOfARunningVMChangesAtOnce(t *testing.T) {
	f, m, _ := hungry(t, 64, 4)
	a, err := runVM(t, m, "a", 48, func(s *seed.Memory) { s.Reservation = 20 * mebi })
	if err != nil {
		t.Fatal(err)
	}
	b, err := runVM(t, m, "b", 32, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.SetMemory(seed.Share{Shares: 5, Reservation: 32 * mebi}); err != nil || f.machines[1].reserved != 32*mebi {
		t.Errorf("%v, %d reserved", err, f.machines[1].reserved)
	}
	if s, _ := b.MemoryStats(); s.Shares != 5 || s.Granted != 32*mebi || b.Spec().Memory.Reservation != 32*mebi {
		t.Errorf("%+v", s)
	}
	revision := a.Status().Revision
	for to, want := range map[seed.Share]string{
		{Shares: 1, Reservation: 40 * mebi}:                 "a reservation of 40MiB",
		{Shares: 1, Reservation: 49 * mebi}:                 "reservation of 49MiB is more than its memory, 48MiB",
		{Shares: 1, Reservation: 8 * mebi, Limit: 4 * mebi}: "limit of 4MiB is below the reservation of 8MiB",
		{Shares: 1 << 30}:                                   "shares are not possible",
		{Shares: 1, Limit: 1 << 60}:                         "above the maximum",
	} {
		if err := a.SetMemory(to); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", to, err, want)
		}
	}
	if s, _ := a.MemoryStats(); s.Reservation != 20*mebi || f.machines[0].reserved != 20*mebi || a.Status().Revision != revision {
		t.Errorf("a refused change has changed something: %+v", s)
	}
	if err := a.SetMemory(seed.Share{Limit: 16 * mebi}); err != nil {
		t.Error(err)
	}
	eventually(t, "its balloon is to hold the rest", func() bool {
		s, _ := a.Balloon()
		return s.Target >= 32*mebi/mem.PageSize // more where others need it
	})
	if err := a.SetMemory(seed.Share{}); err != nil || f.machines[0].reserved != 0 {
		t.Errorf("%v, %d reserved", err, f.machines[0].reserved)
	}
	a.Kill(t.Context())
	if err := a.SetMemory(seed.Share{Reservation: 64 * mebi}); !errors.Is(err, ErrInvalid) {
		t.Errorf("of one that is off: %v", err)
	}
	if err := a.SetMemory(seed.Share{Reservation: 40 * mebi}); err != nil {
		t.Errorf("of one that is off: %v", err)
	}
	if err := a.Start(t.Context()); !errors.Is(err, ErrNoMemory) {
		t.Errorf("it starts, and b has reserved the rest: %v", err)
	}
}

func TestProcessorsWaitForWhatDevicesTookForThem(t *testing.T) {
	f := newFake(nil)
	f.free = 48*mebi + 40*mebi
	in := testInstance(t, f, 32*mebi)
	c, m := in.cpus[0], f.machines[0]
	f.mu.Lock()
	m.resident, f.free = m.resident+4*mebi, f.free-4*mebi // a device model touched 4 MiB
	f.mu.Unlock()
	atomic.StoreUint32(&c.page.Overdrawn, 1)
	before := in.share.guest.Granted()
	c.repay()
	if n := in.share.guest.Granted(); n != before+4*mebi/mem.PageSize || c.page.Overdrawn != 0 {
		t.Errorf("%d pages are granted, %d were; overdrawn %d", n, before, c.page.Overdrawn)
	}
	f.mu.Lock()
	m.resident, f.free = m.resident+32*mebi, f.free-32*mebi // more than there is
	f.mu.Unlock()
	done := make(chan bool)
	go func() { done <- in.share.repay() }()
	select {
	case <-done:
		t.Error("it doesn't wait")
	case <-time.After(50 * time.Millisecond):
	}
	in.stop(Reason{Cause: Stopped})
	if <-done {
		t.Error("it was granted")
	}
}

// TestDevicesTakeLittleForAGuestThatCantHaveMore: the chains of its balloon wait, and are served when it has paid.
func TestDevicesTakeLittleForAGuestThatCantHaveMore(t *testing.T) {
	f := newFake(nil)
	in := testInstance(t, f, 32*mebi)
	c, m := in.cpus[0], f.machines[0]
	if err := in.share.set("", mem.Budget{Shares: 1, Limit: 8 * mebi / mem.PageSize}); err != nil {
		t.Fatal(err)
	}
	d := &virtiotest.Driver{TB: t, Dev: in.board.virtio[0], Mem: in.memory}
	if !d.Negotiate(d.Offered()) {
		t.Fatal("its own features are refused")
	}
	r := d.Ring(4, 8, 0x10000)
	d.OK()
	// took is what a device model touched, or the guest gave back.
	took := func(bytes int64) {
		f.mu.Lock()
		defer f.mu.Unlock()
		m.resident, f.free = m.resident+uint64(bytes), f.free-uint64(bytes)
		atomic.StoreUint32(&c.page.Overdrawn, 1)
	}
	took(8*mebi - int64(m.resident+m.granted))
	c.repay()
	for owed, want := range []uint64{mostOwed: 1 << 20, mostOwed + 1: 0} {
		if owed < mostOwed {
			continue
		}
		over := int64(owed)*mem.PageSize + 8*mebi - int64(m.resident+m.granted)
		took(over)
		before := m.released
		r.Send(virtio.Buffer{Addr: 2 << 20, Len: 1 << 20, Write: true})
		if got := m.released - before; got != want {
			t.Errorf("it owes %d pages: %d bytes are released, want %d", owed, got, want)
		}
	}
	before := m.released
	took(-2 * mebi)
	c.repay()
	if got := m.released - before; got != 1<<20 {
		t.Errorf("it has paid: %d bytes are released", got)
	}
}

func TestMemoryThatIsAllReservedComesInGiBs(t *testing.T) {
	f := newFake(nil)
	f.free = 16 << 30
	m, _ := newManager(f)
	if _, err := runVM(t, m, "v", 5<<10, func(s *seed.Memory) { s.Reservation = 5 << 30 }); err != nil {
		t.Fatal(err)
	}
	if got := slices.Compact(slices.Clone(f.machines[0].backed)); !slices.Equal(got, []uint64{0, 1 << 30, 2 << 30, 4 << 30, 5 << 30}) {
		t.Errorf("backed %x", got)
	}
	if _, err := runVM(t, m, "w", 2<<10, func(s *seed.Memory) { s.Reservation = 1 << 30 }); err != nil || len(f.machines[1].backed) != 0 {
		t.Errorf("%v, backed %x: memory that is lent can be taken back", err, f.machines[1].backed)
	}
}

func TestMemoryComesFromTheNodeWhereAVMFits(t *testing.T) {
	f := newFake(nil)
	f.free = 4 << 30
	f.nodes.N = 2
	for i, free := range []uint64{1 << 30, 3 << 30} {
		f.nodes.Node[i] = sys.Node{Domain: uint64(10 + i), Total: 4 << 30, Free: free, Clean: 1 << 20, Order: [sys.MaxNodes]uint8{uint8(i), uint8(1 - i)}}
	}
	m, _ := newManager(f)
	v, err := runVM(t, m, "v", 2<<10, nil)
	if err != nil || f.machines[0].cfg.Node != 1 {
		t.Fatalf("%v, node %d", err, f.machines[0].cfg.Node)
	}
	if s, _ := v.MemoryStats(); s.Node != 1 {
		t.Errorf("%+v", s)
	}
	s := m.MemoryStats()
	if s.Total != 8<<30 || s.Free != 4<<30 || s.Clean != 2<<20 || s.Keel != 12*mebi || !slices.Equal(s.Nodes, []NodeMemory{{10, 4 << 30, 1 << 30, 1 << 20}, {11, 4 << 30, 3 << 30, 1 << 20}}) {
		t.Errorf("%+v", s)
	}
}

func TestMemoryComesFromTheNodeOfAVMsProcessors(t *testing.T) {
	f := newFake(nil)
	f.free = 16 << 30
	f.nodes.N = 2
	for i, free := range []uint64{4 << 30, 8 << 30} {
		f.nodes.Node[i] = sys.Node{CPUs: 3 << (2 * i), Total: 8 << 30, Free: free, Order: [sys.MaxNodes]uint8{uint8(i), uint8(1 - i)}}
	}
	m, _ := newManager(f)
	for i, c := range []struct {
		affinity []int
		want     uint64
	}{{[]int{1}, 0}, {[]int{2, 3}, 1}, {[]int{0}, 0}, {[]int{0, 3}, 1}, {nil, 1}} {
		s := spec(string(rune('a' + i)))
		s.CPU.Count, s.CPU.Affinity, s.Memory.Size = 1, c.affinity, 1<<30
		v := create(t, m, s)
		if err := v.Start(t.Context()); err != nil || f.machines[i].cfg.Node != c.want {
			t.Errorf("on processors %v: %v, node %d, want %d", c.affinity, err, f.machines[i].cfg.Node, c.want)
		}
		t.Cleanup(func() { v.Kill(context.Background()) })
	}
}

func TestMemoryThatAVMHasNotTouchedYetIsNotFreeForAnother(t *testing.T) {
	f := newFake(nil)
	f.free = 16 << 30
	f.nodes.N = 2
	for i, free := range []uint64{5 << 30, 6 << 30} {
		f.nodes.Node[i] = sys.Node{Total: 8 << 30, Free: free, Order: [sys.MaxNodes]uint8{uint8(i), uint8(1 - i)}}
	}
	m, _ := newManager(f)
	for i, want := range []uint64{1, 0, 1} { // the third has more than either node will have left, and goes where there is more now
		if _, err := runVM(t, m, string(rune('a'+i)), 4<<10, nil); err != nil || f.machines[i].cfg.Node != want {
			t.Errorf("VM %d: %v, node %d, want %d", i, err, f.machines[i].cfg.Node, want)
		}
	}
}

func TestPoolsSayWhatTheyHave(t *testing.T) {
	_, m, _ := hungry(t, 512, 1)
	if err := m.AddPools([]seed.Pool{{Name: "web", CPU: seed.Share{Shares: 1}, Memory: seed.Share{Shares: 1, Reservation: 48 << 20}}, {Name: "db", Parent: "web"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := runVM(t, m, "v", 16, func(s *seed.Memory) { s.Pool, s.Reservation = "db", 16<<20 }); err != nil {
		t.Fatal(err)
	}
	got := m.PoolStats()
	if len(got) != 3 || got[0] != (PoolStats{Name: "system", Used: 7, Paced: true}) || got[1].Name != "db" || got[1].Used != 200 || got[1].Granted != 16<<20 ||
		got[1].Committed <= 16<<20 || got[2] != (PoolStats{Name: "web", Used: 100, Granted: 16 << 20, Committed: 48 << 20}) {
		t.Errorf("%+v", got)
	}
}

func TestNameOfARenamedVMIsFree(t *testing.T) {
	_, m, _ := hungry(t, 64, 1)
	v, err := runVM(t, m, "v", 16, nil)
	if err != nil {
		t.Fatal(err)
	}
	renamed := *v.Spec()
	renamed.Name = "w"
	if err := v.Update(renamed, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := runVM(t, m, "v", 16, nil); err != nil {
		t.Error(err)
	}
}

func TestHostHoldsMemoryThatVMsCanNotHave(t *testing.T) {
	_, m, _ := hungry(t, 64, 4)
	if err := m.HoldMemory(40 * mebi); err != nil {
		t.Fatal(err)
	}
	v, err := runVM(t, m, "v", 32, nil)
	if err == nil || !strings.Contains(err.Error(), "memory of 32MiB is more than the 23MiB") {
		t.Errorf("%v", err)
	}
	if err := m.HoldMemory(30 * mebi); !errors.Is(err, ErrNoMemory) || !strings.Contains(err.Error(), "30MiB for the host itself are more than the 24MiB that it has left (of 24MiB)") {
		t.Errorf("%v", err)
	}
	m.DropMemory(40 * mebi)
	if err := v.Start(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestActivityOfAGuestThatIsIdleEndsAtNothing(t *testing.T) {
	f := newFake(nil)
	in := testInstance(t, f, 32*mebi)
	a := activity{known: true, bytes: 32 * mebi}
	for range 100 {
		before := a.bytes
		if a.look(f, in.share); a.bytes >= before && before != 0 {
			t.Fatalf("%d bytes, and %d before", a.bytes, before)
		}
	}
	if a.bytes != 0 || !a.known {
		t.Errorf("%+v", a)
	}
}
