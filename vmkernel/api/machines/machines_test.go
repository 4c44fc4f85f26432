package machines

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/datastore"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
	"keel/vmkernel/vm"
)

func spec(name, id string) seed.VM {
	return seed.VM{Name: name, ID: id, CPU: seed.CPU{Count: 1}, Memory: seed.Memory{Size: 64 << 20}, Boot: seed.Boot{Firmware: "direct", Direct: seed.Direct{Kernel: "k"}},
		Serial: []seed.Serial{{Name: "ttyS0"}}, Labels: map[string]string{"tier": "test"}}
}

// fourProcessors is a lower half whose machine has four.
type fourProcessors struct{ vm.Backend }

func (fourProcessors) Processors() int                               { return 4 }
func (fourProcessors) FreeMemory() uint64                            { return 1 << 30 }
func (fourProcessors) Nodes() *sys.Nodes                             { return &sys.Nodes{} }
func (fourProcessors) CreatePool(*sys.CPUPolicy) (sys.Pool, error)   { return 7, nil }
func (fourProcessors) SetPool(sys.Pool, *sys.CPUPolicy) error        { return nil }
func (fourProcessors) PoolStats(id sys.Pool, s *sys.PoolStats) error { s.Used = uint64(id); return nil }

func code(t *testing.T, err error) api.Code {
	t.Helper()
	e, ok := err.(*api.Error)
	if !ok {
		t.Fatalf("%T %v", err, err)
	}
	return e.Code
}

func TestVMsAreThoseOfTheManager(t *testing.T) {
	images := datastore.NewMemory(1<<20, nil)
	if err := images.AddFile(&seed.File{Name: "k", Data: []byte("kernel")}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	s := New(vm.NewManager(fourProcessors{}, vm.Host{}, log, io.Discard, images))
	events := s.Events()
	const id, other = "00000001-0000-4000-8000-000000000001", "00000002-0000-4000-8000-000000000001"
	v, created, err := s.Create(spec("demo", id))
	if err != nil || !created {
		t.Fatal(v, created, err)
	}
	if _, created, err := s.Create(spec("demo", id)); err != nil || created {
		t.Errorf("again: %v %v", created, err)
	}
	_, _, err = s.Create(spec("demo", other))
	if code(t, err) != api.CodeExists {
		t.Errorf("%v", err)
	}
	_, err = s.Find("none")
	if code(t, err) != api.CodeNotFound {
		t.Errorf("%v", err)
	}
	var now api.VM
	v.Status(&now)
	if now.State != api.Stopped || now.Since.IsZero() || v.Console("ttyS0") == nil || v.Console("ttyS1") != nil || len(s.List()) != 1 {
		t.Errorf("%+v", now)
	}
	if stats := v.Stats(); stats.State != api.Stopped || stats.Memory != 64<<20 || stats.Exits == nil {
		t.Errorf("%+v", stats)
	}
	for name, err := range map[string]error{"reset": v.Reset(), "resume": v.Resume(), "nmi": v.NMI(), "shutdown": v.Shutdown(t.Context()), "kill": v.Kill(t.Context()), "pause": v.Pause(t.Context())} {
		if code(t, err) != api.CodeConflict || err.(*api.Error).Details["state"] != api.Stopped {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, revision := v.Spec()
	next := spec("demo-2", id)
	if err := v.Update(next, revision); err != nil {
		t.Fatal(err)
	}
	if err := v.Update(next, revision); code(t, err) != api.CodeStale {
		t.Errorf("%v", err)
	}
	if err := s.Delete(t.Context(), v, 0, false); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, want := range []string{"vm.created", "vm.updated", "vm.deleted"} {
		e, labels, missed, err := events.Next(ctx)
		if err != nil || e.Kind != want || labels["tier"] != "test" || missed != 0 || e.ID != id {
			t.Errorf("%+v %v %d %v", e, labels, missed, err)
		}
	}
}

func TestMemoryIsServed(t *testing.T) {
	known := vm.MemoryStats{Granted: 5, Resident: 4, Active: 3, ActiveKnown: true, Target: 7, Ballooned: 2, Waiting: 1}
	idle, unknown := known, known
	idle.Active, unknown.ActiveKnown = 0, false
	for _, c := range []struct {
		in     vm.MemoryStats
		active string
	}{{known, `"active":3`}, {idle, `"active":0`}, {unknown, ""}} {
		var got api.VMStats
		setMemory(&got, &c.in)
		text, err := json.Marshal(&got)
		if active := regexp.MustCompile(`"active":\d+`).FindString(string(text)); err != nil || active != c.active {
			t.Errorf("%+v: %s, %v", c.in, text, err)
		}
		if got.Granted != 5 || got.Resident != 4 || got.Target != 7 || got.Balloon != 2 || got.Waiting != 1 {
			t.Errorf("%+v: %+v", c.in, got)
		}
	}
}

func TestErrorsHaveTheirCodes(t *testing.T) {
	for err, want := range map[error]api.Code{
		vm.ErrNotFound: api.CodeNotFound, vm.ErrExists: api.CodeExists, vm.ErrInvalid: api.CodeInvalid, vm.ErrImage: api.CodeInvalid,
		vm.ErrNoMemory: api.CodeFull, vm.ErrNoProcessors: api.CodeFull, vm.ErrNoRoom: api.CodeFull,
		vm.ErrClosing: api.CodeConflict, vm.ErrHalted: api.CodeConflict, vm.ErrNoShare: api.CodeConflict,
		&vm.StateError{}: api.CodeConflict, &vm.RevisionError{}: api.CodeStale,
	} {
		if got := code(t, fault(fmt.Errorf("demo: %w", err))); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
		if text := fault(err).Error(); strings.HasPrefix(text, "vm: ") {
			t.Errorf("%q begins with a package's name", text)
		}
	}
}

func TestPoolsAreThoseOfTheManager(t *testing.T) {
	images := datastore.NewMemory(1<<20, nil)
	if err := images.AddFile(&seed.File{Name: "k", Data: []byte("kernel")}); err != nil {
		t.Fatal(err)
	}
	m := vm.NewManager(fourProcessors{}, vm.Host{}, slog.New(slog.DiscardHandler), io.Discard, images)
	s := New(m)
	if err := m.AddPools([]seed.Pool{{Name: "web", CPU: seed.Share{Shares: 5, Reservation: 500}, Memory: seed.Share{Shares: 6, Reservation: 8 << 20}}, {Name: "in", Parent: "web"}}); err != nil {
		t.Fatal(err)
	}
	for i, in := range []struct{ cpu, memory string }{{"web", ""}, {"web", "web"}, {"", "web"}, {"", ""}} {
		v := spec(fmt.Sprint("v", i), fmt.Sprintf("0000000%d-0000-4000-8000-000000000009", i))
		v.CPU.Pool, v.Memory.Pool = in.cpu, in.memory
		if _, _, err := s.Create(v); err != nil {
			t.Fatal(err)
		}
	}
	want := api.Pool{Name: "web", CPU: seed.Share{Shares: 5, Reservation: 500}, Memory: seed.Share{Shares: 6, Reservation: 8 << 20}, VMs: 3, Used: 7, Reserved: 500, Committed: 8 << 20}
	if got := s.Pools(); len(got) != 2 || got[0] != want || got[1].Parent != "web" || got[1].VMs != 0 {
		t.Errorf("%+v, want %+v", got, want)
	}
	if c := code(t, s.SetPool("web", seed.Share{Shares: 1, Reservation: 3100}, want.Memory)); c != api.CodeFull {
		t.Errorf("more than there is: %s", c)
	}
	if c := code(t, s.SetPool("web", want.CPU, seed.Share{Shares: 1, Reservation: 2 << 30})); c != api.CodeFull {
		t.Errorf("more memory than there is: %s", c)
	}
	if c := code(t, s.SetPool("none", want.CPU, want.Memory)); c != api.CodeNotFound {
		t.Errorf("a pool that there isn't: %s", c)
	}
	if err := s.SetPool("web", seed.Share{Shares: 9, Limit: 1000}, seed.Share{Shares: 9}); err != nil || s.Pools()[0].CPU.Limit != 1000 || s.Pools()[0].Committed != 0 {
		t.Errorf("%v %+v", err, s.Pools())
	}
}
