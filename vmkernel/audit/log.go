package audit

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Config makes a Log.
type Config struct {
	Host    string           // name, [a-z0-9-]
	Boot    string           // this boot's id: unique, hexadecimal digits and hyphens
	Version string           // of Keel, for the first record
	Key     crypto.Signer    // the host's: Ed25519 or ECDSA on P-256
	Now     func() time.Time // nil: time.Now

	// Dial reaches collectors; the address's host may be a name. nil: the host has no network.
	Dial Dialer
	// Certificate is the host's own, for collectors that ask for one. It may be nil.
	Certificate *tls.Certificate
}

// begun is a call that has begun and not ended.
type begun struct {
	at    time.Time
	class Class
}

// Dialer opens a connection.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// Log is one boot's audit log. Any goroutine may call it.
type Log struct {
	origin string
	host   string
	boot   string
	signer note.Signer
	now    clock

	dial        Dialer
	certificate *tls.Certificate
	closing     chan struct{} // closed by Close

	mu      sync.Mutex
	closed  bool
	tree    tree
	store   store
	enc     encoder
	open    map[ID]begun
	grown   chan struct{} // closed when the log grows, if somebody waits
	signed  []byte        // the latest checkpoint
	signedN int64         // and its size

	refused refusals
	counts  counts
	flush   flusher
	forward *forwarder // nil: the log isn't forwarded
}

// ErrClosed refuses what comes after Close.
var ErrClosed = errors.New("audit: the log is closed: the host is going down")

// New starts a log. Its first record names the boot.
func New(c Config) (*Log, error) {
	origin, err := Origin(c.Host, c.Boot)
	if err != nil {
		return nil, err
	}
	signer, err := NewSigner(origin, c.Key)
	if err != nil {
		return nil, err
	}
	l := &Log{origin: origin, host: c.Host, boot: c.Boot, signer: signer, now: c.Now, dial: c.Dial, certificate: c.Certificate,
		closing: make(chan struct{}), open: map[ID]begun{}}
	if l.now == nil {
		l.now = time.Now
	}
	l.enc.b = make([]byte, 1, 1+MaxRecord) // the leading 0 of RFC 6962's leaves
	l.mu.Lock()
	defer l.mu.Unlock()
	l.event(&Entry{Action: actionBegin, On: origin, Detail: c.Version})
	return l, nil
}

// Boot is the id of the boot whose log this is.
func (l *Log) Boot() string { return l.boot }

// Begin records that a call is about to take effect, and returns its id for End. An error refuses the call: ErrClosed,
// or one that is ErrCollector and says which collector doesn't take records and since when.
func (l *Log) Begin(e Entry) (ID, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, ErrClosed
	}
	count, err := l.admit(e.Class)
	if err != nil {
		return 0, err
	}
	now := l.now()
	if count {
		l.count(&e, now)
		return counted, nil
	}
	id := ID(l.tree.n)
	l.start(now, kindIntent)
	l.enc.number("id", int64(id))
	l.enc.text("class", e.Class.String(), 16)
	l.enc.entry(&e)
	l.append(e.Class != ClassRead)
	l.open[id] = begun{now, e.Class}
	return id, nil
}

// End records what came of a call that Begin has let through, and how long it took. A second End does nothing.
func (l *Log) End(id ID, o Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outcome(id, &o)
}

// outcome is End under the lock.
func (l *Log) outcome(id ID, o *Outcome) {
	call, ok := l.open[id]
	if !ok {
		return
	}
	delete(l.open, id)
	now := l.now()
	l.start(now, kindOutcome)
	l.enc.number("id", int64(id))
	l.enc.text("result", string(o.Result), maxResult)
	if o.Code != 0 {
		l.enc.number("code", int64(o.Code))
	}
	l.enc.number("micros", max(now.Sub(call.at).Microseconds(), 0))
	l.enc.text("detail", o.Detail, maxDetail)
	l.append(call.class != ClassRead)
}

// Event records what has happened. Where one object has too many of them, they are counted (counted.go).
func (l *Log) Event(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if now := l.now(); l.counts.throttle(&e, now) || l.full() {
		l.count(&e, now)
		return
	}
	l.event(&e)
}

// event appends an event.
func (l *Log) event(e *Entry) {
	l.start(l.now(), kindEvent)
	if e.Cause > 0 {
		l.enc.number("cause", int64(e.Cause))
	}
	l.enc.entry(e)
	l.append(true)
}

// start begins the next record.
func (l *Log) start(now time.Time, kind string) {
	l.enc.b = append(l.enc.b[:0], 0)
	l.enc.begin(l.tree.n, now, kind)
}

// append ends the record and appends it, making room first. An act is what reads don't push out of the log.
func (l *Log) append(act bool) {
	l.enc.end()
	from, to := l.makeRoom(len(l.enc.b) - 1)
	l.put()
	if act {
		l.store.last().acts = true
	}
	if from < to {
		l.start(l.now(), kindEvent)
		l.enc.text("action", actionDrop, maxAction)
		l.enc.number("first", from)
		l.enc.number("last", to-1)
		why := "not forwarded: there was no collector"
		if l.forward != nil && to <= l.forward.next {
			why = "confirmed by the collector"
		}
		l.enc.text("detail", why, maxDetail)
		l.enc.end()
		l.put() // there is room in the chunk that was begun just now
	}
	if l.grown != nil {
		close(l.grown)
		l.grown = nil
	}
	if l.forward != nil {
		l.forward.wake()
	}
}

// makeRoom drops the oldest chunks if there are too many for another record of n bytes, and says which records
// they held.
func (l *Log) makeRoom(n int) (from, to int64) {
	if l.store.fits(n) {
		return 0, 0
	}
	from = l.store.first()
	for to = from; len(l.store.chunks) >= maxChunks && l.pending() < len(l.store.chunks); {
		_, to = l.store.drop()
	}
	return from, to
}

// put appends the record that has been encoded.
func (l *Log) put() {
	if len(l.enc.b) > 1+MaxRecord {
		panic(fmt.Sprintf("audit: a record of %d bytes", len(l.enc.b)-1)) // the limits of entry.go don't fit
	}
	l.store.add(l.enc.b[1:])
	l.tree.add(tlog.Hash(sha256.Sum256(l.enc.b)))
}
