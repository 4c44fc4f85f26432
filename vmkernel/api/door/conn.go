package door

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Peer is who is at the other end of a connection.
type Peer struct {
	Caller string // what connections are counted by
	Admin  bool   // for whom places are kept
	Known  bool   // false: a stranger without a certificate, who may claim the host
	ID     any    // what Config.Identify knows of him

	Claims int32          // that this connection has tried: for its user to count, atomically
	Source netip.AddrPort // where the connection comes from
	conn   *conn
}

// Close ends the connection at once, with all that goes over it.
func (p *Peer) Close() { p.conn.Close() }

// PeerOf says who is at the other end of a connection that a Door's Accept has returned.
func PeerOf(c net.Conn) *Peer {
	if g, ok := c.(*gathering); ok {
		c = g.Conn
	}
	if t, ok := c.(*tls.Conn); ok {
		if c, ok := t.NetConn().(*conn); ok {
			return c.peer
		}
	}
	return nil
}

// conn is a connection before TLS.
type conn struct {
	net.Conn
	door    *Door
	from    netip.AddrPort
	source  netip.Prefix
	began   time.Time
	spoke   atomic.Bool // something has come
	through atomic.Bool // the handshake is done
	taken   int         // bytes that have come before that
	closing sync.Once
	failed  error

	peer *Peer // once it is let in

	armed atomic.Int64 // when Write has last set its time limit, ns since began

	// Of door's mutex:
	half, open bool
}

// errLong refuses a handshake that doesn't come to an end.
var errLong = errors.New("door: the handshake is longer than any that could be good")

func (c *conn) Read(p []byte) (int, error) {
	if c.through.Load() {
		return c.Conn.Read(p)
	}
	// No more is read than a handshake may have: a good client's first request, which may follow at once, waits.
	left := c.door.config.Limits.HandshakeBytes - c.taken
	if left <= 0 {
		return 0, errLong
	}
	n, err := c.Conn.Read(p[:min(len(p), left)])
	c.taken += n
	if n > 0 && !c.spoke.Load() {
		c.spoke.Store(true)
	}
	return n, err
}

// Write sets a time limit for itself, but not each time: that costs more than what a small answer does.
func (c *conn) Write(p []byte) (int, error) {
	most := c.door.config.Limits.WriteTime
	age := time.Since(c.began)
	if last := c.armed.Load(); c.through.Load() && (last == 0 || age-time.Duration(last) > most/4) {
		c.armed.Store(int64(age))
		c.Conn.SetWriteDeadline(time.Now().Add(most + most/4))
	}
	n, err := c.Conn.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.abort() // net/http would wait for the client's next word
	}
	return n, err
}

// Close ends the connection and gives its place back.
func (c *conn) Close() error {
	c.closing.Do(func() {
		c.door.leave(c)
		c.failed = c.Conn.Close()
	})
	return c.failed
}

// abort is Close without waiting for the other end's farewell, where the transport can do so.
func (c *conn) abort() {
	if t, ok := c.Conn.(interface{ SetLinger(int) error }); ok {
		t.SetLinger(0)
	}
	c.Close()
}

// sourceOf is what connections are counted by: an IPv4 address, or the /64 of an IPv6 one.
func sourceOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // the zero Prefix for no address: all of these are one source
	return p
}

// addrOf is the other end's address; the zero AddrPort where there is none.
func addrOf(c net.Conn) netip.AddrPort {
	a := c.RemoteAddr()
	if a == nil {
		return netip.AddrPort{}
	}
	if t, ok := a.(*net.TCPAddr); ok {
		p := t.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	p, _ := netip.ParseAddrPort(a.String())
	return p
}
