package vm

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"keel/vmkernel/seed"
)

// A Manager holds a host's VMs by name.
type Manager struct {
	backend Backend
	host    Host
	log     *slog.Logger
	console io.Writer

	mu    sync.Mutex
	vms   []*VM // in the order of Add
	busy  int   // VMs that run, and Autostart while it is at work
	quiet sync.Cond
}

// NewManager returns a Manager without VMs. console gets the guests' lines, one Write each.
func NewManager(b Backend, host Host, log *slog.Logger, console io.Writer) *Manager {
	host.memory = newMemory(b)
	m := &Manager{backend: b, host: host, log: log, console: console}
	m.quiet.L = &m.mu
	return m
}

// Add takes a VM, not started. files are the seed's, by name. A second VM of a name, or of an id, is
// refused.
func (m *Manager) Add(spec seed.VM, files map[string]*seed.File) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range m.vms {
		if v.spec.Name == spec.Name {
			return fmt.Errorf("vm: there is a VM named %s already: give this one another name", spec.Name)
		}
		if spec.ID != "" && v.spec.ID == spec.ID {
			return fmt.Errorf("vm: %s has the id %s of %s: give it one of its own", spec.Name, spec.ID, v.spec.Name)
		}
	}
	m.vms = append(m.vms, &VM{spec: spec, files: files, log: m.log.With("vm", spec.Name)})
	return nil
}

// Find returns the VM of that name, or nil.
func (m *Manager) Find(name string) *VM {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range m.vms {
		if v.spec.Name == name {
			return v
		}
	}
	return nil
}

// List returns all VMs in the order of Add.
func (m *Manager) List() []*VM {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.vms)
}

// Autostart starts the VMs whose description says so, one after the other by their order, each after
// its delay. What is wrong with one is logged, and the next one's turn comes. It returns when all
// have been started; they run on.
func (m *Manager) Autostart() {
	m.hold(1)
	defer m.hold(-1)
	list := m.List()
	slices.SortStableFunc(list, func(a, b *VM) int { return a.spec.Autostart.Order - b.spec.Autostart.Order })
	for _, v := range list {
		if !v.spec.Autostart.Enabled {
			continue
		}
		if d := time.Duration(v.spec.Autostart.Delay); d > 0 {
			time.Sleep(d)
		}
		m.start(v)
	}
}

// Start starts a VM by name. When it returns nil the VM runs.
func (m *Manager) Start(name string) error {
	v := m.Find(name)
	if v == nil {
		return fmt.Errorf("vm: there is no VM named %s", name)
	}
	return m.start(v)
}

// start makes v ready to run in the caller's goroutine, and runs it in another. The error has been
// logged, unless it is ErrRunning.
func (m *Manager) start(v *VM) error {
	if !v.begin() {
		return ErrRunning
	}
	m.hold(1)
	in, err := v.powerOn(m)
	if err != nil {
		v.end()
		m.hold(-1)
		return err
	}
	go func() {
		deleted := v.live(m, in)
		if deleted {
			m.remove(v)
		}
		v.end()
		m.hold(-1)
	}()
	return nil
}

// Stop asks a VM to stop at once, as if its power failed; it returns before it has.
func (m *Manager) Stop(name string) error {
	v := m.Find(name)
	if v == nil {
		return fmt.Errorf("vm: there is no VM named %s", name)
	}
	v.halt()
	return nil
}

func (m *Manager) remove(v *VM) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.vms = slices.DeleteFunc(m.vms, func(o *VM) bool { return o == v })
}

// hold counts what keeps the host busy.
func (m *Manager) hold(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.busy += n
	if m.busy == 0 {
		m.quiet.Broadcast()
	}
}

// WaitIdle returns as soon as no VM runs and none is about to be started by Autostart.
func (m *Manager) WaitIdle() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.busy > 0 {
		m.quiet.Wait()
	}
}
