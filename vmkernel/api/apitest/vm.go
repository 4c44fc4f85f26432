package apitest

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/console"
	"keel/vmkernel/seed"
)

// VM is one of VMs.
type VM struct {
	Port console.Port // ttyS0

	all      *VMs
	mu       sync.Mutex
	spec     seed.VM
	made     seed.VM
	revision uint64
	state    string
	since    time.Time
}

// Made is the description that the VM was made of.
func (v *VM) Made() seed.VM { return v.made }

// State is the VM's state.
func (v *VM) State() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.state
}

// To changes the state, if it is one of from.
func (v *VM) To(state string, from ...string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !slices.Contains(from, v.state) {
		return failf(api.CodeConflict, "%s is %s", v.spec.Name, v.state)
	}
	v.state, v.since = state, time.Now()
	switch state {
	case api.Running:
		v.Port.Connect(guest{v})
	case api.Stopped:
		v.Port.Disconnect(guest{v})
	}
	v.event(state)
	return nil
}

func (v *VM) event(kind string) {
	select {
	case v.all.events <- event{api.Event{Time: time.Now(), Kind: "vm." + kind, VM: v.spec.Name, ID: v.spec.ID}, v.spec.Labels}:
	default:
	}
}

// guest is what runs in a VM.
type guest struct{ v *VM }

func (g guest) Poke() {
	var typed [16]byte
	for n := len(typed); n == len(typed); {
		n = g.v.Port.Pull(typed[:])
		for _, b := range typed[:n] {
			if 'a' <= b && b <= 'z' {
				b -= 'a' - 'A'
			}
			g.v.Port.Put(b)
		}
	}
}

// Spec is the server's, as are the methods that follow.
func (v *VM) Spec() (*seed.VM, uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	spec := v.spec
	return &spec, v.revision
}

func (v *VM) Status(out *api.VM) {
	v.mu.Lock()
	defer v.mu.Unlock()
	out.State, out.Since = v.state, v.since.UTC()
	if v.spec.CPU.Exclusive && v.state != api.Stopped {
		out.Alone = v.spec.CPU.Affinity
	}
}

func (v *VM) Stats() api.VMStats {
	active := uint64(5 << 20)
	return api.VMStats{State: v.State(), Used: 1e9, Memory: v.spec.Memory.Size, Granted: 12 << 20, Active: &active, Target: 24 << 20, Exits: map[string]uint64{"cpuid": 7, "io": 9}}
}

func (v *VM) Console(port string) *console.Port {
	if port != "ttyS0" {
		return nil
	}
	return &v.Port
}

func (v *VM) Update(spec seed.VM, revision uint64) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if revision != 0 && revision != v.revision {
		return failf(api.CodeStale, "%s has changed", v.spec.Name)
	}
	if fixed := v.spec.Memory.Size != spec.Memory.Size || v.spec.CPU.Count != spec.CPU.Count || !reflect.DeepEqual(v.spec.Boot, spec.Boot); fixed && v.state != api.Stopped {
		return failf(api.CodeConflict, "%s is %s: to change that it has to be stopped", v.spec.Name, v.state)
	}
	v.spec = spec
	v.revision++
	return nil
}

func (v *VM) Start(ctx context.Context) error {
	return v.slowly(ctx, api.Stopped, api.Starting, api.Running)
}

func (v *VM) Shutdown(ctx context.Context) error {
	return v.slowly(ctx, api.Running, api.Stopping, api.Stopped)
}

// slowly changes the state by way of another, and back if ctx ends while it waits there.
func (v *VM) slowly(ctx context.Context, from, by, to string) error {
	if err := v.To(by, from); err != nil {
		return err
	}
	if err := v.all.wait(ctx); err != nil {
		v.To(from, by)
		return err
	}
	return v.To(to, by)
}

func (v *VM) Kill(context.Context) error {
	return v.To(api.Stopped, api.Running, api.Paused, api.Stopping, api.Starting)
}

func (v *VM) Pause(context.Context) error { return v.To(api.Paused, api.Running) }
func (v *VM) Resume() error               { return v.To(api.Running, api.Paused) }
func (v *VM) Reset() error                { return v.To(api.Running, api.Running, api.Paused) }
func (v *VM) NMI() error                  { return v.To(api.Running, api.Running) }
