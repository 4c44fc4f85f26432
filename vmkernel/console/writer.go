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
	lost  chan struct{}
	err   error // set before lost is closed

	// Of the Port's mutex.
	rest   []byte        // what the guest hasn't taken of what Write has
	news   chan struct{} // there is no rest any more, or no credit; capacity 1
	rate   float64       // bytes a second
	credit float64       // bytes that may go at once
	last   time.Time     // when credit was reckoned
}

// Hold makes name the one who types. Where another does, it is an error of HeldError, unless takeOver says so: then that
// one's Lost is closed, and its Err says by whom.
func (p *Port) Hold(name string, takeOver bool) (*Writer, error) {
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
	p.writer = &Writer{port: p, name: name, since: now, news: make(chan struct{}, 1), lost: make(chan struct{}), rate: bytesPer, credit: burst, last: now}
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

// Write types p, and waits until the guest has taken it. It returns how many bytes the guest has taken. Beside Err's errors
// and the context's there is ErrOff: there is no guest. It is for one goroutine at a time.
func (w *Writer) Write(ctx context.Context, p []byte) (n int, err error) {
	port := w.port
	port.mu.Lock()
	w.rest = p
	port.mu.Unlock()
	defer func() {
		port.mu.Lock()
		n = len(p) - len(w.rest)
		w.rest = nil
		port.mu.Unlock()
	}()
	for {
		port.mu.Lock()
		guest, rest := port.guest, len(w.rest)
		if port.changed == nil {
			port.changed = make(chan struct{})
		}
		changed := port.changed
		port.mu.Unlock()
		switch {
		case w.Err() != nil:
			return 0, w.err
		case rest == 0:
			return 0, nil
		case guest == nil:
			return 0, ErrOff
		}
		guest.Poke()
		var again <-chan time.Time
		if w.broke() {
			again = time.After(creditAfter)
		}
		select {
		case <-w.news:
		case <-changed:
		case <-again:
		case <-w.lost:
			return 0, w.err
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// creditAfter is how long one without credit waits for some.
const creditAfter = 5 * time.Millisecond

// broke says whether there is a rest, and no credit for it.
func (w *Writer) broke() bool {
	w.port.mu.Lock()
	defer w.port.mu.Unlock()
	return len(w.rest) > 0 && w.credit < 1
}

// pull moves some of the rest into b. The Port's mutex is held.
func (w *Writer) pull(b []byte) int {
	if len(w.rest) == 0 {
		return 0
	}
	now := time.Now()
	w.credit = min(burst, w.credit+now.Sub(w.last).Seconds()*w.rate)
	w.last = now
	n := copy(b[:min(len(b), int(w.credit))], w.rest)
	w.rest = w.rest[n:]
	w.credit -= float64(n)
	if len(w.rest) == 0 || w.credit < 1 {
		select {
		case w.news <- struct{}{}:
		default:
		}
	}
	return n
}
