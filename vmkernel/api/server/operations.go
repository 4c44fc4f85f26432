package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/api/backend"
	"keel/vmkernel/audit"
)

// Limits of operations.
const (
	maxRunning  = 64  // at once, of each lane
	maxEnded    = 256 // that are remembered
	longestWait = time.Minute
	shortWait   = 50 * time.Millisecond // for what is refused at once, where a client asks for no other
)

// operation is an act that goes on without its client.
type operation struct {
	cancel context.CancelFunc
	done   chan struct{}
	labels map[string]string // of its VM when it began
	host   bool              // it is of no VM
	lane   lane

	mu sync.Mutex
	api.Operation
}

// lane says which operations take places from each other: whatever runs, VMs and the host can still be stopped.
type lane uint8

const (
	changes lane = iota
	stops
	hosts // an administrator's
)

func (c *call) lane(vm backend.VM) lane {
	switch {
	case vm == nil:
		return hosts
	case c.route.Class == api.Stop:
		return stops
	}
	return changes
}

// operations are those that run, and the last that have ended.
type operations struct {
	s   *Server
	mu  sync.Mutex
	all []*operation // the oldest first
}

func (o *operations) init(s *Server) { o.s = s }

// start begins an operation of a VM, or of the host where vm is nil. message says what it is doing.
func (c *call) start(kind string, vm backend.VM, message string, act func(ctx context.Context, o *operation) error) (*operation, error) {
	s := c.s
	ctx, cancel := context.WithCancel(s.ctx)
	o := &operation{cancel: cancel, done: make(chan struct{}), host: vm == nil, lane: c.lane(vm)}
	o.ID, o.Kind, o.By, o.State, o.Created, o.CanStop = newID(), kind, c.id.Name, api.OpRunning, s.Now().UTC(), true
	o.Message = message
	if vm != nil {
		spec, _ := vm.Spec()
		o.Target, o.labels = spec.Name, spec.Labels
	}
	if err := s.operations.add(o); err != nil {
		cancel()
		return nil, err
	}
	cause, entry := c.log, c.entry
	release := s.VMs.Hold()
	go func() {
		defer release()
		err := guarded(func() error { return act(ctx, o) })
		s.operations.end(o, err, ctx.Err() != nil)
		cancel()
		now := o.now()
		detail := now.ID + " " + now.State
		if now.Error != nil {
			detail += ": " + now.Error.Message
			if now.Error.Code == api.CodeInternal {
				s.Log.Error("api: an operation failed", "operation", now.Kind, "target", now.Target, "error", err)
			}
		}
		s.Audit.Event(audit.Entry{Who: entry.Who, From: entry.From, Action: "operation.ended", On: now.Target, Cause: cause, Detail: detail})
		s.publish(happening{Event: api.Event{Kind: "operation." + now.State, VM: now.Target, ID: now.ID, Data: map[string]string{"operation": now.Kind}},
			labels: o.labels, host: o.host})
	}()
	return o, nil
}

// guarded turns a panic into an error: nobody else would catch it.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

func (o *operations) add(op *operation) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	running, beside := 0, 0
	for _, other := range o.all {
		if op.host && other.host && other.leads() {
			return failf(api.CodeConflict, "the host is being stopped already, by operation %s: wait for it, or cancel it first", other.ID)
		}
		if other.running() {
			running++
			if other.lane == op.lane {
				beside++
			}
		}
	}
	if beside >= maxRunning {
		return failf(api.CodeTooMany, "%d operations of this kind run already: wait for one or cancel one", beside)
	}
	for ended := len(o.all) - running; ended >= maxEnded; ended-- {
		at := slices.IndexFunc(o.all, func(op *operation) bool { return !op.running() })
		o.all = slices.Delete(o.all, at, at+1)
	}
	o.all = append(o.all, op)
	return nil
}

// end records how an operation has ended.
func (o *operations) end(op *operation, err error, cancelled bool) {
	op.mu.Lock()
	defer op.mu.Unlock()
	op.Finished, op.CanStop, op.Message = o.s.Now().UTC(), false, ""
	switch {
	case err == nil:
		op.State = api.OpSucceeded
	case cancelled:
		op.State, op.Error = api.OpCancelled, failf(api.CodeConflict, "it was cancelled")
	default:
		op.State, op.Error = api.OpFailed, asError(err)
	}
	close(op.done)
}

func (o *operation) running() bool {
	select {
	case <-o.done:
		return false
	default:
		return true
	}
}

// leads says whether an operation of the host's leads to its end, or has: it goes down some seconds later.
func (o *operation) leads() bool { return o.running() || o.now().State == api.OpSucceeded }

// now is a copy of how the operation stands.
func (o *operation) now() api.Operation {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.Operation
}

// progress says how far it is.
func (o *operation) progress(p api.Progress) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.Progress = p
}

// wait waits for the end of an operation, for some time.
func (c *call) wait(o *operation, d time.Duration) {
	if d <= 0 || !o.running() {
		return
	}
	c.rest()
	if d > shortWait {
		c.patient()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-o.done:
	case <-timer.C:
	case <-c.ctx().Done():
	case <-c.s.ctx.Done():
	}
	c.extend(0, c.s.times.write)
}

// accepted answers with an operation: 202, or 200 if it has ended meanwhile. What has failed already is an error.
func (c *call) accepted(o *operation) (any, error) {
	c.wait(o, c.duration("wait", shortWait, longestWait))
	now := o.now()
	c.w.Header().Set("Location", "/v1/operations/"+now.ID)
	c.outcome = now.ID
	switch now.State {
	case api.OpRunning:
	case api.OpSucceeded:
		c.status = http.StatusOK
	default:
		e := *now.Error
		e.Details = map[string]string{"operation": now.ID}
		for k, v := range now.Error.Details {
			e.Details[k] = v
		}
		return nil, &e
	}
	return now, nil
}

// visible says whether the caller may know of an operation.
func (c *call) visible(o *operation) bool {
	if o.host {
		return !c.scoped()
	}
	return c.sees(o.labels)
}

func (c *call) operation() (*operation, error) {
	id := c.variable("operation")
	ops := &c.s.operations
	ops.mu.Lock()
	defer ops.mu.Unlock()
	for _, o := range ops.all {
		if o.ID == id && c.visible(o) { // the id doesn't change
			return o, nil
		}
	}
	return nil, failf(api.CodeNotFound, "there is no operation %s%s: the last %d are remembered", quote(id), c.among(), maxEnded)
}

func listOperations(c *call) (any, error) {
	list := api.Operations{Operations: []api.Operation{}}
	ops := &c.s.operations
	ops.mu.Lock()
	defer ops.mu.Unlock()
	for _, o := range slices.Backward(ops.all) {
		if c.visible(o) {
			list.Operations = append(list.Operations, o.now())
		}
	}
	return list, nil
}

func getOperation(c *call) (any, error) {
	o, err := c.operation()
	if err != nil {
		return nil, err
	}
	return o.now(), nil
}

func waitOperation(c *call) (any, error) {
	o, err := c.operation()
	if err != nil {
		return nil, err
	}
	c.wait(o, c.duration("wait", 30*time.Second, longestWait))
	return o.now(), nil
}

func cancelOperation(c *call) (any, error) {
	o, err := c.operation()
	if err != nil {
		return nil, err
	}
	if o.host && c.id.Role != "admin" {
		return nil, &api.Error{Code: api.CodeDenied, Message: "this operation is the host's: cancelling it needs the role admin", Details: map[string]string{"missingRole": "admin"}}
	}
	if !o.running() {
		return nil, failf(api.CodeConflict, "the operation has ended: %s", o.now().State)
	}
	o.cancel()
	c.wait(o, 5*time.Second)
	return o.now(), nil
}

// newID makes a random UUID (RFC 9562, section 5.4).
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
