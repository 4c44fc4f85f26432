package main

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/api/server"
	ports "keel/vmkernel/console"
	"keel/vmkernel/seed"
)

// fakeVMs are VMs whose guests send back what is typed, in capitals.
type fakeVMs struct {
	mu     sync.Mutex
	list   []*fakeVM
	events chan api.Event
	slow   chan struct{} // starts wait for it, if it is there
}

type fakeVM struct {
	all      *fakeVMs
	mu       sync.Mutex
	spec     seed.VM
	made     seed.VM
	revision uint64
	state    string
	since    time.Time
	port     ports.Port
}

func newFakeVMs() *fakeVMs { return &fakeVMs{events: make(chan api.Event, 100)} }

func refusal(code api.Code, format string, args ...any) error {
	return &api.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func (f *fakeVMs) List() (out []server.VM) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range f.list {
		out = append(out, v)
	}
	return out
}

func (f *fakeVMs) find(ref string) *fakeVM {
	for _, v := range f.list {
		if spec, _ := v.Spec(); spec.Name == ref || spec.ID == ref {
			return v
		}
	}
	return nil
}

func (f *fakeVMs) Find(ref string) (server.VM, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v := f.find(ref); v != nil {
		return v, nil
	}
	return nil, refusal(api.CodeNotFound, "there is no VM %s", ref)
}

func (f *fakeVMs) Create(spec seed.VM) (server.VM, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v := f.find(spec.ID); v != nil && reflect.DeepEqual(v.made, spec) {
		return v, false, nil
	} else if v != nil || f.find(spec.Name) != nil {
		return nil, false, refusal(api.CodeExists, "there is a VM named %s already", spec.Name)
	}
	v := &fakeVM{all: f, spec: spec, made: spec, revision: 1, state: api.Stopped, since: time.Now()}
	f.list = append(f.list, v)
	v.event("created")
	return v, true, nil
}

func (f *fakeVMs) Delete(_ context.Context, v server.VM, _ bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := v.(*fakeVM)
	if one.now() != api.Stopped {
		return refusal(api.CodeConflict, "%s runs", one.spec.Name)
	}
	f.list = slices.DeleteFunc(f.list, func(o *fakeVM) bool { return o == one })
	one.port.Close()
	return nil
}

func (f *fakeVMs) Hold() func()          { return func() {} }
func (f *fakeVMs) Events() server.Events { return f }

func (f *fakeVMs) Next(ctx context.Context) (api.Event, map[string]string, uint64, error) {
	select {
	case e := <-f.events:
		return e, nil, 0, nil
	case <-ctx.Done():
		return api.Event{}, nil, 0, ctx.Err()
	}
}

func (v *fakeVM) event(kind string) {
	v.all.events <- api.Event{Time: time.Now(), Kind: "vm." + kind, VM: v.spec.Name, ID: v.spec.ID}
}

func (v *fakeVM) now() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.state
}

func (v *fakeVM) Spec() (*seed.VM, uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	spec := v.spec
	return &spec, v.revision
}

func (v *fakeVM) Status(out *api.VM) {
	v.mu.Lock()
	defer v.mu.Unlock()
	out.State, out.Since = v.state, v.since.UTC()
}

func (v *fakeVM) Stats() api.VMStats {
	return api.VMStats{State: v.now(), Used: 1e9, Memory: v.spec.Memory.Size, Exits: map[string]uint64{"cpuid": 7, "io": 9}}
}

func (v *fakeVM) Console(port string) *ports.Port {
	if port != "ttyS0" {
		return nil
	}
	return &v.port
}

func (v *fakeVM) Update(spec seed.VM, revision uint64) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if revision != 0 && revision != v.revision {
		return refusal(api.CodeStale, "%s has changed", v.spec.Name)
	}
	v.spec = spec
	v.revision++
	return nil
}

// to changes the state, if it is one of from.
func (v *fakeVM) to(state string, from ...string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !slices.Contains(from, v.state) {
		return refusal(api.CodeConflict, "%s is %s", v.spec.Name, v.state)
	}
	v.state, v.since = state, time.Now()
	switch state {
	case api.Running:
		v.port.Connect(guest{v})
	case api.Stopped:
		v.port.Disconnect(guest{v})
	}
	v.event(state)
	return nil
}

// guest is what runs in a fakeVM.
type guest struct{ v *fakeVM }

func (g guest) Poke() {
	var typed [16]byte
	for n := len(typed); n == len(typed); {
		n = g.v.port.Pull(typed[:])
		for _, b := range typed[:n] {
			if 'a' <= b && b <= 'z' {
				b -= 'a' - 'A'
			}
			g.v.port.Put(b)
		}
	}
}

func (v *fakeVM) Start(ctx context.Context) error {
	if err := v.to(api.Starting, api.Stopped); err != nil {
		return err
	}
	if v.all.slow != nil {
		select {
		case <-v.all.slow:
		case <-ctx.Done():
			v.to(api.Stopped, api.Starting)
			return ctx.Err()
		}
	}
	return v.to(api.Running, api.Starting)
}

func (v *fakeVM) Shutdown(context.Context) error { return v.to(api.Stopped, api.Running) }
func (v *fakeVM) Kill(context.Context) error {
	return v.to(api.Stopped, api.Running, api.Paused, api.Starting)
}
func (v *fakeVM) Pause(context.Context) error { return v.to(api.Paused, api.Running) }
func (v *fakeVM) Resume() error               { return v.to(api.Running, api.Paused) }
func (v *fakeVM) Reset() error                { return v.to(api.Running, api.Running, api.Paused) }
func (v *fakeVM) NMI() error                  { return v.to(api.Running, api.Running) }

// fakeHost is a machine that remembers what it was told.
type fakeHost struct {
	mu       sync.Mutex
	network  api.NetworkConfig
	pending  *api.Pending
	servers  []string
	problems []string
	used     uint64 // processor time of the vCPU's world
	stopped  func() // what a stop does
	metrics  []server.Metric
}

func (h *fakeHost) Info() api.Host {
	h.mu.Lock()
	defer h.mu.Unlock()
	health := api.Health{State: "ok", Problems: h.problems}
	return api.Host{State: "ready", Started: time.Now().Add(-time.Hour).UTC(), Health: health,
		Hardware: api.Hardware{CPUs: 2, Virtualisation: "vt-x", TSCHz: 80_000_000, ClockSource: "hpet", Memory: 1 << 30,
			Cards: []api.Card{{Address: "0000:00:03.0", Driver: "e1000"}, {Address: "0000:00:04.0"}}},
		Resources: api.HostResources{MemoryUsed: 10 << 20, MemoryFree: 900 << 20, Worlds: 9}}
}

func (h *fakeHost) Time() api.HostTime {
	h.mu.Lock()
	defer h.mu.Unlock()
	return api.HostTime{Now: time.Now().UTC(), Source: "sntp", Servers: h.servers}
}

func (h *fakeHost) SetTime(in api.HostTimeSet) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if in.Servers != nil {
		h.servers = *in.Servers
	}
	return nil
}

func (h *fakeHost) Network() api.Network {
	h.mu.Lock()
	defer h.mu.Unlock()
	return api.Network{Card: api.Card{Address: "0000:00:03.0", Driver: "e1000"}, Config: h.network, Pending: h.pending}
}

func (h *fakeHost) SetNetwork(in api.NetworkConfig) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pending = &api.Pending{Until: time.Now().Add(time.Minute).UTC(), Old: h.network}
	h.network = in
	return nil
}

func (h *fakeHost) ConfirmNetwork() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pending == nil {
		return refusal(api.CodeConflict, "no change waits for confirmation")
	}
	h.pending = nil
	return nil
}

func (h *fakeHost) Worlds() []api.World {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.used += 5e8
	return []api.World{{ID: 1, Kind: "thread", State: "running"}, {ID: 2, Kind: "vcpu", VM: "demo", State: "running", Used: h.used}}
}

func (h *fakeHost) Metrics() []server.Metric { return h.metrics }

func (h *fakeHost) Stop(ctx context.Context, _, _ bool, progress func(api.Progress)) error {
	progress(api.Progress{Done: 1, Total: 2, Unit: "vms"})
	if h.stopped != nil {
		go h.stopped()
	}
	<-ctx.Done()
	return ctx.Err()
}
