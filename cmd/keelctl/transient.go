package main

import (
	"context"
	"errors"

	"keel/cmd/keelctl/exit"
	"keel/vmkernel/api"
)

// transient says whether the same call may succeed when it is made again.
func transient(err error) bool {
	var answer *api.Error
	switch {
	case errors.Is(err, context.Canceled):
		return false
	case errors.As(err, &answer):
		return answer.Code == api.CodeOffset || answer.Code == api.CodeTooMany || answer.Code == api.CodeTimeout
	}
	code := exit.Code(err)
	return code == exit.Unreachable || code == exit.Timeout
}
