package vm

import (
	"context"
	"fmt"
	"time"
)

// Start switches the VM on: when it returns nil, it runs. The error has been logged, unless it is a StateError or ErrClosing.
// When the context ends before, it is off again. Errors: StateError, ErrClosing, ErrNoMemory, ErrNoRoom, and whatever is
// wrong with its images.
func (v *VM) Start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	v.mu.Lock()
	if err := v.want("start", Off); err != nil {
		v.mu.Unlock()
		return err
	}
	if v.m.closing.Load() > 0 {
		v.mu.Unlock()
		return ErrClosing
	}
	release := v.m.Hold()
	r := &run{stop: make(chan struct{}), done: make(chan struct{})}
	v.run = r
	v.enter(Starting, PoweringOn, "")
	v.mu.Unlock()

	cancelled := func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.run == r {
			v.kill(r, Reason{Cause: Stopped, Text: "its start was cancelled"})
		}
	}
	given := context.AfterFunc(ctx, cancelled)
	in, err := v.powerOn(r, nil)
	given()
	if err != nil {
		release()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	go func() {
		defer release()
		if v.live(r, in) {
			v.m.remove(v, 0)
		}
	}()
	if ctx.Err() != nil { // it ended before anybody looked
		cancelled()
		<-r.done
		return ctx.Err()
	}
	return nil
}

// Shutdown asks the guest to switch itself off, by the ACPI power button, and waits until it is off. After the VM's
// stopTimeout it is killed. A VM that is still starting is killed at once: there is nobody to ask. It isn't started again,
// whatever onPowerOff says. When the context ends before, the request is withdrawn as far as it can be: a guest that
// obeys it nevertheless has switched itself off. Errors: StateError, the context's.
func (v *VM) Shutdown(ctx context.Context) error {
	v.mu.Lock()
	if err := v.want("shut down", Running, Stopping, Starting); err != nil {
		v.mu.Unlock()
		return err
	}
	r := v.run
	timeout := time.Duration(v.spec.StopTimeout)
	switch v.status.State {
	case Starting:
		v.kill(r, Reason{Cause: Stopped})
	case Running:
		v.enter(Stopping, AskedOff, "")
		r.in.board.pm.PressPowerButton()
	}
	r.asking++
	r.asked = true
	v.mu.Unlock()

	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-r.done:
		return nil
	case <-timer.C:
		v.mu.Lock()
		if v.run == r {
			v.kill(r, Reason{Cause: Stopped, Text: fmt.Sprintf("the guest didn't switch itself off within %s", timeout)})
		}
		v.mu.Unlock()
		return wait(ctx, r)
	case <-ctx.Done():
		v.mu.Lock()
		defer v.mu.Unlock()
		if r.asking--; r.asking == 0 && v.run == r && r.in != nil && !r.in.stopping.Load() {
			r.asked = false
			v.enter(Running, GoesOn, "the shutdown was withdrawn")
		}
		return ctx.Err()
	}
}

// Kill switches the VM off at once, as if its power failed, and waits until it is off. Errors: StateError, the context's.
func (v *VM) Kill(ctx context.Context) error {
	v.mu.Lock()
	if err := v.want("kill", Running, Paused, Starting, Stopping); err != nil {
		v.mu.Unlock()
		return err
	}
	r := v.run
	v.kill(r, Reason{Cause: Stopped})
	v.mu.Unlock()
	return wait(ctx, r)
}

func wait(ctx context.Context, r *run) error {
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Reset restarts the VM with fresh memory, as its reset button would, whatever onReboot says. It returns before it has.
// Errors: StateError.
func (v *VM) Reset() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.want("reset", Running, Paused); err != nil {
		return err
	}
	v.run.in.stop(Reason{Cause: HostReset})
	return nil
}

// Pause has the VM's processors rest: when it returns nil, none runs guest code. Its devices stay, and time goes on.
// When the context ends before, it is Paused, but not all of its processors have heard of it.
// Errors: StateError, the context's.
func (v *VM) Pause(ctx context.Context) error {
	v.mu.Lock()
	if err := v.want("pause", Running); err != nil {
		v.mu.Unlock()
		return err
	}
	in := v.run.in
	in.pause(true)
	v.enter(Paused, AtRest, "")
	v.mu.Unlock()
	return in.rested(ctx)
}

// Resume has them go on. Errors: StateError.
func (v *VM) Resume() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.want("resume", Paused); err != nil {
		return err
	}
	v.run.in.pause(false)
	v.enter(Running, GoesOn, "")
	return nil
}

// NMI sends the guest a non-maskable interrupt, as a dump button would: what it does then is up to it. Errors: StateError.
func (v *VM) NMI() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.want("send an NMI", Running, Stopping); err != nil {
		return err
	}
	if v.run.in == nil || !v.run.in.nmi() {
		return &StateError{v.spec.Name, v.status.State, []State{Running}, "send an NMI"}
	}
	v.emit(SentNMI, "")
	return nil
}
