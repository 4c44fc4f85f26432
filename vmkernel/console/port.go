package console

import (
	"errors"
	"slices"
	"sync"
	"time"
)

// RingSize is how much of a guest's output a Port keeps, in bytes.
const RingSize = 64 << 10

// A Receiver is the guest's end of the line. It calls Pull when it has room, as long as that gives all that it asks for, and
// then again when Poke says so.
type Receiver interface {
	Poke()
}

// A Port is the console of one serial port. The zero Port is ready, with no guest.
type Port struct {
	mu       sync.Mutex
	ring     []byte // its length is a power of two; nil before the guest was first on
	end      int64  // offset behind the last byte
	start    int64  // offset of the first byte that is kept
	guest    Receiver
	changed  chan struct{} // closed when guest changes; nil where nobody waits
	closed   bool
	watchers []*Watcher
	writer   *Writer
}

// Errors.
var (
	ErrClosed = errors.New("console: the VM was deleted, or has the port no more")
	ErrOff    = errors.New("console: the VM is off: start it first")
)

// State says how a Port stands.
type State struct {
	Start, End int64  // offsets of what is kept of the output
	On         bool   // there is a guest
	Holder     string // who types; empty: nobody
	Since      time.Time
	Watchers   []string
}

// State says how the Port stands.
func (p *Port) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := State{Start: p.start, End: p.end, On: p.guest != nil}
	if p.writer != nil {
		s.Holder, s.Since = p.writer.name, p.writer.since
	}
	for _, w := range p.watchers {
		if w.name != "" {
			s.Watchers = append(s.Watchers, w.name)
		}
	}
	return s
}

// Memory is how many bytes the Port takes.
func (p *Port) Memory() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ring)
}

// Connect switches the port on: guest is the UART that what is typed goes to.
func (p *Port) Connect(guest Receiver) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resize(RingSize)
	p.guest = guest
	p.guestChanged()
}

// Disconnect switches the port off, if it is guest's, and keeps what was printed, in as little memory as it takes.
func (p *Port) Disconnect(guest Receiver) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.guest != guest {
		return
	}
	p.guest = nil
	need := 0
	for kept := p.end - p.start; int64(need) < kept; {
		need = max(2*need, 1<<10)
	}
	p.resize(need)
	p.guestChanged()
}

func (p *Port) guestChanged() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// resize gives the ring n bytes, a power of two or none, and keeps as much as fits.
func (p *Port) resize(n int) {
	if n == len(p.ring) {
		return
	}
	ring := []byte(nil)
	if n > 0 {
		ring = make([]byte, n)
		p.start = max(p.start, p.end-int64(n))
		for at := p.start; at < p.end; {
			chunk := p.chunk(at)
			at += int64(copy(ring[at&int64(n-1):], chunk))
		}
	}
	p.ring = ring
}

// chunk is what lies in one piece from offset at on.
func (p *Port) chunk(at int64) []byte {
	if at >= p.end {
		return nil
	}
	i := int(at & int64(len(p.ring)-1))
	return p.ring[i:min(len(p.ring), i+int(p.end-at))]
}

// Close ends the Port: the VM is gone, or has no such serial port any more.
func (p *Port) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.guest = nil
	p.ring, p.start = nil, p.end
	if p.writer != nil {
		p.writer.lose(ErrClosed)
		p.writer = nil
	}
	p.guestChanged()
	for _, w := range p.watchers {
		w.wake()
	}
}

// Put takes a byte that the guest prints. It serves as a UART's send function: it doesn't block, and allocates nothing.
func (p *Port) Put(b byte) {
	p.mu.Lock()
	if n := int64(len(p.ring)); n > 0 {
		p.ring[p.end&(n-1)] = b
		p.end++
		if p.end-p.start > n {
			p.start = p.end - n
		}
		for _, w := range p.watchers {
			w.wake()
		}
	}
	p.mu.Unlock()
}

// Pull gives the guest what is typed, as far as it fits into b and isn't too fast, and returns how many bytes that are. It
// doesn't block.
func (p *Port) Pull(b []byte) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writer == nil {
		return 0
	}
	return p.writer.pull(b)
}

// Log returns a copy of what is kept from an offset on, and the offset at which it begins.
func (p *Port) Log(from int64) (text []byte, at int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at = min(max(from, p.start), p.end)
	for next := at; next < p.end; {
		chunk := p.chunk(next)
		text = append(text, chunk...)
		next += int64(len(chunk))
	}
	return text, at
}

func (p *Port) drop(w *Watcher) {
	p.watchers = slices.DeleteFunc(p.watchers, func(o *Watcher) bool { return o == w })
}
