package door

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// Config makes a Door.
type Config struct {
	// TLS is the door's: it requires a certificate and checks it, and asks by GetConfigForClient what to require of whom.
	TLS *tls.Config
	// Identify says who has finished a handshake: Caller, Admin, Known and ID of a Peer.
	Identify func(*tls.ConnectionState) (Peer, error)
	// Refused counts what wasn't let in; why is a word, and err what the handshake said, if there was one.
	Refused func(from netip.Addr, why string, err error)

	Limits Limits
	Now    func() time.Time // for rates; nil: time.Now
}

// Words of Config.Refused, beside those that err speaks for.
const (
	Crowded   = "crowded"   // too many half-open connections
	Hurried   = "hurried"   // too many handshakes
	Slow      = "slow"      // the handshake took too long
	Handshake = "handshake" // it failed: err says why
	PlainHTTP = "plain-http"
	Fault     = "fault" // of Keel's: err has the stack
	Full      = "full"  // too many connections of known callers, or of this one
)

// Door is a net.Listener whose connections are of callers that PeerOf knows: each a *tls.Conn, but those in HTTP/2, which
// net/http has to take for unencrypted ones (gathering).
type Door struct {
	inner  net.Listener
	config Config
	tls    *tls.Config
	ready  chan net.Conn
	busy   chan struct{} // handshakes that there are goroutines for
	gate   chan struct{} // uses of the host's key
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex
	rates   rates
	half    map[*conn]bool
	open    map[*conn]bool
	callers map[string]int
	stats   Stats
}

// Stats counts what the door has seen.
type Stats struct {
	HalfOpen, Open  int
	Accepted, In    uint64            // connections that came, and those that were let in
	Refused         map[string]uint64 // by why
	KnownSources    int
	RememberedAddrs int
}

// errHurried refuses a handshake. The client gets an alert for it.
var errHurried = errors.New("door: too many handshakes from there")

// New starts to take connections from l.
func New(l net.Listener, c Config) *Door {
	if c.Now == nil {
		c.Now = time.Now
	}
	d := &Door{
		inner: l, config: c,
		ready:  make(chan net.Conn),
		busy:   make(chan struct{}, 2*c.Limits.HalfOpen),
		gate:   make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1)),
		closed: make(chan struct{}),
		half:   map[*conn]bool{}, open: map[*conn]bool{}, callers: map[string]int{},
		stats: Stats{Refused: map[string]uint64{}},
	}
	d.rates = rates{limits: &d.config.Limits, sources: map[netip.Prefix]*source{}}
	d.tls = c.TLS.Clone()
	d.tls.GetConfigForClient = d.configFor
	go d.accept()
	return d
}

// Accept returns the next connection of somebody known, or of a stranger while the TLS configuration lets one in.
func (d *Door) Accept() (net.Conn, error) {
	select {
	case c := <-d.ready:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// Addr is the listener's.
func (d *Door) Addr() net.Addr { return d.inner.Addr() }

// Close takes no more connections. Those that are open stay.
func (d *Door) Close() error {
	err := net.ErrClosed
	d.once.Do(func() {
		close(d.closed)
		err = d.inner.Close()
	})
	return err
}

// accept takes connections until the door is closed.
func (d *Door) accept() {
	for {
		raw, err := d.inner.Accept()
		if err != nil {
			select {
			case <-d.closed:
				return
			case <-time.After(100 * time.Millisecond): // out of something: it comes back
				continue
			}
		}
		from := addrOf(raw)
		c := &conn{Conn: raw, door: d, from: from, source: sourceOf(from.Addr()), began: time.Now()}
		d.enter(c)
		d.busy <- struct{}{}
		go func() {
			defer func() { <-d.busy }()
			defer d.recovered(c)
			d.handshake(c)
		}()
	}
}

// recovered has a fault in what reads a stranger's first words end his connection, and not the host.
func (d *Door) recovered(c *conn) {
	if p := recover(); p != nil {
		d.refuse(c, Fault, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		c.abort()
	}
}

// handshake has a connection through its handshake and hands it on.
func (d *Door) handshake(c *conn) {
	l := &d.config.Limits
	c.SetDeadline(c.began.Add(l.HelloTime))
	t := tls.Server(c, d.tls)
	if err := t.HandshakeContext(context.Background()); err != nil {
		d.refuse(c, d.reason(c, t, err), err)
		c.Close()
		return
	}
	c.through.Store(true)
	c.SetDeadline(time.Time{})
	state := t.ConnectionState()
	peer, err := d.config.Identify(&state)
	if err != nil {
		d.refuse(c, Handshake, err)
		c.Close()
		return
	}
	peer.Source, peer.conn = c.from, c
	c.peer = &peer
	if !d.admit(c) {
		d.refuse(c, Full, nil)
		t.Close()
		return
	}
	if !peer.Known {
		time.AfterFunc(l.StrangerTime, func() { c.Close() })
	}
	var in net.Conn = t
	if state.NegotiatedProtocol == "h2" {
		in = gather(t)
	}
	select {
	case d.ready <- in:
	case <-d.closed:
		in.Close()
	}
}

// reason is the word for a handshake's failure. A browser that speaks HTTP without TLS is told so.
func (d *Door) reason(c *conn, t *tls.Conn, err error) string {
	var plain tls.RecordHeaderError
	var late net.Error
	switch {
	case errors.Is(err, errHurried):
		return Hurried
	case errors.As(err, &plain) && looksLikeHTTP(plain.RecordHeader):
		io.WriteString(c.Conn, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nThis port speaks HTTPS, with a client certificate.\n")
		return PlainHTTP
	case errors.As(err, &late) && late.Timeout():
		return Slow
	}
	return Handshake
}

func looksLikeHTTP(b [5]byte) bool {
	switch string(b[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		return true
	}
	return false
}

// configFor is the TLS configuration for a ClientHello, or an error before anything is computed for it.
func (d *Door) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	c, _ := hello.Conn.(*conn)
	if c == nil {
		return nil, errHurried
	}
	d.mu.Lock()
	ok := d.rates.allow(c.source, d.config.Now())
	d.mu.Unlock()
	if !ok {
		return nil, errHurried
	}
	c.SetDeadline(c.began.Add(d.config.Limits.HandshakeTime))
	config := d.config.TLS
	if get := config.GetConfigForClient; get != nil {
		var err error
		if config, err = get(hello); err != nil {
			return nil, err
		}
	}
	config = config.Clone()
	if get := config.GetCertificate; get != nil {
		config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			shown, err := get(hello)
			if err != nil {
				return nil, err
			}
			key, ok := shown.PrivateKey.(crypto.Signer)
			if !ok {
				return shown, nil
			}
			gated := *shown
			gated.PrivateKey = gatedKey{key, d.gate}
			return &gated, nil
		}
	}
	return config, nil
}

// gatedKey is the host's key, used by few at a time so that a processor stays free.
type gatedKey struct {
	crypto.Signer
	gate chan struct{}
}

func (k gatedKey) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	k.gate <- struct{}{}
	defer func() { <-k.gate }()
	return k.Signer.Sign(rand, digest, opts)
}
