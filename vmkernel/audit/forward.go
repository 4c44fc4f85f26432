package audit

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"
)

// Forwarding without loss. RFC 5425 has no acknowledgements: what a connection took may be lost in a buffer on either
// side. But it does say (4.4) that a receiver answers close_notify with its own, and TLS keeps order: a collector that
// has answered has read all that came before. So a connection carries a window of records and is then closed and the
// answer waited for (session.go); only that confirms the records, and only what is confirmed may be dropped here.
// After any other end all of the window is sent again, with the same numbers: a collector gets each record at least
// once and in order, and tells the copies by boot and seq. A confirmation says that the collector's TLS has read the
// records; that it writes them to a disk is its own affair.
const (
	confirmAfter = time.Minute // from the first unconfirmed record on a connection to its closing
	maxWindow    = 1 << 20     // bytes on a connection; halved when one fails, as a slow collector's will, and then grown again
	minWindow    = maxWrite
	minBackoff   = time.Second
	maxBackoff   = time.Minute
)

// Forwarding is how the forwarding stands.
type Forwarding struct {
	Collector *Collector // nil: the log isn't forwarded
	Connected bool
	Confirmed int64     // records before this one are confirmed, or were dropped before there was a collector
	Size      int64     // records
	Since     time.Time // of the first failure since the last confirmation; zero: none
	Err       error     // the latest failure; nil: none since the last confirmation
}

// forwarder sends a log's records to one collector. What isn't said otherwise is guarded by the log's mutex.
type forwarder struct {
	log       *Log
	collector Collector
	config    *tls.Config
	cancel    context.CancelFunc
	woken     chan struct{} // of one: the log has grown, or is closing
	done      chan struct{} // closed when run has ended

	confirmed int64 // records from here on may not be dropped
	next      int64 // the first that this collector hasn't confirmed: less than confirmed while it gets old ones
	connected bool
	since     time.Time
	err       error

	window int // run's own
}

// Forward has the log sent to a collector, in place of another. nil: to none; then records that weren't confirmed are
// no longer kept for a collector. Records that no collector was to have so far are sent as well, as long as they are
// there.
func (l *Log) Forward(c *Collector) error {
	var f *forwarder
	if c != nil {
		f = &forwarder{log: l, collector: *c, woken: make(chan struct{}, 1), done: make(chan struct{}), window: maxWindow}
		if err := f.collector.Check(); err != nil {
			return err
		}
		if l.dial == nil {
			return errors.New("audit: no network reaches a collector: the host has none")
		}
		f.config = f.collector.config(l.certificate, l.now)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	old := l.forward
	l.forward = f
	if old != nil {
		old.cancel()
	}
	to := "none"
	if f != nil {
		to = f.collector.Address
		f.confirmed, f.next = l.tree.n, l.store.first()
		if old != nil {
			f.confirmed = old.confirmed
			if old.collector.Address == to {
				f.next = old.next
			}
		}
	}
	l.event(&Entry{Action: actionForward, On: to})
	if f != nil {
		ctx, cancel := context.WithCancel(context.Background())
		f.cancel = cancel
		go f.run(ctx)
	}
	return nil
}

// Forwarding says how the forwarding stands.
func (l *Log) Forwarding() Forwarding {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Forwarding{Size: l.tree.n}
	if f := l.forward; f != nil {
		c := f.collector
		s.Collector, s.Connected, s.Confirmed, s.Since, s.Err = &c, f.connected, f.next, f.since, f.err
	}
	return s
}

// refusal is the error for a call that is refused since the collector doesn't take records.
func (f *forwarder) refusal() error {
	since := f.since
	if since.IsZero() {
		since = f.log.now() // it does, but too slowly
	}
	return &collectorError{f.collector.Address, since, f.err}
}

// wake has the session look for records.
func (f *forwarder) wake() {
	select {
	case f.woken <- struct{}{}:
	default:
	}
}

// run sends until it is cancelled, or the log is closed and all is confirmed.
func (f *forwarder) run(ctx context.Context) {
	defer close(f.done)
	backoff := minBackoff
	for ctx.Err() == nil {
		if !f.waitRecords(ctx) {
			return
		}
		err := f.session(ctx)
		f.note(err)
		if err == nil {
			backoff = minBackoff
			continue
		}
		t := time.NewTimer(backoff)
		select {
		case <-t.C:
		case <-ctx.Done():
		case <-f.log.closing:
			<-time.After(closingBackoff) // there isn't much time
		}
		t.Stop()
		backoff = min(2*backoff, maxBackoff)
	}
}

// closingBackoff is between attempts while the host waits for the log to be taken.
const closingBackoff = 200 * time.Millisecond

// waitRecords waits for records to send. It is false if there will be none.
func (f *forwarder) waitRecords(ctx context.Context) bool {
	for {
		f.log.mu.Lock()
		some, closed := f.next < f.log.tree.n, f.log.closed
		f.log.mu.Unlock()
		if some {
			return true
		}
		if closed {
			return false
		}
		select {
		case <-f.woken:
		case <-ctx.Done():
			return false
		}
	}
}

// note takes down how a session ended.
func (f *forwarder) note(err error) {
	f.log.mu.Lock()
	defer f.log.mu.Unlock()
	f.connected, f.err = false, err
	if err == nil {
		f.since = time.Time{}
	} else if f.since.IsZero() {
		f.since = f.log.now()
	}
}

// confirm takes down that the collector has all records before next.
func (f *forwarder) confirm(next int64) {
	f.log.mu.Lock()
	defer f.log.mu.Unlock()
	f.next = next
	f.confirmed = max(f.confirmed, next)
}

// frames returns the messages of records from next on, about limit bytes of them, and the number of the record after
// them. They are shorter than limit only if the log ends there.
func (f *forwarder) frames(to []byte, next int64, limit int) (messages []byte, after int64, closed bool) {
	l := f.log
	l.mu.Lock()
	defer l.mu.Unlock()
	after = max(next, l.store.first())
	for ; after < l.tree.n && len(to) < limit; after++ {
		to = l.recordMessage(to, after, l.store.find(after).record(after))
	}
	return to, after, l.closed
}

// checkpointFrame returns the message of a checkpoint.
func (f *forwarder) checkpointFrame() ([]byte, error) {
	f.log.mu.Lock()
	defer f.log.mu.Unlock()
	signed, err := f.log.checkpoint()
	if err != nil {
		return nil, err
	}
	return f.log.checkpointMessage(nil, signed, f.log.signedN), nil
}

// Close records what is still counted and the end of calls that are open, sends all to the collector, if there is one,
// and returns once it has confirmed that or ctx ends. Nothing can be recorded any more.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	l.flushCounted()
	for id := range l.open {
		l.outcome(id, &Outcome{Result: Interrupted})
	}
	l.event(&Entry{Action: actionEnd})
	l.closed = true
	if l.flush.timer != nil {
		l.flush.timer.Stop()
	}
	close(l.closing)
	f := l.forward
	l.mu.Unlock()
	if f == nil {
		return nil
	}
	f.wake()
	defer f.cancel()
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		return fmt.Errorf("audit: the collector %s hasn't confirmed the last %d records: %w", f.collector.Address,
			l.tree.n-f.next, errors.Join(f.err, ctx.Err()))
	}
}
