package exit

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"keel/vmkernel/api/client"
)

// The exit codes.
const (
	OK          = 0
	Fault       = 1   // anything that has no code of its own
	Usage       = 2   // the command line is wrong
	NotFound    = 3   // what the command is about isn't there
	Denied      = 4   // the host knows who asks, and refuses; or it doesn't accept the certificate
	Conflict    = 5   // it is there already, or in a state that doesn't allow it
	Unreachable = 6   // no connection, or not to the host that was meant
	Timeout     = 7   // it was not done in time
	Unsupported = 8   // the host's version doesn't know what was asked of it
	Interrupted = 130 // by Ctrl-C: what shells expect
)

// Codes are the codes with what they mean, for the help.
var Codes = []struct {
	Code int
	Name string
	Text string
}{
	{OK, "ok", "it was done"},
	{Fault, "other", "it failed for a reason that has no code of its own"},
	{Usage, "usage", "the command line is wrong; nothing was done"},
	{NotFound, "not found", "there is no such VM, image, operation, host or context"},
	{Denied, "denied", "the host refuses: the role, the certificate, or lockdown"},
	{Conflict, "conflict", "it exists already, is in the wrong state, or has changed since it was read"},
	{Unreachable, "unreachable", "no connection to the host, or what answers is not that host"},
	{Timeout, "timeout", "not done within --timeout; what was begun goes on"},
	{Unsupported, "unsupported", "the host's version of Keel doesn't know what was asked of it; nothing was done"},
	{Interrupted, "interrupted", "Ctrl-C; an operation that was begun goes on"},
}

// Error is a failure with its exit code.
type Error struct {
	Code int
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an error with an exit code.
func Errorf(code int, format string, args ...any) error {
	return &Error{code, fmt.Errorf(format, args...)}
}

// With gives an error an exit code. The nil error stays nil.
func With(code int, err error) error {
	if err == nil {
		return nil
	}
	return &Error{code, err}
}

// Code returns the exit code of an error.
func Code(err error) int {
	var coded *Error
	var refused *client.Refused
	var failure *client.Failure
	switch {
	case err == nil:
		return OK
	case errors.As(err, &coded):
		return coded.Code
	case errors.As(err, &refused) && refused.Answer.Code.Unknown():
		return Unsupported
	case errors.As(err, &refused):
		return ofStatus(refused.Status)
	case errors.As(err, &failure):
		return map[client.Kind]int{client.Unreachable: Unreachable, client.Denied: Denied, client.Timeout: Timeout, client.Broken: Fault}[failure.Kind]
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	case errors.Is(err, context.Canceled):
		return Interrupted
	}
	return Fault
}

// ofStatus is the exit code of a host's answer.
func ofStatus(status int) int {
	switch status {
	case http.StatusNotFound:
		return NotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return Denied
	case http.StatusConflict, http.StatusPreconditionFailed:
		return Conflict
	case http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return Timeout
	}
	return Fault
}
