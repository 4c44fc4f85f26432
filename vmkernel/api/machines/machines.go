package machines

import (
	"context"
	"errors"

	"keel/vmkernel/api"
	"keel/vmkernel/api/backend"
	"keel/vmkernel/console"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
	"keel/vmkernel/vm"
)

// VMs is a Manager as backend.VMs.
type VMs struct {
	m     *vm.Manager
	tscHz uint64
}

var _ backend.VMs = VMs{}

// New puts m's VMs behind the API. tscHz is the frequency of the host's time-stamp counter.
func New(m *vm.Manager, tscHz uint64) VMs { return VMs{m, tscHz} }

// machine is a VM as backend.VM.
type machine struct {
	v     *vm.VM
	tscHz uint64
}

func (s VMs) List() []backend.VM {
	list := s.m.List()
	out := make([]backend.VM, len(list))
	for i, v := range list {
		out[i] = machine{v, s.tscHz}
	}
	return out
}

func (s VMs) Find(ref string) (backend.VM, error) {
	v, err := s.m.Find(ref)
	if err != nil {
		return nil, fault(err)
	}
	return machine{v, s.tscHz}, nil
}

func (s VMs) Create(spec seed.VM) (backend.VM, bool, error) {
	v, created, err := s.m.Create(spec)
	if err != nil {
		return nil, false, fault(err)
	}
	return machine{v, s.tscHz}, created, nil
}

func (s VMs) Delete(ctx context.Context, v backend.VM, revision uint64, kill bool) error {
	return fault(s.m.Delete(ctx, v.(machine).v, revision, kill))
}

func (s VMs) Hold() func() { return s.m.Hold() }

func (s VMs) Events() backend.Events { return events{s.m.Subscribe(s.m.LastEvent())} }

type events struct{ s *vm.Subscription }

func (e events) Next(ctx context.Context) (api.Event, map[string]string, uint64, error) {
	ev, missed, err := e.s.Next(ctx)
	if err != nil {
		return api.Event{}, nil, 0, err
	}
	out := api.Event{Time: ev.Time, Kind: "vm." + string(ev.Kind), VM: ev.VM, ID: ev.ID, Data: map[string]string{"state": ev.State.String()}}
	if ev.Kind == vm.NotStarted {
		out.Kind = "vm.not-started"
	}
	if ev.Reason != "" {
		out.Data["reason"] = ev.Reason
	}
	return out, ev.Labels, missed, nil
}

func (m machine) Spec() (*seed.VM, uint64) {
	s := m.v.Status()
	return s.Spec, s.Revision
}

func (m machine) Status(out *api.VM) {
	s := m.v.Status()
	out.State, out.Since, out.Alone = s.State.String(), s.Since.UTC(), m.v.Exclusive()
	switch {
	case s.LastError != "":
		out.Reason = "not started: " + api.Bare(s.LastError)
	case s.LastStop != nil:
		out.Reason = s.LastStop.String()
	}
}

func (m machine) Console(port string) *console.Port { return m.v.Console(port) }

func (m machine) Update(spec seed.VM, revision uint64) error {
	return fault(m.v.Update(spec, revision))
}
func (m machine) Start(ctx context.Context) error    { return fault(m.v.Start(ctx)) }
func (m machine) Shutdown(ctx context.Context) error { return fault(m.v.Shutdown(ctx)) }
func (m machine) Kill(ctx context.Context) error     { return fault(m.v.Kill(ctx)) }
func (m machine) Pause(ctx context.Context) error    { return fault(m.v.Pause(ctx)) }
func (m machine) Resume() error                      { return fault(m.v.Resume()) }
func (m machine) Reset() error                       { return fault(m.v.Reset()) }
func (m machine) NMI() error                         { return fault(m.v.NMI()) }

// fault gives an error its code. What isn't known here goes on as it is.
func fault(err error) error {
	var state *vm.StateError
	var revision *vm.RevisionError
	code := api.Code("")
	switch {
	case err == nil:
		return nil
	case errors.As(err, &revision):
		code = api.CodeStale
	case errors.As(err, &state), errors.Is(err, vm.ErrClosing), errors.Is(err, vm.ErrHalted), errors.Is(err, vm.ErrNoShare):
		code = api.CodeConflict
	case errors.Is(err, vm.ErrNotFound):
		code = api.CodeNotFound
	case errors.Is(err, vm.ErrExists):
		code = api.CodeExists
	case errors.Is(err, vm.ErrInvalid), errors.Is(err, vm.ErrImage):
		code = api.CodeInvalid
	case errors.Is(err, vm.ErrNoMemory), errors.Is(err, vm.ErrNoProcessors), errors.Is(err, vm.ErrNoRoom):
		code = api.CodeFull
	default:
		return err
	}
	e := &api.Error{Code: code, Message: api.Bare(err.Error())}
	if state != nil {
		e.Details = map[string]string{"state": state.Is.String()}
	}
	return e
}

func (m machine) Stats() api.VMStats {
	status := m.v.Status()
	s, _ := m.v.Stats()
	out := api.VMStats{State: status.State.String(), Memory: status.Spec.Memory.Size, Resident: s.Resident, Exits: s.Exits, Balloon: uint64(s.Balloon.Actual) << 12}
	if out.Exits == nil {
		out.Exits = map[string]uint64{}
	}
	out.Used = m.ns(s.Guest + s.Outside)
	if h, on := m.v.Handle(); on {
		if all, ok := times(h, status.Spec.CPU.Count); ok {
			// The handle's next owner must not be taken for this VM.
			if again, on := m.v.Handle(); on && again == h {
				out.Used, out.Ready, out.Blocked, out.Stolen = all.Used, all.Ready, all.Blocked, all.Stolen
			}
		}
	}
	return out
}

// times sums where the virtual processors' time went; ok is false where the lower half doesn't say.
func times(h sys.VMHandle, cpus int) (sum sys.WorldStats, ok bool) {
	for i := range cpus {
		var w sys.WorldStats
		if sys.GetVCPUStats(h, i, &w) != nil {
			return sum, false
		}
		sum.Used += w.Used
		sum.Ready += w.Ready
		sum.Blocked += w.Blocked + w.Paused
		sum.Stolen += w.Stolen
	}
	return sum, true
}

// ns is ticks of the time-stamp counter in ns. Some 500 years of them don't wrap.
func (m machine) ns(ticks uint64) uint64 {
	if m.tscHz == 0 {
		return 0
	}
	return ticks/m.tscHz*1e9 + ticks%m.tscHz*1000/max(m.tscHz/1_000_000, 1)
}
