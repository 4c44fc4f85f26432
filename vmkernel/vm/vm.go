package vm

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"keel/vmkernel/console"
	"keel/vmkernel/seed"
)

// A VM is a virtual machine that the Manager holds, running or not. Its methods may be called from any goroutine; of one
// that was deleted they return ErrNotFound.
type VM struct {
	m    *Manager
	id   string
	name atomic.Pointer[string] // the spec's
	log  *slog.Logger           // with the VM's name
	made [32]byte               // digest of what it was created as

	mu      sync.Mutex // taken after the Manager's
	spec    *seed.VM   // never changed, but replaced
	status  Status     // but for its Spec
	run     *run       // nil while it is off
	ports   []port     // the serial ports, as in the spec
	deleted bool
}

// A port is a serial port's console, by the port's name.
type port struct {
	name string
	*console.Port
}

// ID is the VM's id, which never changes.
func (v *VM) ID() string { return v.id }

// Name is the VM's name.
func (v *VM) Name() string { return *v.name.Load() }

// String is how the VM is named where it uses something.
func (v *VM) String() string { return "VM " + v.Name() }

// Spec is the VM's description, not to be written to.
func (v *VM) Spec() *seed.VM {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.spec
}

// Console is the console of a serial port, such as ttyS0; empty is the first that the VM has. It is nil where there is none.
func (v *VM) Console(name string) *console.Port {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range v.ports {
		if p.name == name || name == "" {
			return p.Port
		}
	}
	return nil
}

// setSpec takes a description, whose names and images have been checked, and gives each of its serial ports a console. The
// VM's mutex is held, or nobody else has it yet.
func (v *VM) setSpec(spec *seed.VM) {
	v.spec = spec
	v.name.Store(&spec.Name)
	v.status.Revision = v.m.revision.Add(1)
	var ports []port
	for _, s := range spec.Serial {
		p := &console.Port{}
		for i, old := range v.ports {
			if old.name == s.Name && old.Port != nil {
				p, v.ports[i].Port = old.Port, nil
			}
		}
		ports = append(ports, port{s.Name, p})
	}
	v.closePorts()
	v.ports = ports
}

func (v *VM) closePorts() {
	for _, p := range v.ports {
		if p.Port != nil {
			p.Close()
		}
	}
	v.ports = nil
}

// references are the images that a description names.
func references(spec *seed.VM) []string {
	d := &spec.Boot.Direct
	refs := []string{d.Kernel}
	if d.Initrd != "" {
		refs = append(refs, d.Initrd)
	}
	for _, m := range d.Modules {
		refs = append(refs, m.File)
	}
	return refs
}

// named is a log handler that gives each record the VM's name of that moment.
type named struct {
	base slog.Handler
	name *atomic.Pointer[string]
	with func(slog.Handler) slog.Handler // attributes and groups that come behind the name; nil: none
}

func (h *named) Enabled(ctx context.Context, l slog.Level) bool { return h.base.Enabled(ctx, l) }

func (h *named) Handle(ctx context.Context, r slog.Record) error {
	b := h.base.WithAttrs([]slog.Attr{slog.String("vm", *h.name.Load())})
	if h.with != nil {
		b = h.with(b)
	}
	return b.Handle(ctx, r)
}

func (h *named) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.then(func(b slog.Handler) slog.Handler { return b.WithAttrs(attrs) })
}

func (h *named) WithGroup(name string) slog.Handler {
	return h.then(func(b slog.Handler) slog.Handler { return b.WithGroup(name) })
}

func (h *named) then(next func(slog.Handler) slog.Handler) slog.Handler {
	with := next
	if before := h.with; before != nil {
		with = func(b slog.Handler) slog.Handler { return next(before(b)) }
	}
	return &named{h.base, h.name, with}
}

// outlets are where what a guest prints goes.
type outlets struct {
	host io.Writer // the host's console, for ports with log: host
	name func() string
	port func(name string) *console.Port // nil: it has none
}

func (v *VM) outlets() outlets { return outlets{v.m.console, v.Name, v.Console} }
