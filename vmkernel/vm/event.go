package vm

import (
	"context"
	"sync"
	"time"
)

// An EventKind says what has happened to a VM.
type EventKind string

// Kinds of events.
const (
	Created    EventKind = "created"
	Updated    EventKind = "updated"
	Deleted    EventKind = "deleted"
	PoweringOn EventKind = "starting"
	Started    EventKind = "started"
	NotStarted EventKind = "failed"   // Reason: why
	AskedOff   EventKind = "stopping" // its power button was pressed, or it is being stopped
	Ended      EventKind = "stopped"  // Reason: why; a VM that goes on after a reboot comes with PoweringOn next
	Crashed    EventKind = "crashed"  // an Ended by a crash
	AtRest     EventKind = "paused"
	GoesOn     EventKind = "resumed"
	SentNMI    EventKind = "nmi"
)

// An Event is something that has happened to a VM.
type Event struct {
	Seq    uint64 // 1 for the first since the host's boot, then one more for each
	Time   time.Time
	Kind   EventKind
	ID     string
	VM     string // its name
	State  State  // after it
	Reason string
	Labels map[string]string // not to be written to
}

// keptEvents is how many events are there for who is slow, or comes late.
const keptEvents = 1024

// events are the last ones, in a ring.
type events struct {
	mu   sync.Mutex
	hook func(Event)
	next uint64 // the next one's Seq
	kept [keptEvents]Event
	more chan struct{} // closed with the next; nil where nobody waits
}

// emit records an event of the VM. Its mutex is held.
func (v *VM) emit(kind EventKind, reason string) {
	e := &v.m.events
	e.mu.Lock()
	defer e.mu.Unlock()
	ev := Event{Seq: e.next, Time: time.Now(), Kind: kind, ID: v.id, VM: v.spec.Name, State: v.status.State, Reason: reason, Labels: v.spec.Labels}
	e.kept[e.next%keptEvents] = ev
	e.next++
	if e.more != nil {
		close(e.more)
		e.more = nil
	}
	if e.hook != nil {
		e.hook(ev)
	}
}

// OnEvent has hook called for every event, in order and before anybody can see it: for the audit log. It must neither
// wait nor call the Manager or a VM. It is set before there are VMs.
func (m *Manager) OnEvent(hook func(Event)) { m.events.hook = hook }

// A Subscription reads events, one goroutine at a time.
type Subscription struct {
	e  *events
	at uint64
}

// Subscribe reads the events after the one with number after: 0 is all that are kept. A number that hasn't been yet is
// the last that was.
func (m *Manager) Subscribe(after uint64) *Subscription {
	e := &m.events
	e.mu.Lock()
	defer e.mu.Unlock()
	return &Subscription{e, min(after+1, e.next)}
}

// LastEvent is the number of the last event, 0 if there was none.
func (m *Manager) LastEvent() uint64 {
	m.events.mu.Lock()
	defer m.events.mu.Unlock()
	return m.events.next - 1
}

// Next waits for the next event. missed is how many before it are lost because the reader was too slow or came too late.
func (s *Subscription) Next(ctx context.Context) (ev Event, missed uint64, err error) {
	for {
		s.e.mu.Lock()
		if s.at < s.e.next {
			if first := s.e.next - min(s.e.next-1, keptEvents); s.at < first {
				missed = first - s.at
				s.at = first
			}
			ev = s.e.kept[s.at%keptEvents]
			s.at++
			s.e.mu.Unlock()
			return ev, missed, nil
		}
		if s.e.more == nil {
			s.e.more = make(chan struct{})
		}
		more := s.e.more
		s.e.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return Event{}, 0, ctx.Err()
		}
	}
}
