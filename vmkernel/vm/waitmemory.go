package vm

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"keel/vmkernel/mem"
)

// waiters is what is known of those of a VM's processors that wait for memory.
type waiters struct {
	log   *slog.Logger
	mu    sync.Mutex
	n     int  // that wait
	said  bool // in the log
	since time.Time
}

// How long a processor that waits for memory does so before it asks again, or impatiently.
const (
	tryAgain   = 5 * time.Millisecond
	pacedPause = 2 * time.Millisecond // for a page, where there is little left: see mem.ErrPaced
	patience   = 2 * time.Second      // for others to give back
)

// grow has the machine hold more, 2 MiB or a page, and waits until that can be had. It returns how many pages that were,
// and false if the VM is to stop.
func (s *share) grow() (uint64, bool) { return s.await(s.take) }

// repay has the policy grant what the machine is overdrawn by, and waits likewise.
func (s *share) repay() bool {
	_, ok := s.await(s.match)
	return ok
}

// large is how many pages there are in one of 2 MiB.
const large = 512

// await calls ask with the mutex held, first for 2 MiB and then for a page, until it succeeds or the VM is to stop.
func (s *share) await(ask func(n uint64, patient bool) error) (pages uint64, ok bool) {
	began := time.Time{}
	for n, patient := uint64(large), true; ; n = 1 {
		s.m.mu.Lock()
		err := ask(n, patient)
		scarcity, changed := time.Duration(s.m.tree.Scarcity()), s.m.changed
		s.m.mu.Unlock()
		switch {
		case err == nil:
			s.wait.over(began)
			return n, true
		case errors.Is(err, ErrNoShare):
			return 0, false
		case n == large: // as little as possible then
			continue
		case began.IsZero():
			began = s.wait.begin()
		}
		pause := s.m.pause
		switch {
		case errors.Is(err, mem.ErrPaced):
			pause, patient = pacedPause*scarcity, false
		case errors.Is(err, mem.ErrLater) && time.Since(began) < patience:
			patient = true
		case errors.Is(err, mem.ErrLater):
			patient = false // for the reason
		default:
			s.wait.say(err)
			patient = true
		}
		select {
		case <-time.After(pause):
		case <-changed: // who may have how much
		case <-s.in.ending:
			s.wait.over(began)
			return 0, false
		}
	}
}

// begin counts a processor that waits.
func (w *waiters) begin() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n == 0 {
		w.since = time.Now()
	}
	w.n++
	return time.Now()
}

// say logs once why they wait.
func (w *waiters) say(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.said {
		w.said = true
		w.log.Warn("vm waits for memory", "error", why)
	}
}

// over counts one that doesn't any more.
func (w *waiters) over(began time.Time) {
	if began.IsZero() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n--; w.n == 0 && w.said {
		w.said = false
		w.log.Info("vm has memory again", "waited", time.Since(w.since).Round(time.Millisecond))
	}
}

// waiting is how many processors wait.
func (w *waiters) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n
}
