package vm

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"keel/vmkernel/datastore"
	"keel/vmkernel/seed"
)

// A Manager holds a host's VMs.
type Manager struct {
	backend  Backend
	host     Host
	log      *slog.Logger
	console  io.Writer
	images   datastore.Store
	events   events
	idle     idle
	revision atomic.Uint64 // the last that was given
	closing  atomic.Int32  // calls of ShutdownAll

	mu     sync.Mutex
	vms    []*VM       // in the order of Create
	pools  []seed.Pool // parents first
	byName map[string]*VM
	byID   map[string]*VM
}

// NewManager returns a Manager without VMs, which boot from images. console gets the guests' lines, one Write each.
func NewManager(b Backend, host Host, log *slog.Logger, console io.Writer, images datastore.Store) *Manager {
	host.memory, host.processors = newMemory(b), newProcessors(b)
	m := &Manager{backend: b, host: host, log: log, console: console, images: images, byName: map[string]*VM{}, byID: map[string]*VM{}}
	m.events.next = 1
	m.idle.quiet.L = &m.idle.mu
	return m
}

// Images is where the VMs' images are.
func (m *Manager) Images() datastore.Store { return m.images }

// Create takes a VM, not started. spec is complete and in range, as the seed's Decoder makes it, but for an empty id, which
// is assigned. Where the id belongs to a VM that was created from the same description, that VM is the answer, and created
// is false: so a repeated Create does nothing. A policy of processors that this host could never keep is refused with the numbers;
// what others have reserved is looked at when the VM is started. Errors: ErrExists, ErrInvalid, datastore's ErrNotFound and
// ErrIncomplete.
func (m *Manager) Create(spec seed.VM) (v *VM, created bool, err error) {
	defer m.Hold()()
	made := digest(&spec)
	if spec.ID == "" {
		spec.ID = newID()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if had := m.byID[spec.ID]; had != nil {
		if had.made == made {
			return had, false, nil
		}
		return nil, false, faultf(ErrExists, "%s has the id %s of %s: give it one of its own", spec.Name, spec.ID, had.Name())
	}
	if err := m.nameFree(spec.Name, nil); err != nil {
		return nil, false, err
	}
	if err := m.host.processors.check(&spec); err != nil {
		return nil, false, err
	}
	v = &VM{m: m, id: spec.ID, made: made}
	v.setSpec(&spec)
	v.log = slog.New(&named{base: m.log.Handler(), name: &v.name})
	if err := m.images.Hold(v, references(&spec)...); err != nil {
		return nil, false, err
	}
	m.vms = append(m.vms, v)
	m.byName[spec.Name], m.byID[spec.ID] = v, v
	v.enter(Off, Created, "")
	return v, true, nil
}

// digest identifies a description.
func digest(spec *seed.VM) [32]byte {
	text, err := json.Marshal(spec)
	if err != nil {
		panic(err) // there is nothing in it that JSON doesn't have
	}
	return sha256.Sum256(text)
}

// newID is a random UUID (RFC 9562, section 5.4).
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// nameFree says whether a VM but v can have a name. The Manager's mutex is held.
func (m *Manager) nameFree(name string, v *VM) error {
	if o := m.byName[name]; o != nil && o != v {
		return faultf(ErrExists, "there is a VM named %s already: give this one another name", name)
	}
	if isID(name) {
		return faultf(ErrInvalid, "%s has the form of an id: give another name", name)
	}
	return nil
}

// isID says whether a reference is an id and no name.
func isID(ref string) bool {
	return len(ref) == 36 && ref[8] == '-' && ref[13] == '-' && ref[18] == '-' && ref[23] == '-'
}

// Find returns the VM of that name or id, or ErrNotFound.
func (m *Manager) Find(ref string) (*VM, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v := m.byName[ref]; v != nil {
		return v, nil
	}
	if v := m.byID[ref]; v != nil {
		return v, nil
	}
	return nil, faultf(ErrNotFound, "there is no VM %s", ref)
}

// List returns all VMs in the order of Create.
func (m *Manager) List() []*VM {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.vms)
}

// Delete removes a VM that is stopped; with kill it stops one that isn't. Its consoles end, and it uses its images no more.
// revision is the Status.Revision that it is asked for; 0 is any. Errors: ErrNotFound, StateError, RevisionError, the context's.
func (m *Manager) Delete(ctx context.Context, v *VM, revision uint64, kill bool) error {
	defer m.Hold()()
	for {
		err := m.remove(v, revision)
		if _, running := err.(*StateError); !running || !kill {
			return err
		}
		if err := v.Kill(ctx); err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (m *Manager) remove(v *VM, revision uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	if revision != 0 && revision != v.status.Revision {
		return &RevisionError{v.spec.Name, revision, v.status.Revision}
	}
	if err := v.want("delete", Off); err != nil {
		return err
	}
	delete(m.byName, v.spec.Name)
	delete(m.byID, v.id)
	m.vms = slices.DeleteFunc(m.vms, func(o *VM) bool { return o == v })
	v.deleted = true
	v.closePorts()
	v.emit(Deleted, "")
	return m.images.Hold(v)
}

// Autostart starts the VMs whose description says so, one after the other by their order, each after
// its delay. What is wrong with one is logged, and the next one's turn comes. It returns when all
// have been started, or the context ends; they run on.
func (m *Manager) Autostart(ctx context.Context) {
	defer m.Hold()()
	type turn struct {
		v    *VM
		auto seed.Autostart
	}
	var turns []turn
	for _, v := range m.List() {
		if a := v.Spec().Autostart; a.Enabled {
			turns = append(turns, turn{v, a})
		}
	}
	slices.SortStableFunc(turns, func(a, b turn) int { return cmp.Compare(a.auto.Order, b.auto.Order) })
	for _, t := range turns {
		if !sleep(ctx, t.auto.Delay) {
			return
		}
		t.v.Start(ctx) // the error has been logged
	}
}
