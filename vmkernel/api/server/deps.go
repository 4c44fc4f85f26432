package server

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"

	"keel/vmkernel/audit"
)

// Audit is vmkernel/audit's Log.
type Audit interface {
	Boot() string
	Begin(audit.Entry) (audit.ID, error)
	End(audit.ID, audit.Outcome)
	Event(audit.Entry)
	Refuse(source, what string)
	Head() (audit.Head, error)
	Read(from int64, n int) audit.Page
	Wait(ctx context.Context, size int64) error
	Consistency(old, size int64) (tlog.TreeProof, error)
	Inclusion(seq, size int64) (tlog.RecordProof, error)
	Forward(*audit.Collector) error
	Forwarding() audit.Forwarding
}

var _ Audit = (*audit.Log)(nil)
