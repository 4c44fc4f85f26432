package machines

import (
	"context"
	"errors"

	"keel/vmkernel/api"
	"keel/vmkernel/api/backend"
	"keel/vmkernel/console"
	"keel/vmkernel/seed"
	"keel/vmkernel/vm"
)

// VMs is a Manager as backend.VMs.
type VMs struct{ m *vm.Manager }

var _ backend.VMs = VMs{}

// New puts m's VMs behind the API.
func New(m *vm.Manager) VMs { return VMs{m} }

// machine is a VM as backend.VM.
type machine struct{ v *vm.VM }

func (s VMs) List() []backend.VM {
	list := s.m.List()
	out := make([]backend.VM, len(list))
	for i, v := range list {
		out[i] = machine{v}
	}
	return out
}

func (s VMs) Find(ref string) (backend.VM, error) {
	v, err := s.m.Find(ref)
	if err != nil {
		return nil, fault(err)
	}
	return machine{v}, nil
}

func (s VMs) Create(spec seed.VM) (backend.VM, bool, error) {
	v, created, err := s.m.Create(spec)
	if err != nil {
		return nil, false, fault(err)
	}
	return machine{v}, created, nil
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
	out := api.VMStats{State: status.State.String(), Memory: status.Spec.Memory.Size, Exits: s.Exits}
	if out.Exits == nil {
		out.Exits = map[string]uint64{}
	}
	c := &s.CPU
	out.Used, out.Ready, out.Limited, out.Blocked, out.Paused, out.Stolen, out.Longest = c.Used, c.Ready, c.Limited, c.Blocked, c.Paused, c.Stolen, c.LongestWait
	if memory, on := m.v.MemoryStats(); on {
		setMemory(&out, &memory)
	}
	return out
}

// setMemory says how a running VM stands with the host's memory.
func setMemory(out *api.VMStats, s *vm.MemoryStats) {
	out.Resident, out.Granted, out.Target, out.Balloon, out.Waiting = s.Resident, s.Granted, s.Target, s.Ballooned, s.Waiting
	if s.ActiveKnown {
		out.Active = &s.Active
	}
}
