package vm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/console"
	"keel/vmkernel/datastore"
	"keel/vmkernel/seed"
)

func TestCreateRefusesWhatIsThere(t *testing.T) {
	m, _ := newManager(newFake(nil))
	const one, two = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
	a, b, c, d, e := spec("a"), spec("a"), spec("c"), spec(two), spec("e")
	a.ID, b.ID, c.ID = one, two, one
	e.Boot.Direct.Initrd = "missing"
	v := create(t, m, a)
	for _, x := range []struct {
		spec seed.VM
		kind error
		want string
	}{
		{b, ErrExists, "there is a VM named a already"},
		{c, ErrExists, "c has the id " + one + " of a"},
		{d, ErrInvalid, "has the form of an id"},
		{e, datastore.ErrNotFound, `there is no image "missing"`},
	} {
		if _, created, err := m.Create(x.spec); !errors.Is(err, x.kind) || !strings.Contains(err.Error(), x.want) || created {
			t.Errorf("%s: %v, want %q", x.spec.Name, err, x.want)
		}
	}
	if again, created, err := m.Create(a); again != v || created || err != nil {
		t.Errorf("a repeated Create: %v, %v", created, err)
	}
	changed := a
	changed.Labels = map[string]string{"tier": "test"}
	if err := v.Update(changed, 0); err != nil {
		t.Fatal(err)
	}
	if again, created, err := m.Create(a); again != v || created || err != nil {
		t.Errorf("a repeated Create of what was changed since: %v, %v", created, err)
	}
	if n := len(m.List()); n != 1 {
		t.Errorf("%d VMs", n)
	}
}

func TestVMsAreFoundByNameAndID(t *testing.T) {
	m, _ := newManager(newFake(nil))
	v := create(t, m, spec("demo"))
	if !isID(v.ID()) {
		t.Errorf("id %q", v.ID())
	}
	for _, ref := range []string{"demo", v.ID()} {
		if got, err := m.Find(ref); got != v || err != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
	if _, err := m.Find("nobody"); !errors.Is(err, ErrNotFound) || err.Error() != "vm: there is no VM nobody" {
		t.Errorf("%v", err)
	}
}

func TestUpdateOfWhatIsOff(t *testing.T) {
	m, _ := newManager(newFake(nil))
	v := create(t, m, spec("demo"))
	create(t, m, spec("other"))
	was := v.Status().Revision
	s := *v.Spec()
	if err := v.Update(s, was); err != nil || v.Status().Revision != was {
		t.Errorf("an Update that changes nothing: revision %d after %d, %v", v.Status().Revision, was, err)
	}
	s.Name, s.Memory.Size, s.Serial = "new", 8<<20, []seed.Serial{{Name: "ttyS2"}, {Name: "ttyS3"}}
	kept, gone := v.Console("ttyS2"), v.Console("ttyS0")
	if err := v.Update(s, was); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Find("demo"); err == nil {
		t.Error("it is found by its old name")
	}
	if got, err := m.Find("new"); got != v || err != nil {
		t.Error("it isn't found by its new name")
	}
	if v.Console("ttyS2") != kept || v.Console("ttyS3") == nil || v.Console("ttyS0") != nil {
		t.Error("consoles aren't those of the serial ports")
	}
	if _, err := gone.Watch("x", 0); !errors.Is(err, console.ErrClosed) {
		t.Errorf("the console of a port that is gone: %v", err)
	}
	var stale *RevisionError
	if err := v.Update(s, was); !errors.As(err, &stale) || stale.Is != v.Status().Revision {
		t.Errorf("an old revision: %v", err)
	}
	bad := s
	bad.Name = "other"
	if err := v.Update(bad, 0); !errors.Is(err, ErrExists) {
		t.Errorf("a name that is taken: %v", err)
	}
	bad = s
	bad.ID = "11111111-1111-4111-8111-111111111111"
	if err := v.Update(bad, 0); !errors.Is(err, ErrInvalid) {
		t.Errorf("another id: %v", err)
	}
	bad = s
	bad.Boot.Direct.Kernel = "missing"
	if err := v.Update(bad, 0); !errors.Is(err, datastore.ErrNotFound) {
		t.Errorf("a missing image: %v", err)
	}
	if v.Name() != "new" || v.Spec().Boot.Direct.Kernel != "kernel" {
		t.Errorf("refused, but changed: %+v", v.Spec())
	}
}

func TestUpdateThatIsRefusedLeavesItsImagesToTheVM(t *testing.T) {
	m, _ := newManager(newFake(nil))
	all := files()
	all["next"] = &seed.File{Name: "next", Data: all["kernel"].Data, Info: all["kernel"].Info}
	m.images = store(all)
	v := create(t, m, spec("demo"))
	users := func(image string) int { i, _ := m.images.Find(image); return len(i.Users) }
	s := *v.Spec()
	s.Boot.Direct.Kernel = "next"
	s.Memory.Share = seed.Share{Shares: 1, Reservation: 8 << 20} // of 4 MiB
	if err := v.Update(s, 0); err == nil {
		t.Fatal("it reserves more than it has")
	}
	if users("kernel") != 1 || users("next") != 0 {
		t.Errorf("refused: %d use the old image, %d the new one", users("kernel"), users("next"))
	}
	s.Memory.Share = v.Spec().Memory.Share
	if err := v.Update(s, 0); err != nil {
		t.Fatal(err)
	}
	if users("kernel") != 0 || users("next") != 1 {
		t.Errorf("done: %d use the old image, %d the new one", users("kernel"), users("next"))
	}
}

func TestUpdateOfWhatRuns(t *testing.T) {
	_, v, r := started(t, newFake(obeys), func(s *seed.VM) { s.OnPowerOff, s.StopTimeout = seed.Restart, seed.Duration(time.Hour) })
	s := *v.Spec()
	s.Memory.Size, s.CPU.Count = 8<<20, 1
	if err := v.Update(s, 0); err == nil || err.Error() != "vm: demo is running: to change cpu.count, memory.size it has to be stopped" {
		t.Errorf("%v", err)
	}
	s = *v.Spec()
	s.Name, s.OnPowerOff, s.Labels, s.Autostart.Enabled = "renamed", seed.Stop, map[string]string{"a": "b"}, false
	if err := v.Update(s, 0); err != nil {
		t.Fatal(err)
	}
	v.mu.Lock()
	v.run.in.board.pm.PressPowerButton()
	v.mu.Unlock()
	eventually(t, "it is off", func() bool { return v.State() == Off })
	wantLines(t, r.String(), `msg="vm stopped" vm=renamed reason=power-off`)
}

func TestDeleteLetsGoOfEverything(t *testing.T) {
	m, v, _ := started(t, newFake(idles), nil)
	if err := m.Images().Delete("kernel"); err == nil {
		t.Error("the seed's image can be deleted")
	}
	var state *StateError
	if err := m.Delete(t.Context(), v, 0, false); !errors.As(err, &state) {
		t.Errorf("Delete of what runs: %v", err)
	}
	port := v.Console("")
	var stale *RevisionError
	if !errors.As(m.Delete(t.Context(), v, v.Status().Revision+1, true), &stale) {
		t.Error("deleted for another revision")
	}
	if err := m.Delete(t.Context(), v, v.Status().Revision, true); err != nil {
		t.Fatal(err)
	}
	if i, _ := m.Images().Find("kernel"); len(i.Users) != 0 {
		t.Errorf("users %v", i.Users)
	}
	if _, err := port.Hold("x", false); !errors.Is(err, console.ErrClosed) {
		t.Errorf("its console: %v", err)
	}
	for what, err := range map[string]error{
		"Start": v.Start(t.Context()), "Kill": v.Kill(t.Context()), "Update": v.Update(*v.Spec(), 0), "Delete": m.Delete(t.Context(), v, 0, true),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s of a deleted VM: %v", what, err)
		}
	}
	create(t, m, spec("demo"))
}

func TestEventsTellTheStoryInOrder(t *testing.T) {
	m, r := newManager(newFake(obeys))
	_ = r
	var hooked []EventKind
	m.OnEvent(func(e Event) { hooked = append(hooked, e.Kind) })
	v := create(t, m, spec("demo"))
	if err := errors.Join(v.Start(t.Context()), v.Pause(t.Context()), v.Resume(), v.NMI(), v.Shutdown(t.Context()), m.Delete(t.Context(), v, 0, false)); err != nil {
		t.Fatal(err)
	}
	want := []EventKind{Created, PoweringOn, Started, AtRest, GoesOn, SentNMI, AskedOff, Ended, Deleted}
	sub := m.Subscribe(0)
	for i, kind := range want {
		e, missed, err := sub.Next(t.Context())
		if e.Kind != kind || e.Seq != uint64(i+1) || missed != 0 || err != nil || e.VM != "demo" || e.ID != v.ID() {
			t.Errorf("event %d: %+v, missed %d, %v; want %s", i, e, missed, err, kind)
		}
	}
	if fmt.Sprint(hooked) != fmt.Sprint(want) {
		t.Errorf("the hook had %v", hooked)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, _, err := sub.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after the last: %v", err)
	}
}

func TestSlowSubscriberIsToldWhatItMissed(t *testing.T) {
	m, _ := newManager(newFake(nil))
	v := create(t, m, spec("demo"))
	sub := m.Subscribe(m.LastEvent())
	for i := range keptEvents + 100 {
		s := *v.Spec()
		s.Labels = map[string]string{"n": fmt.Sprint(i)}
		if err := v.Update(s, 0); err != nil {
			t.Fatal(err)
		}
	}
	e, missed, err := sub.Next(t.Context())
	if err != nil || missed != 100 || e.Seq != 102 || e.Labels["n"] != "100" {
		t.Errorf("%+v, missed %d, %v", e, missed, err)
	}
	for range keptEvents - 1 {
		var more uint64
		if e, more, err = sub.Next(t.Context()); more != 0 || err != nil {
			t.Fatalf("missed %d, %v", more, err)
		}
	}
	if e.Seq != m.LastEvent() {
		t.Errorf("the last is %d of %d", e.Seq, m.LastEvent())
	}
}

func TestAThousandDefinitionsAreCheap(t *testing.T) {
	heap := func() int64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.GC() // what the first has found is swept by now, pools included
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	var m *Manager
	least := int64(math.MaxInt64) // what other tests have left running allocates and frees as well
	for range 5 {
		m = nil
		before := heap()
		m, _ = newManager(newFake(nil))
		for i := range 1000 {
			s := spec(fmt.Sprintf("vm-%d", i))
			s.Labels = map[string]string{"tier": "test", "n": fmt.Sprint(i)}
			create(t, m, s)
		}
		if each := (heap() - before) / 1000; each > 0 {
			least = min(least, each)
		}
		if least <= 4096 {
			break
		}
	}
	t.Logf("%d bytes each", least)
	if least > 4096 {
		t.Errorf("a definition takes %d bytes", least)
	}
	n := 0
	for _, v := range m.List() {
		if v.Status().State == Off {
			n++
		}
	}
	if n != 1000 {
		t.Errorf("%d VMs", n)
	}
	runtime.KeepAlive(m)
}
