package server

import (
	"strconv"

	"keel/vmkernel/api"
)

// maxEvents is how many events are kept.
const maxEvents = 1024

// happening is an event with what says who may see it.
type happening struct {
	api.Event
	labels map[string]string // of its VM
	host   bool              // it is of no VM: not for who is limited to some
}

// pumpEvents takes what happens to VMs into the server's own events.
func (s *Server) pumpEvents() {
	from := s.VMs.Events()
	for {
		e, labels, missed, err := from.Next(s.ctx)
		if err != nil {
			return
		}
		if missed > 0 {
			s.publish(happening{Event: lostEvent(missed), host: true})
		}
		s.publish(happening{Event: e, labels: labels})
	}
}

func lostEvent(missed uint64) api.Event {
	return api.Event{Kind: "lost", Data: map[string]string{"events": strconv.FormatUint(missed, 10)}}
}

// publish adds an event, and gives it its number, and a time if it has none.
func (s *Server) publish(h happening) {
	if h.Time.IsZero() {
		h.Time = s.Now()
	}
	h.Time = h.Time.UTC()
	s.events.add(func(n uint64) happening {
		h.Sequence = n
		return h
	})
}

// hostEvent publishes that something has happened to the host.
func (s *Server) hostEvent(kind, id string, data map[string]string) {
	s.publish(happening{Event: api.Event{Kind: kind, ID: id, Data: data}, host: true})
}

func getEvents(c *call) (any, error) {
	show := func(h happening) (any, bool) {
		if h.host {
			return h.Event, !c.scoped()
		}
		return h.Event, c.sees(h.labels)
	}
	return nil, stream(c, &c.s.events, show, func(missed, next uint64) any {
		e := lostEvent(missed)
		e.Sequence, e.Time = next-1, c.s.Now().UTC()
		return e
	})
}
