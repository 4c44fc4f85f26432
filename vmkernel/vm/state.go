package vm

import (
	"time"

	"keel/vmkernel/seed"
)

// A State is a VM's.
type State uint8

// States. A VM whose guest reboots is Starting in between.
const (
	Off State = iota
	Starting
	Running
	Paused   // no virtual processor runs, its devices do
	Stopping // it was asked to stop, or is being stopped
)

func (s State) String() string {
	switch s {
	case Off:
		return "stopped"
	case Starting:
		return "starting"
	case Running:
		return "running"
	case Paused:
		return "paused"
	case Stopping:
		return "stopping"
	}
	return "unknown"
}

// MarshalText is the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Status is a VM at one moment.
type Status struct {
	Spec     *seed.VM // not to be written to
	Revision uint64   // another after each change, never used again
	State    State
	Since    time.Time // when it came to be in this state

	Started    time.Time // when the guest was last switched on; zero: never
	LastStop   *Reason   // why it last stopped or rebooted; nil: it never has
	LastStopAt time.Time
	LastError  string // why it last could not be started; empty once it could

	Starts, Reboots, Crashes uint64 // since the VM was made
}

// Status says how the VM stands.
func (v *VM) Status() Status {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.status
	s.Spec = v.spec
	return s
}

// State is the VM's state.
func (v *VM) State() State {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.status.State
}

// enter changes the state and tells of it by an event. The VM's mutex is held.
func (v *VM) enter(s State, kind EventKind, reason string) {
	v.status.State, v.status.Since = s, time.Now()
	v.emit(kind, reason)
}

// want is the error of a VM that is in none of the states. The VM's mutex is held.
func (v *VM) want(what string, states ...State) error {
	if v.deleted {
		return faultf(ErrNotFound, "%s has been deleted", v.spec.Name)
	}
	for _, s := range states {
		if v.status.State == s {
			return nil
		}
	}
	return &StateError{v.spec.Name, v.status.State, states, what}
}
