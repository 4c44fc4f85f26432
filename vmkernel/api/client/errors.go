package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"keel/vmkernel/api"
	"keel/vmkernel/auth"
)

// Kind is what went wrong, coarsely: keelctl's exit codes.
type Kind uint8

// Kinds.
const (
	Other       Kind = iota
	Invalid          // the request was wrong
	NotFound         // there is nothing of that name
	Denied           // the caller may not, or isn't known
	Conflict         // what is there doesn't allow it
	Unreachable      // nobody answers
	Timeout          // it took too long
)

// Error is what every method of a Client fails with.
type Error struct {
	Kind    Kind
	Code    api.Code          // what the host said; empty where it said nothing
	Status  int               // of HTTP; 0 likewise
	Message string            // one line
	Details map[string]string // see api.Error
	Err     error             // below it
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of an error.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Other
}

// kinds are the kinds of the codes; others are Other.
var kinds = map[api.Code]Kind{
	api.CodeInvalid: Invalid, api.CodeUnknownField: Invalid, api.CodeMethod: Invalid, api.CodeTooLarge: Invalid,
	api.CodeMediaType: Invalid, api.CodeNoMatch: Invalid,
	api.CodeDenied: Denied, api.CodeNotFound: NotFound, api.CodeTimeout: Timeout,
	api.CodeConflict: Conflict, api.CodeExists: Conflict, api.CodeHeld: Conflict, api.CodeOffset: Conflict, api.CodeStale: Conflict,
}

// ofAPI is an error that the host has said.
func ofAPI(status int, e *api.Error) *Error {
	return &Error{Kind: kinds[e.Code], Code: e.Code, Status: status, Message: e.Message, Details: e.Details}
}

// Of is an operation's error as a Client's.
func Of(e *api.Error) *Error { return ofAPI(e.Code.Status(), e) }

// wrap is an error of the connection.
func (c *Client) wrap(ctx context.Context, err error) error {
	var done *Error
	if err == nil || errors.As(err, &done) {
		return err
	}
	host := c.config.Address
	var other *auth.ErrOtherKey
	var network net.Error
	text := err.Error()
	switch {
	case errors.As(err, &other):
		return &Error{Kind: Denied, Message: host + ": " + other.Error(), Err: err}
	case strings.Contains(text, "the host's certificate"):
		return &Error{Kind: Denied, Message: host + ": " + tail(text, "the host's certificate"), Err: err}
	case strings.Contains(text, "remote error: tls: "):
		return &Error{Kind: Denied, Message: fmt.Sprintf("%s doesn't take this client certificate: %s", host, alert(tail(text, "tls: "))), Err: err}
	case errors.Is(ctx.Err(), context.Canceled):
		return &Error{Kind: Other, Message: "it was given up", Err: err}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &Error{Kind: Timeout, Message: host + ": no answer in time", Err: err}
	case errors.As(err, &network) && network.Timeout():
		return &Error{Kind: Unreachable, Message: host + " can't be reached: " + text, Err: err}
	}
	return &Error{Kind: Unreachable, Message: host + " can't be reached: " + short(text), Err: err}
}

func tail(s, from string) string {
	if i := strings.LastIndex(s, from); i >= 0 {
		return s[i:]
	}
	return s
}

// short is an error of package net/http without the URL that everybody knows.
func short(s string) string {
	if i := strings.Index(s, `": `); i >= 0 && strings.Contains(s[:i], `"https://`) {
		return s[i+3:]
	}
	return s
}

// alert says what a TLS alert means here.
func alert(s string) string {
	switch strings.TrimPrefix(s, "tls: ") {
	case "certificate required":
		return "it needs one"
	case "expired certificate":
		return "it has expired, or one of the two clocks is wrong (`keelctl cert renew`)"
	case "unknown certificate authority":
		return "no operator CA of the host's has signed it"
	case "bad certificate":
		return "it was revoked, has no role, or isn't for clients; the host's log says which"
	case "protocol version not supported":
		return "the two have no version of TLS in common"
	}
	return s
}
