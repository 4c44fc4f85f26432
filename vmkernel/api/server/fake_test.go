package server

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/console"
	"keel/vmkernel/seed"
)

// fakeVMs are VMs without a machine, whose consoles echo.
type fakeVMs struct {
	mu      sync.Mutex
	list    []*fakeVM
	events  chan fakeEvent
	creates int // that did something
}

type fakeEvent struct {
	api.Event
	labels map[string]string
}

type fakeVM struct {
	all      *fakeVMs
	mu       sync.Mutex
	spec     seed.VM
	made     seed.VM
	revision uint64
	state    string
	since    time.Time
	port     console.Port
	block    chan struct{} // Start and Shutdown wait for it, if it is there
}

func newFakeVMs() *fakeVMs { return &fakeVMs{events: make(chan fakeEvent, 1000)} }

func (f *fakeVMs) List() (out []VM) {
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

func (f *fakeVMs) Find(ref string) (VM, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v := f.find(ref); v != nil {
		return v, nil
	}
	return nil, failf(api.CodeNotFound, "vm: there is no VM %s", ref)
}

func (f *fakeVMs) Create(spec seed.VM) (VM, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v := f.find(spec.ID); v != nil {
		if reflect.DeepEqual(v.made, spec) {
			return v, false, nil
		}
		return nil, false, failf(api.CodeExists, "vm: %s has the id of %s", spec.Name, v.spec.Name)
	}
	if v := f.find(spec.Name); v != nil {
		return nil, false, failf(api.CodeExists, "vm: there is a VM named %s already", spec.Name)
	}
	v := &fakeVM{all: f, spec: spec, made: spec, revision: 1, state: api.Stopped, since: time.Now()}
	f.list = append(f.list, v)
	f.creates++
	v.event("created")
	return v, true, nil
}

func (f *fakeVMs) Delete(_ context.Context, v VM, _ bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := v.(*fakeVM)
	if one.now() != api.Stopped {
		return failf(api.CodeConflict, "vm: it runs")
	}
	f.list = slices.DeleteFunc(f.list, func(o *fakeVM) bool { return o == one })
	one.port.Close()
	one.event("deleted")
	return nil
}

func (f *fakeVMs) Hold() func() { return func() {} }

func (f *fakeVMs) Events() Events { return f }

func (f *fakeVMs) Next(ctx context.Context) (api.Event, map[string]string, uint64, error) {
	select {
	case e := <-f.events:
		return e.Event, e.labels, 0, nil
	case <-ctx.Done():
		return api.Event{}, nil, 0, ctx.Err()
	}
}

func (v *fakeVM) event(kind string) {
	select {
	case v.all.events <- fakeEvent{api.Event{Time: time.Now(), Kind: "vm." + kind, VM: v.spec.Name, ID: v.spec.ID}, v.spec.Labels}:
	default:
	}
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

func (v *fakeVM) Console(port string) *console.Port {
	if port != "ttyS0" {
		return nil
	}
	return &v.port
}

func (v *fakeVM) Update(spec seed.VM, revision uint64) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if revision != 0 && revision != v.revision {
		return failf(api.CodeStale, "vm: it has changed")
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
		return failf(api.CodeConflict, "vm: %s is %s", v.spec.Name, v.state)
	}
	v.state, v.since = state, time.Now()
	switch state {
	case api.Running:
		v.port.Connect(echo{v})
	case api.Stopped:
		v.port.Disconnect(echo{v})
	}
	v.event(state)
	return nil
}

// echo is a guest that sends back what is typed.
type echo struct{ v *fakeVM }

func (e echo) Poke() {
	var b [16]byte
	for n := len(b); n == len(b); {
		n = e.v.port.Pull(b[:])
		for _, c := range b[:n] {
			e.v.port.Put(c)
		}
	}
}

func (v *fakeVM) Start(ctx context.Context) error {
	if err := v.to(api.Starting, api.Stopped); err != nil {
		return err
	}
	if err := v.wait(ctx); err != nil {
		v.to(api.Stopped, api.Starting)
		return err
	}
	return v.to(api.Running, api.Starting)
}

func (v *fakeVM) wait(ctx context.Context) error {
	v.mu.Lock()
	block := v.block
	v.mu.Unlock()
	if block == nil {
		return nil
	}
	select {
	case <-block:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (v *fakeVM) Shutdown(ctx context.Context) error {
	if err := v.to(api.Stopping, api.Running); err != nil {
		return err
	}
	if err := v.wait(ctx); err != nil {
		v.to(api.Running, api.Stopping)
		return err
	}
	return v.to(api.Stopped, api.Stopping)
}

func (v *fakeVM) Kill(context.Context) error {
	return v.to(api.Stopped, api.Running, api.Paused, api.Stopping, api.Starting)
}
func (v *fakeVM) Pause(context.Context) error { return v.to(api.Paused, api.Running) }
func (v *fakeVM) Resume() error               { return v.to(api.Running, api.Paused) }
func (v *fakeVM) Reset() error                { return v.to(api.Running, api.Running, api.Paused) }
func (v *fakeVM) NMI() error                  { return v.to(api.Running, api.Running) }

// fakeHost is a host that does nothing but remember.
type fakeHost struct {
	mu      sync.Mutex
	network api.NetworkConfig
	pending *api.Pending
	time    api.HostTime
	stops   []string
}

func (h *fakeHost) Info() api.Host {
	return api.Host{State: "ready", Started: time.Unix(1_700_000_000, 0).UTC(),
		Hardware:  api.Hardware{CPUs: 2, Virtualisation: "vt-x", TSCHz: 80_000_000, ClockSource: "hpet", Memory: 1 << 30},
		Resources: api.HostResources{MemoryUsed: 10 << 20, MemoryFree: 900 << 20, Worlds: 9}}
}

func (h *fakeHost) Time() api.HostTime {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.time
	t.Now, t.Source = time.Now().UTC(), "sntp"
	return t
}

func (h *fakeHost) SetTime(in api.HostTimeSet) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if in.Servers != nil {
		h.time.Servers = *in.Servers
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
		return failf(api.CodeConflict, "net: no change waits for confirmation")
	}
	h.pending = nil
	return nil
}

func (h *fakeHost) Worlds() []api.World {
	return []api.World{{ID: 1, Kind: "thread", State: "running", Used: 5e9}, {ID: 2, Kind: "vcpu", VM: "demo", State: "blocked"}}
}

func (h *fakeHost) Metrics() []Metric {
	return []Metric{{"keel_network_bytes_total", "Bytes of the host's network.", "counter", []Sample{{[]string{"direction", "in"}, 12}}}}
}

func (h *fakeHost) Stop(ctx context.Context, restart, force bool, progress func(api.Progress)) error {
	h.mu.Lock()
	h.stops = append(h.stops, fmt.Sprint(restart, force))
	h.mu.Unlock()
	progress(api.Progress{Done: 1, Total: 2, Unit: "vms"})
	<-ctx.Done()
	return ctx.Err()
}
