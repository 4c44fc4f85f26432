package apitest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/api/backend"
	"keel/vmkernel/seed"
)

// VMs are VMs whose guests send back what is typed, in capitals.
type VMs struct {
	Deleting func() // happens at the begin of a Delete; nil: nothing

	mu      sync.Mutex
	list    []*VM
	pools   []api.Pool
	creates int
	slow    chan struct{}
	events  chan event
}

type event struct {
	api.Event
	labels map[string]string
}

// NewVMs returns none yet.
func NewVMs() *VMs { return &VMs{events: make(chan event, 1000)} }

func failf(code api.Code, format string, args ...any) error {
	return &api.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Add adds a VM that is stopped, as if it had always been there.
func (f *VMs) Add(spec seed.VM) *VM {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.add(spec)
}

func (f *VMs) add(spec seed.VM) *VM {
	v := &VM{all: f, spec: spec, made: spec, revision: 1, state: api.Stopped, since: time.Now()}
	f.list = append(f.list, v)
	return v
}

// Get returns a VM by its name or id, or nil.
func (f *VMs) Get(ref string) *VM {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.find(ref)
}

// Must is Get of what has to be there.
func (f *VMs) Must(t testing.TB, ref string) *VM {
	t.Helper()
	v := f.Get(ref)
	if v == nil {
		t.Fatalf("there is no VM %s", ref)
	}
	return v
}

// Creates is how many VMs Create has made.
func (f *VMs) Creates() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.creates
}

// Slow has starts and shutdowns wait until release is called.
func (f *VMs) Slow() (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	slow := make(chan struct{})
	f.slow = slow
	return sync.OnceFunc(func() { close(slow) })
}

// wait waits for the release of slow VMs.
func (f *VMs) wait(ctx context.Context) error {
	f.mu.Lock()
	slow := f.slow
	f.mu.Unlock()
	if slow == nil {
		return nil
	}
	select {
	case <-slow:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// List is the server's, as are the methods that follow.
func (f *VMs) List() (out []backend.VM) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range f.list {
		out = append(out, v)
	}
	return out
}

func (f *VMs) find(ref string) *VM {
	for _, v := range f.list {
		if spec, _ := v.Spec(); spec.Name == ref || spec.ID == ref {
			return v
		}
	}
	return nil
}

func (f *VMs) Find(ref string) (backend.VM, error) {
	if v := f.Get(ref); v != nil {
		return v, nil
	}
	return nil, failf(api.CodeNotFound, "there is no VM %s", ref)
}

func (f *VMs) Create(spec seed.VM) (backend.VM, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v := f.find(spec.ID); v != nil {
		if reflect.DeepEqual(v.made, spec) {
			return v, false, nil
		}
		return nil, false, failf(api.CodeExists, "%s has the id of %s", spec.Name, v.spec.Name)
	}
	if f.find(spec.Name) != nil {
		return nil, false, failf(api.CodeExists, "there is a VM named %s already", spec.Name)
	}
	v := f.add(spec)
	f.creates++
	v.event("created")
	return v, true, nil
}

func (f *VMs) Delete(_ context.Context, v backend.VM, revision uint64, _ bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := v.(*VM)
	if f.Deleting != nil {
		f.Deleting()
	}
	if _, is := one.Spec(); revision != 0 && revision != is {
		return failf(api.CodeStale, "%s has changed", one.spec.Name)
	}
	if one.State() != api.Stopped {
		return failf(api.CodeConflict, "%s runs", one.spec.Name)
	}
	f.list = slices.DeleteFunc(f.list, func(o *VM) bool { return o == one })
	one.Port.Close()
	one.event("deleted")
	return nil
}

func (f *VMs) Hold() func() { return func() {} }

func (f *VMs) Events() backend.Events { return f }

func (f *VMs) Next(ctx context.Context) (api.Event, map[string]string, uint64, error) {
	select {
	case e := <-f.events:
		return e.Event, e.labels, 0, nil
	case <-ctx.Done():
		return api.Event{}, nil, 0, ctx.Err()
	}
}
