package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Record is a record as a client reads it. Which fields it has depends on its Kind: intent, outcome, event, refused or
// counted.
type Record struct {
	Seq    int64     `json:"seq"`
	Time   time.Time `json:"time"`
	Kind   string    `json:"kind"`
	ID     int64     `json:"id,omitempty"`    // of the call: intents and outcomes
	Cause  int64     `json:"cause,omitempty"` // of the call that caused an event
	Class  string    `json:"class,omitempty"`
	Name   string    `json:"name,omitempty"`
	Role   string    `json:"role,omitempty"`
	Serial string    `json:"serial,omitempty"`
	Issuer string    `json:"issuer,omitempty"`
	From   string    `json:"from,omitempty"`
	Method string    `json:"method,omitempty"`
	Action string    `json:"action,omitempty"`
	On     string    `json:"on,omitempty"`
	Result string    `json:"result,omitempty"`
	Code   int       `json:"code,omitempty"`
	Micros int64     `json:"micros,omitempty"` // that the call took
	Detail string    `json:"detail,omitempty"`

	First int64 `json:"first,omitempty"` // audit.drop: the records that were dropped
	Last  int64 `json:"last,omitempty"`

	Since   time.Time `json:"since,omitzero"` // refused, counted: from then on
	Count   int64     `json:"count,omitempty"`
	Others  int64     `json:"others,omitempty"` // of Count: from further sources
	Sources []Refused `json:"sources,omitempty"`
}

// Refused is who was refused how often, and why at last.
type Refused struct {
	From  string `json:"from"` // an address, or an IPv6 network
	Count int64  `json:"count"`
	What  string `json:"what,omitempty"`
}

// ParseRecord parses a record's line. Fields that this version doesn't know are ignored: the hash covers them.
func ParseRecord(line []byte) (*Record, error) {
	if len(line) > maxLine || bytes.IndexByte(line, '\n') >= 0 {
		return nil, fmt.Errorf("audit: a record of %d bytes, or more than one: it has at most %d in one line", len(line), maxLine)
	}
	var r Record
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, fmt.Errorf("audit: a record that isn't one: %w", err)
	}
	if r.Kind == "" || r.Seq < 0 || r.Seq >= maxSize {
		return nil, fmt.Errorf("audit: a record without a kind or number: %.80q", line)
	}
	return &r, nil
}

// maxLine is the longest record that a client takes: a later version's may be longer than MaxRecord.
const maxLine = 16 << 10
