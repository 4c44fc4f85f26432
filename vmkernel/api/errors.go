package api

import (
	"net/http"
	"slices"
	"strings"
)

// Error is the body of every answer that isn't a success: {"error": {...}}.
type Error struct {
	Code    Code              `json:"code"`
	Message string            `json:"message"`           // one line: what was wrong, with the value, and what to do
	Details map[string]string `json:"details,omitempty"` // for programs: field, missingRole, scope, holder, offset, collector, operation
}

func (e *Error) Error() string { return e.Message }

// packages begin the errors of Keel's packages, for its log: to a client they say nothing.
var packages = []string{"vm", "loader", "datastore", "console", "seed", "mem", "audit", "auth"}

// Bare is an error's text without the names of the packages that it begins with.
func Bare(text string) string {
	for {
		name, rest, found := strings.Cut(text, ": ")
		if !found || !slices.Contains(packages, name) {
			return text
		}
		text = rest
	}
}

// ErrorBody wraps an Error.
type ErrorBody struct {
	Error *Error `json:"error"`
}

// Code is the kind of an error, for programs.
type Code string

// Codes.
const (
	CodeInvalid      Code = "invalid"       // 400: the request says something impossible
	CodeUnknownField Code = "unknown-field" // 400: a field or a parameter that this release doesn't know; details.field
	CodeDenied       Code = "denied"        // 403: details.missingRole or details.scope
	CodeNotFound     Code = "not-found"     // 404: nothing of that name, or nothing that the caller may know of
	CodeNoRoute      Code = "no-route"      // 404: a route that this release doesn't know
	CodeMethod       Code = "method"        // 405: a method that this release doesn't know for the route
	CodeConflict     Code = "conflict"      // 409: what is there doesn't allow it now
	CodeExists       Code = "exists"        // 409: the name or the id is taken
	CodeHeld         Code = "held"          // 409: another holds the console; details.holder
	CodeOffset       Code = "offset"        // 409: the upload goes on elsewhere; details.offset
	CodeStale        Code = "stale"         // 412: it has changed since the ETag was given
	CodeTooLarge     Code = "too-large"     // 413
	CodeMediaType    Code = "media-type"    // 415
	CodeNoMatch      Code = "no-if-match"   // 428: a change without If-Match
	CodeTooMany      Code = "too-many"      // 429: too many calls at once, or too many attempts
	CodeInternal     Code = "internal"      // 500: a fault of Keel's; the host's log says more
	CodeUnavailable  Code = "unavailable"   // 503: not in this version, or not on this host
	CodeCollector    Code = "collector"     // 503: the audit log can't be forwarded; details.collector
	CodeTimeout      Code = "timeout"       // 504: the host took too long
	CodeFull         Code = "full"          // 507: no memory or no space for it
)

// Unknown says whether an error means that the host's release doesn't know what was asked of it.
func (c Code) Unknown() bool {
	return c == CodeUnknownField || c == CodeNoRoute || c == CodeMethod
}

// Status is the HTTP status of an error's code.
func (c Code) Status() int {
	switch c {
	case CodeInvalid, CodeUnknownField:
		return http.StatusBadRequest
	case CodeDenied:
		return http.StatusForbidden
	case CodeNotFound, CodeNoRoute:
		return http.StatusNotFound
	case CodeMethod:
		return http.StatusMethodNotAllowed
	case CodeConflict, CodeExists, CodeHeld, CodeOffset:
		return http.StatusConflict
	case CodeStale:
		return http.StatusPreconditionFailed
	case CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case CodeMediaType:
		return http.StatusUnsupportedMediaType
	case CodeNoMatch:
		return http.StatusPreconditionRequired
	case CodeTooMany:
		return http.StatusTooManyRequests
	case CodeUnavailable, CodeCollector:
		return http.StatusServiceUnavailable
	case CodeTimeout:
		return http.StatusGatewayTimeout
	case CodeFull:
		return http.StatusInsufficientStorage
	}
	return http.StatusInternalServerError
}
