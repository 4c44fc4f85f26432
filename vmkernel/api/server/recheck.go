package server

import (
	"fmt"
	"runtime/debug"
	"time"

	"keel/vmkernel/api/door"
	"keel/vmkernel/audit"
	"keel/vmkernel/auth"
)

// recheck ends the connections of those who may no longer stay, as soon as that is known.
func (s *Server) recheck() {
	changed := make(chan struct{}, 1)
	defer s.Trust.Watch(func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})()
	tick := time.NewTicker(s.times.recheck)
	defer tick.Stop()
	before := s.openness()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
		before = s.tellOpenness(before)
		s.mu.Lock()
		doors := s.doors
		s.mu.Unlock()
		now := s.Now()
		for _, d := range doors {
			d.Recheck(func(p *door.Peer) bool {
				id, known := p.ID.(*auth.Identity)
				if !known {
					return true // a stranger's time is short anyway
				}
				err := s.Trust.Recheck(*id, now)
				if err != nil {
					s.Audit.Refuse(p.Source.String(), string(auth.ReasonOf(err)))
					s.Log.Info("connection ended", "user", id.Name, "from", p.Source.String(), "cause", err.Error())
				}
				return err == nil
			})
		}
	}
}

// kept runs a loop of the server's until it returns. A fault in it ends neither the host nor the loop, which begins anew.
func (s *Server) kept(what string, loop func()) {
	once := func() (failed bool) {
		defer func() {
			if p := recover(); p != nil {
				failed = true
				s.Log.Error("a fault of Keel's: this part of it begins anew", "part", what, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			}
		}()
		loop()
		return false
	}
	for once() {
		time.Sleep(time.Second) // one that fails each time is to leave the processor to others
	}
}

// openness is how open the host is to people whom it doesn't know yet.
type openness struct{ locked, claim bool }

func (s *Server) openness() openness {
	return openness{s.Trust.Lockdown().Locked, s.Trust.ClaimOpen()}
}

// tellOpenness records what time has changed, or somebody: a lockdown that has come, and a claim that is over.
func (s *Server) tellOpenness(before openness) openness {
	now := s.openness()
	tell := func(action, message string) {
		s.Audit.Event(audit.Entry{Action: action, On: s.Name})
		s.hostEvent(action, "", nil)
		s.Log.Info(message)
	}
	if now.locked && !before.locked {
		tell("trust.locked", "locked down")
	}
	if before.claim && !now.claim {
		tell("claim.closed", "claim closed")
	}
	return now
}
