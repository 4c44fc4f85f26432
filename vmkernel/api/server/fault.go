package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/audit"
	"keel/vmkernel/auth"
	"keel/vmkernel/console"
	"keel/vmkernel/datastore"
)

func failf(code api.Code, format string, args ...any) *api.Error {
	return &api.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// quote quotes what a client sent, cut to a readable length.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.QuoteToASCII(s[:most]) + "..."
	}
	return strconv.QuoteToASCII(s)
}

// asError is what an error is to a client. What isn't known here is a fault of Keel's, and its text is for the log.
func asError(err error) *api.Error {
	var e *api.Error
	if errors.As(err, &e) {
		return e
	}
	e = known(err)
	e.Message = api.Bare(e.Message)
	return e
}

func known(err error) *api.Error {
	if e := ofStore(err); e != nil {
		return e
	}
	var denied *auth.Denied
	var refusal *auth.Refusal
	var held *console.HeldError
	var many auth.ErrTooMany
	switch {
	case errors.As(err, &denied):
		return ofDenied(denied)
	case errors.As(err, &refusal):
		return &api.Error{Code: api.CodeDenied, Message: refusal.Message, Details: map[string]string{"reason": string(refusal.Reason)}}
	case errors.As(err, &held):
		return &api.Error{Code: api.CodeHeld, Message: err.Error(), Details: map[string]string{
			"holder": held.Holder, "since": held.Since.UTC().Format(time.RFC3339)}}
	case errors.Is(err, console.ErrWatchers):
		return failf(api.CodeTooMany, "%s", err)
	case errors.Is(err, console.ErrClosed), errors.Is(err, console.ErrOff):
		return failf(api.CodeConflict, "%s", err)
	case errors.Is(err, audit.ErrCollector):
		return &api.Error{Code: api.CodeCollector, Message: err.Error()}
	case errors.Is(err, audit.ErrClosed):
		return failf(api.CodeUnavailable, "%s", err)
	case errors.As(err, &many):
		return failf(api.CodeTooMany, "%s", err)
	case errors.Is(err, context.DeadlineExceeded):
		return failf(api.CodeTimeout, "it took too long")
	case errors.Is(err, context.Canceled):
		return failf(api.CodeTimeout, "it was given up")
	}
	return &api.Error{Code: api.CodeInternal, Message: "a fault of Keel's: the host's log says more", Details: nil}
}

// ofDenied names the role that is missing.
func ofDenied(d *auth.Denied) *api.Error {
	e := &api.Error{Code: api.CodeDenied, Message: d.Message, Details: map[string]string{"role": string(d.Who.Role)}}
	var needs []string
	for _, r := range d.Needs {
		needs = append(needs, string(r))
	}
	if needs != nil {
		e.Details["missingRole"] = strings.Join(needs, ",")
	} else if len(d.Who.Scope) > 0 {
		e.Details["scope"] = d.Who.Grant.String()
	}
	return e
}

// ofStore knows the errors of images.
func ofStore(err error) *api.Error {
	var full *datastore.FullError
	var offset *datastore.OffsetError
	var digest *datastore.DigestError
	var used *datastore.UsedError
	switch {
	case errors.As(err, &full):
		return failf(api.CodeFull, "%s", err)
	case errors.As(err, &offset):
		return &api.Error{Code: api.CodeOffset, Message: err.Error(), Details: map[string]string{"offset": strconv.FormatInt(offset.Is, 10)}}
	case errors.As(err, &digest):
		return failf(api.CodeInvalid, "%s", err)
	case errors.As(err, &used):
		return failf(api.CodeConflict, "%s", err)
	case errors.Is(err, datastore.ErrNotFound):
		return failf(api.CodeNotFound, "%s", err)
	case errors.Is(err, datastore.ErrExists):
		return failf(api.CodeExists, "%s", err)
	case errors.Is(err, datastore.ErrInvalid), errors.Is(err, datastore.ErrTooLong):
		return failf(api.CodeInvalid, "%s", err)
	case errors.Is(err, datastore.ErrIncomplete), errors.Is(err, datastore.ErrComplete), errors.Is(err, datastore.ErrTaken), errors.Is(err, datastore.ErrReadOnly):
		return failf(api.CodeConflict, "%s", err)
	}
	return nil
}
