package main

import (
	"context"
	"errors"

	"keel/vmkernel/api"
	"keel/vmkernel/api/server"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
	"keel/vmkernel/vm"
)

// managedVMs are the VMs as the door shows them: server.VMs.
type managedVMs struct{ *vm.Manager }

// managedVM is one: server.VM.
type managedVM struct{ *vm.VM }

// ofVM puts an error of package vm into the door's words. Others it knows itself.
func ofVM(err error) error {
	var state *vm.StateError
	var revision *vm.RevisionError
	code := api.Code("")
	switch {
	case err == nil:
		return nil
	case errors.As(err, &state):
		code = api.CodeConflict
	case errors.As(err, &revision):
		code = api.CodeStale
	case errors.Is(err, vm.ErrNotFound):
		code = api.CodeNotFound
	case errors.Is(err, vm.ErrExists):
		code = api.CodeExists
	case errors.Is(err, vm.ErrInvalid):
		code = api.CodeInvalid
	case errors.Is(err, vm.ErrNoMemory), errors.Is(err, vm.ErrNoRoom):
		code = api.CodeFull
	default:
		return err
	}
	return &api.Error{Code: code, Message: err.Error()}
}

// List implements server.VMs.
func (m managedVMs) List() []server.VM {
	all := m.Manager.List()
	list := make([]server.VM, len(all))
	for i, v := range all {
		list[i] = managedVM{v}
	}
	return list
}

// Find implements server.VMs.
func (m managedVMs) Find(ref string) (server.VM, error) {
	v, err := m.Manager.Find(ref)
	if err != nil {
		return nil, ofVM(err)
	}
	return managedVM{v}, nil
}

// Create implements server.VMs.
func (m managedVMs) Create(spec seed.VM) (server.VM, bool, error) {
	v, created, err := m.Manager.Create(spec)
	if err != nil {
		return nil, false, ofVM(err)
	}
	return managedVM{v}, created, nil
}

// Delete implements server.VMs.
func (m managedVMs) Delete(ctx context.Context, v server.VM, kill bool) error {
	return ofVM(m.Manager.Delete(ctx, v.(managedVM).VM, kill))
}

// Events implements server.VMs.
func (m managedVMs) Events() server.Events { return vmEvents{m.Subscribe(m.LastEvent())} }

type vmEvents struct{ *vm.Subscription }

// eventKinds are the door's names of what happens to VMs.
var eventKinds = map[vm.EventKind]string{
	vm.Created: "vm.created", vm.Updated: "vm.updated", vm.Deleted: "vm.deleted", vm.PoweringOn: "vm.starting", vm.Started: "vm.started",
	vm.NotStarted: "vm.not-started", vm.AskedOff: "vm.stopping", vm.Ended: "vm.stopped", vm.Crashed: "vm.crashed",
	vm.AtRest: "vm.paused", vm.GoesOn: "vm.resumed", vm.SentNMI: "vm.nmi",
}

// Next implements server.Events.
func (s vmEvents) Next(ctx context.Context) (api.Event, map[string]string, uint64, error) {
	e, missed, err := s.Subscription.Next(ctx)
	if err != nil {
		return api.Event{}, nil, 0, err
	}
	out := api.Event{Time: e.Time, Kind: eventKinds[e.Kind], VM: e.VM, ID: e.ID, Data: map[string]string{"state": e.State.String()}}
	if e.Reason != "" {
		out.Data["reason"] = e.Reason
	}
	return out, e.Labels, missed, nil
}

// Spec implements server.VM.
func (v managedVM) Spec() (*seed.VM, uint64) {
	s := v.VM.Status()
	return s.Spec, s.Revision
}

// Status implements server.VM.
func (v managedVM) Status(out *api.VM) {
	s := v.VM.Status()
	out.State, out.Since = s.State.String(), s.Since.UTC()
	switch {
	case s.LastError != "":
		out.Reason = s.LastError
	case s.LastStop != nil:
		out.Reason = s.LastStop.String()
	}
}

// Stats implements server.VM.
func (v managedVM) Stats() api.VMStats {
	s, _ := v.VM.Stats()
	spec := v.VM.Spec()
	out := api.VMStats{State: v.State().String(), Exits: s.Exits, Memory: spec.Memory.Size, Resident: s.Resident}
	if out.Exits == nil {
		out.Exits = map[string]uint64{}
	}
	out.BalloonTaken = uint64(s.Balloon.Actual)
	h, on := v.Handle()
	for i := 0; on && i < spec.CPU.Count; i++ {
		var w sys.WorldStats
		if sys.GetVCPUStats(h, i, &w) == nil {
			out.Used += w.Used
			out.Ready += w.Ready
			out.Blocked += w.Blocked
			out.Stolen += w.Stolen
		}
	}
	return out
}

// Update implements server.VM.
func (v managedVM) Update(spec seed.VM, revision uint64) error {
	return ofVM(v.VM.Update(spec, revision))
}

// Start implements server.VM.
func (v managedVM) Start(ctx context.Context) error { return ofVM(v.VM.Start(ctx)) }

// Shutdown implements server.VM.
func (v managedVM) Shutdown(ctx context.Context) error { return ofVM(v.VM.Shutdown(ctx)) }

// Kill implements server.VM.
func (v managedVM) Kill(ctx context.Context) error { return ofVM(v.VM.Kill(ctx)) }

// Pause implements server.VM.
func (v managedVM) Pause(ctx context.Context) error { return ofVM(v.VM.Pause(ctx)) }

// Resume implements server.VM.
func (v managedVM) Resume() error { return ofVM(v.VM.Resume()) }

// Reset implements server.VM.
func (v managedVM) Reset() error { return ofVM(v.VM.Reset()) }

// NMI implements server.VM.
func (v managedVM) NMI() error { return ofVM(v.VM.NMI()) }
