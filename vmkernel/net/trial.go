package net

import (
	"errors"
	"sync"
	"time"
)

// ConfirmWithin is how long a change of the network stays that nobody confirms.
const ConfirmWithin = time.Minute

// applyAfter is how long the answer to whoever wants a change has to reach him, before the address
// changes that he knows.
const applyAfter = 500 * time.Millisecond

// Errors of Confirm.
var (
	ErrNoTrial = errors.New("net: no change waits for confirmation: it was confirmed or reverted before")
	ErrTooSoon = errors.New("net: the change isn't in effect yet: confirm it over the new addresses in a second")
)

// trials is the change that waits for confirmation.
type trials struct {
	mu      sync.Mutex
	base    Config // to go back to
	applied bool
	until   time.Time
	timer   *time.Timer // nil: there is none; one whose change is gone back from stays until that is done
	ending  bool        // it is gone back from
}

// Try changes the network, shortly after it has returned, and changes it back unless Confirm is called
// within a time; ended is told then, with nil, and earlier with an error if the change can't be made.
// A change in the place of one that isn't confirmed goes back to where that would have.
func (s *Stack) Try(c Config, within time.Duration, ended func(error)) (until time.Time, err error) {
	if err := c.Check(); err != nil {
		return time.Time{}, err
	}
	t := &s.trials
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer == nil {
		t.base = s.Config()
	} else {
		t.timer.Stop()
	}
	t.applied, t.ending, t.until = false, false, time.Now().Add(within)
	var timer *time.Timer
	timer = time.AfterFunc(within, func() { s.revert(timer, nil, ended) })
	t.timer = timer
	time.AfterFunc(min(applyAfter, within/2), func() {
		err := s.wait(func() error {
			t.mu.Lock()
			current := t.timer == timer
			t.mu.Unlock()
			if !current {
				return nil
			}
			if err := s.apply(c); err != nil {
				return err
			}
			t.mu.Lock()
			t.applied = true
			t.mu.Unlock()
			return nil
		})
		if err != nil {
			s.revert(timer, err, ended)
		}
	})
	return t.until, nil
}

// revert goes back from the change of a timer, and tells why, if it still waits. Until that is done the change counts as one
// that waits: another in its place has to go back to the same network, not to this change.
func (s *Stack) revert(timer *time.Timer, why error, ended func(error)) {
	t := &s.trials
	t.mu.Lock()
	current := t.timer == timer && !t.ending
	if current {
		t.timer.Stop()
		t.ending = true
	}
	base := t.base
	t.mu.Unlock()
	if !current {
		return
	}
	err := s.wait(func() error { return s.apply(base) })
	t.mu.Lock()
	if current = t.timer == timer; current {
		t.timer, t.ending = nil, false
	}
	t.mu.Unlock()
	if current {
		ended(errors.Join(why, err))
	}
}

// Confirm makes the change that waits for it the network that stays.
func (s *Stack) Confirm() error {
	t := &s.trials
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.timer == nil || t.ending || !t.timer.Stop():
		return ErrNoTrial
	case !t.applied:
		t.timer.Reset(time.Until(t.until))
		return ErrTooSoon
	}
	t.timer = nil
	return nil
}

// Trial is what a change that waits for confirmation goes back to, and when; ok is false where there is none.
func (s *Stack) Trial() (base Config, until time.Time, ok bool) {
	t := &s.trials
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.base, t.until, t.timer != nil
}
