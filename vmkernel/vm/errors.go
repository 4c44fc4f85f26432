package vm

import (
	"errors"
	"fmt"
	"strings"
)

// Kinds of errors, for errors.Is. Beside them there are StateError, RevisionError and package datastore's.
var (
	ErrNotFound     = errors.New("vm: there is no such VM")
	ErrExists       = errors.New("vm: there is a VM with that name or id already")
	ErrInvalid      = errors.New("vm: that can't be")
	ErrNoMemory     = errors.New("vm: the host hasn't enough memory")
	ErrNoProcessors = errors.New("vm: the host hasn't enough processors")
	ErrNoRoom       = errors.New("vm: the host has no room for another VM")
	ErrImage        = errors.New("vm: it can't be booted")
	ErrHalted       = errors.New("vm: it was stopped before it ran")
	ErrNoShare      = errors.New("vm: it is being stopped, and has no memory any more")
	ErrClosing      = errors.New("vm: the host is being shut down: no VM is started")
)

// A fault is an error of one of these kinds that says more.
type fault struct {
	kind error
	text string
}

func (f *fault) Error() string        { return "vm: " + f.text }
func (f *fault) Is(target error) bool { return target == f.kind }

// found is an error of a kind, in the words of who found it.
type found struct {
	error
	kind error
}

func (f found) Unwrap() error        { return f.error }
func (f found) Is(target error) bool { return target == f.kind }

func faultf(kind error, format string, args ...any) error {
	return &fault{kind, fmt.Sprintf(format, args...)}
}

// A StateError says that a VM isn't in a state in which what was asked for is possible.
type StateError struct {
	VM   string // its name
	Is   State
	Want []State
	What string // what was asked for: start it, change memory.size, ...
}

func (e *StateError) Error() string {
	want := make([]string, len(e.Want))
	for i, s := range e.Want {
		want[i] = s.String()
	}
	return fmt.Sprintf("vm: %s is %s: to %s it has to be %s", e.VM, e.Is, e.What, strings.Join(want, " or "))
}

// A RevisionError says that a VM has been changed since the revision that a change was made for.
type RevisionError struct {
	VM        string
	Given, Is uint64
}

func (e *RevisionError) Error() string {
	return fmt.Sprintf("vm: %s has changed: it has revision %d, not %d: read it again and change that", e.VM, e.Is, e.Given)
}
