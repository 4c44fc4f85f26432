package backend

import (
	"context"

	"keel/vmkernel/api"
	"keel/vmkernel/console"
	"keel/vmkernel/seed"
)

// VMs holds the virtual machines. Errors are *api.Error, or a fault of Keel's.
type VMs interface {
	List() []VM
	Find(ref string) (VM, error) // by name or id
	// Create takes a VM, not started; created is false where it was there from the same description.
	Create(spec seed.VM) (v VM, created bool, err error)
	Delete(ctx context.Context, v VM, revision uint64, kill bool) error // revision 0: any
	// Pools are those that VMs can be in, parents first.
	Pools() []api.Pool
	// SetPool changes what a pool has, in the ranges of a seed.
	SetPool(name string, cpu, memory seed.Share) error
	// Events reads what happens to VMs, from now on.
	Events() Events
	// Hold keeps the host from being idle until release is called.
	Hold() (release func())
}

// Events reads events, for one goroutine.
type Events interface {
	// Next waits for the next one. missed is how many before it are lost.
	Next(ctx context.Context) (e api.Event, labels map[string]string, missed uint64, err error)
}

// VM is a virtual machine. What waits ends with its context's error.
type VM interface {
	// Spec is the description, not to be written to, and its revision, another after each change.
	Spec() (spec *seed.VM, revision uint64)
	// Status fills all but Spec and Serial.
	Status(*api.VM)
	Stats() api.VMStats
	Console(port string) *console.Port // nil: there is none of that name

	Update(spec seed.VM, revision uint64) error // revision 0: any
	Start(ctx context.Context) error
	Shutdown(ctx context.Context) error
	Kill(ctx context.Context) error
	Pause(ctx context.Context) error
	Resume() error
	Reset() error
	NMI() error
}

// Host is the machine and what Keel knows of it. Errors are *api.Error, or a fault of Keel's.
type Host interface {
	// Info fills all but what the server knows itself: images, VMs, version, boot. Problems that may name VMs begin with
	// LastError, or are lines of Seed.Others: not everybody may see these.
	Info() api.Host
	Time() api.HostTime
	SetTime(api.HostTimeSet) error
	Network() api.Network
	// SetNetwork tries a configuration: it takes effect when the answer has gone out, and reverts unless confirmed.
	SetNetwork(api.NetworkConfig) error
	ConfirmNetwork() error
	Worlds() []api.World
	Metrics() []Metric
	// Stop shuts the host down or restarts it, once all VMs have stopped: by their power buttons, or at once with force.
	// It returns when ctx ends before that, or when it fails.
	Stop(ctx context.Context, restart, force bool, progress func(api.Progress)) error
}

// LastError begins the problem that is the last error in the host's log.
const LastError = "last error: "

// Metric is a family of samples, as Prometheus' text format (version 0.0.4) has them. It is written by hand, since
// client_golang would make the compressed image 15 % larger (4.16 MB to 4.79), and past its goal.
type Metric struct {
	Name, Help string
	Kind       string // counter or gauge
	Samples    []Sample
}

// Sample is a value with what tells it from the others of its family.
type Sample struct {
	Labels []string // name, value, name, value, …
	Value  float64
}
