package console

import (
	"context"
	"errors"
)

// A Watcher reads what the guest prints. Its methods are for one goroutine, Close for any.
type Watcher struct {
	port *Port
	name string // empty: State leaves it out
	at   int64
	more chan struct{} // capacity 1
	gone bool
}

// MaxWatchers is how many watch a Port at a time.
const MaxWatchers = 64

// ErrWatchers says that there are MaxWatchers.
var ErrWatchers = errors.New("console: 64 watch already: close one")

// Watch begins to read at offset from, or where what is kept begins: 0 is all of it, and a negative offset what is printed
// from now on. State names the watcher, unless the name is empty: as that of who types, who is the holder.
func (p *Port) Watch(name string, from int64) (*Watcher, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, ErrClosed
	case len(p.watchers) >= MaxWatchers:
		return nil, ErrWatchers
	}
	w := &Watcher{port: p, name: name, at: min(from, p.end), more: make(chan struct{}, 1)}
	if from < 0 {
		w.at = p.end
	}
	w.at = max(w.at, p.start)
	p.watchers = append(p.watchers, w)
	return w, nil
}

// Rename has State name the watcher so: its turn to type is over.
func (w *Watcher) Rename(name string) {
	w.port.mu.Lock()
	defer w.port.mu.Unlock()
	w.name = name
}

// At is the offset of what Read gives next.
func (w *Watcher) At() int64 {
	w.port.mu.Lock()
	defer w.port.mu.Unlock()
	return w.at
}

// wake has Read look again.
func (w *Watcher) wake() {
	select {
	case w.more <- struct{}{}:
	default:
	}
}

// Read waits for output and copies some of it. at is the first byte's offset; missed is how many bytes before it are lost because the
// watcher was too slow. It ends with ErrClosed or the context's error.
func (w *Watcher) Read(ctx context.Context, buf []byte) (n int, at, missed int64, err error) {
	for {
		w.port.mu.Lock()
		if w.at < w.port.start {
			missed += w.port.start - w.at
			w.at = w.port.start
		}
		at = w.at
		n = copy(buf, w.port.chunk(w.at))
		w.at += int64(n)
		closed := w.port.closed || w.gone
		w.port.mu.Unlock()
		switch {
		case n > 0 || len(buf) == 0:
			return n, at, missed, nil
		case closed:
			return 0, at, missed, ErrClosed
		}
		select {
		case <-w.more:
		case <-ctx.Done():
			return 0, at, missed, ctx.Err()
		}
	}
}

// Close ends the watch.
func (w *Watcher) Close() {
	w.port.mu.Lock()
	defer w.port.mu.Unlock()
	w.gone = true
	w.port.drop(w)
	w.wake()
}
