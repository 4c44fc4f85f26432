package console

import (
	"context"
	"fmt"
	"time"
)

// The pace of what is typed: a burst that any guest's line buffer takes, and then that of 115,200 baud, for which serial
// drivers have their buffers.
const (
	burst    = 4 << 10
	bytesPer = 11_520 // a second
)

// A HeldError says who types, since when.
type HeldError struct {
	Holder string
	Since  time.Time
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("console: %s has been typing here since %s: watch, or take over", e.Holder, e.Since.UTC().Format(time.RFC3339))
}

// A TakenError says who has taken over.
type TakenError struct{ By string }

func (e *TakenError) Error() string { return "console: " + e.By + " has taken over: you can watch" }

// A Writer types to the guest.
type Writer struct {
	port  *Port
	name  string
	since time.Time
	room  chan struct{} // capacity 1
	lost  chan struct{}
	err   error // set before lost is closed

	rate   float64 // bytes a second; Write's own, as what follows
	credit float64 // bytes that may go at once
	last   time.Time
}

// Hold makes name the one who types. Where another does, it is an error of HeldError, unless takeOver says so: then that
// one's Lost is closed, and its Err says by whom.
func (p *Port) Hold(name string, takeOver bool) (*Writer, error) {
	p.typing.Lock()
	defer p.typing.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	if p.writer != nil {
		if !takeOver {
			return nil, &HeldError{p.writer.name, p.writer.since}
		}
		p.writer.lose(&TakenError{name})
	}
	now := time.Now()
	p.writer = &Writer{port: p, name: name, since: now, room: make(chan struct{}, 1), lost: make(chan struct{}), rate: bytesPer, credit: burst, last: now}
	return p.writer, nil
}

// lose ends a writer's turn. The Port's mutex is held.
func (w *Writer) lose(why error) {
	w.err = why
	close(w.lost)
}

// Lost is closed when the turn is over.
func (w *Writer) Lost() <-chan struct{} { return w.lost }

// Err says why it is over: TakenError, or ErrClosed. It is nil before.
func (w *Writer) Err() error {
	select {
	case <-w.lost:
		return w.err
	default:
		return nil
	}
}

// Close ends the turn.
func (w *Writer) Close() {
	w.port.mu.Lock()
	defer w.port.mu.Unlock()
	if w.port.writer == w {
		w.port.writer = nil
		w.lose(ErrClosed)
	}
}

// Write types p, and waits while the guest has no room. It returns how many bytes the guest has taken. Beside Err's errors
// and the context's there is ErrOff: there is no guest. It is for one goroutine at a time.
func (w *Writer) Write(ctx context.Context, p []byte) (n int, err error) {
	for n < len(p) {
		may, wait := w.allowance(len(p) - n)
		took := 0
		var changed chan struct{}
		if may > 0 {
			if took, changed, err = w.give(p[n : n+may]); err != nil {
				return n, err
			}
			n += took
			w.credit -= float64(took)
			if took > 0 {
				continue
			}
		}
		var timer <-chan time.Time
		if may == 0 {
			timer = time.After(wait)
		}
		select {
		case <-w.room:
		case <-changed:
		case <-timer:
		case <-w.lost:
			return n, w.err
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
	return n, nil
}

// allowance is how many of n bytes may be typed now; for none, how long until some may.
func (w *Writer) allowance(n int) (may int, wait time.Duration) {
	now := time.Now()
	w.credit = min(burst, w.credit+now.Sub(w.last).Seconds()*w.rate)
	w.last = now
	if w.credit >= 1 {
		return min(n, int(w.credit)), 0
	}
	return 0, 5 * time.Millisecond // some 58 bytes' time
}

// give offers bytes to the guest; changed is closed when there is another guest, or none. The Port's mutex isn't held at the
// offer, since the UART takes its own, with which it calls Put and Room.
func (w *Writer) give(p []byte) (took int, changed chan struct{}, err error) {
	port := w.port
	port.typing.Lock()
	defer port.typing.Unlock()
	port.mu.Lock()
	guest, current := port.guest, port.writer == w
	if port.changed == nil {
		port.changed = make(chan struct{})
	}
	changed = port.changed
	port.mu.Unlock()
	switch {
	case !current: // with the mutex, lost was closed
		return 0, nil, w.err
	case guest == nil:
		return 0, nil, ErrOff
	}
	return guest.Receive(p), changed, nil
}
