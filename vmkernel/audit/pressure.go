package audit

import (
	"errors"
	"fmt"
	"time"
)

// What is done with a log that has no room.
//
// Where it isn't forwarded, the oldest records go, but reads don't push out what was done: once the room is used up, reads
// are counted (counted.go) for as long as the oldest chunk has anything else in it. So a dashboard that asks every
// second has its reads in the log one by one for some hours, and from then on as one record an hour for each thing that it
// asks for; and what the administrators do stays until they have done as much again.
//
// Where its collector doesn't take records, those that it hasn't confirmed are kept, all of them, so room runs out; and the
// less there is, the less may still be done. With this many chunks of maxChunks taken:
const (
	changeChunks = maxChunks / 2     // changes are refused
	readChunks   = maxChunks * 3 / 4 // reads are counted instead of recorded (counted.go), so they go on for ever
	stopChunks   = maxChunks - 4     // VMs can't be stopped nor the host shut down: after hundreds of such acts
	eventChunks  = maxChunks - 3     // events are counted
	repairChunks = maxChunks - 2     // the forwarding can't be repaired either: after hundreds of attempts
)

// outcomes is how many of the longest outcomes fit in a chunk: room is kept for those of all open calls.
const outcomes = chunkSize / 512

// ErrCollector is what a call is refused by because the collector doesn't take records. The error that wraps it names
// the collector.
var ErrCollector = errors.New("the audit log's collector doesn't take records")

// collectorError says which collector, since when, and what is the matter with it.
type collectorError struct {
	address string
	since   time.Time
	cause   error
}

func (e *collectorError) Error() string {
	s := fmt.Sprintf("audit: the collector %s hasn't taken records since %s", e.address, e.since.UTC().Format(time.RFC3339))
	if e.cause != nil {
		s += " (" + e.cause.Error() + ")"
	}
	return s + ": until it does, or the forwarding is changed, only reading, stopping VMs, shutting down and changing the forwarding are allowed"
}

func (e *collectorError) Is(target error) bool { return target == ErrCollector }
func (e *collectorError) Unwrap() error        { return e.cause }

// pending is how many chunks hold records that mustn't be dropped.
func (l *Log) pending() int {
	if l.forward == nil {
		return 0
	}
	return l.store.from(l.forward.confirmed)
}

// taken is how many chunks are pending or reserved for outcomes.
func (l *Log) taken() int { return l.pending() + (len(l.open)+outcomes-1)/outcomes }

// full says whether events are to be counted.
func (l *Log) full() bool { return l.taken() >= eventChunks }

// crowded says whether reads would push out what isn't one.
func (l *Log) crowded() bool {
	return l.forward == nil && len(l.store.chunks) == maxChunks && l.store.chunks[0].acts
}

// admit says whether a call may begin, and whether it is only counted.
func (l *Log) admit(c Class) (count bool, err error) {
	taken := l.taken()
	limit := changeChunks
	switch c {
	case ClassRead:
		return taken >= readChunks || l.crowded(), nil
	case ClassStop:
		limit = stopChunks
	case ClassRepair:
		limit = repairChunks
	}
	if taken < limit {
		return false, nil
	}
	return false, l.forward.refusal()
}
