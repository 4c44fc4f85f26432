package net

import (
	"errors"
	"net"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// What connections may take whose other end doesn't play along.
const (
	// backlog is how many may be between their SYN and their ACK, or wait to be accepted. From there on SYNs are answered
	// by cookies, which keep nothing.
	backlog = 128
	// lingering is how many that the host has closed may wait for the other end to agree. With one more the first is reset.
	lingering = 128
	// unanswered is how long the other end may leave what was sent unacknowledged.
	unanswered = 2 * time.Minute
)

// listener is a TCP port. gonet's own would keep 4,096 half-open connections, and those that were closed for as long as the
// other end likes.
type listener struct {
	ep      tcpip.Endpoint
	waiting waiter.Queue
	once    sync.Once
	closed  chan struct{}

	mu   sync.Mutex
	gone [lingering]tcpip.Endpoint // closed last, in a ring
	next int
}

// Listen listens on a TCP port of all addresses, for those whom Config.AllowFrom lets in. Its connections have SetLinger.
func (s *Stack) Listen(port uint16) (net.Listener, error) {
	s.link.filter.guard(port)
	l := &listener{closed: make(chan struct{})}
	failed := func(what string, e tcpip.Error) (net.Listener, error) {
		if l.ep != nil {
			l.ep.Close()
		}
		return nil, &net.OpError{Op: what, Net: "tcp", Addr: &net.TCPAddr{Port: int(port)}, Err: errors.New(e.String())}
	}
	var e tcpip.Error
	if l.ep, e = s.stack.NewEndpoint(tcp.ProtocolNumber, ipv6.ProtocolNumber, &l.waiting); e != nil {
		return failed("socket", e)
	}
	most := tcpip.TCPUserTimeoutOption(unanswered) // accepted ones have it too
	if e = l.ep.SetSockOpt(&most); e != nil {
		return failed("socket", e)
	}
	if e = l.ep.Bind(tcpip.FullAddress{Port: port}); e != nil {
		return failed("bind", e)
	}
	if e = l.ep.Listen(backlog); e != nil {
		return failed("listen", e)
	}
	return l, nil
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	entry, ready := waiter.NewChannelEntry(waiter.ReadableEvents)
	l.waiting.EventRegister(&entry)
	defer l.waiting.EventUnregister(&entry)
	for {
		select {
		case <-l.closed:
			return nil, net.ErrClosed
		default:
		}
		ep, queue, e := l.ep.Accept(nil)
		switch e.(type) {
		case nil:
			return &conn{TCPConn: gonet.NewTCPConn(queue, ep), ep: ep, from: l}, nil
		case *tcpip.ErrWouldBlock:
		default:
			return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: errors.New(e.String())}
		}
		select {
		case <-ready:
		case <-l.closed:
		}
	}
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr {
	a, e := l.ep.GetLocalAddress()
	if e != nil {
		return nil
	}
	return &net.TCPAddr{IP: a.Addr.AsSlice(), Port: int(a.Port)}
}

// Close implements net.Listener. Connections that were accepted stay.
func (l *listener) Close() error {
	err := net.ErrClosed
	l.once.Do(func() {
		err = nil
		close(l.closed)
		l.ep.Close()
	})
	return err
}

// leave has a connection that the host has closed be waited for, in the place of another.
func (l *listener) leave(ep tcpip.Endpoint) {
	l.mu.Lock()
	out := l.gone[l.next]
	l.gone[l.next] = ep
	l.next = (l.next + 1) % lingering
	l.mu.Unlock()
	if out != nil {
		out.Abort()
	}
}

// conn is a connection that was accepted.
type conn struct {
	*gonet.TCPConn
	ep   tcpip.Endpoint
	from *listener
	once sync.Once
}

// SetLinger says how Close ends the connection, as net.TCPConn's does: by a reset with 0.
func (c *conn) SetLinger(seconds int) error {
	c.ep.SocketOptions().SetLinger(tcpip.LingerOption{Enabled: seconds >= 0, Timeout: time.Duration(seconds) * time.Second})
	return nil
}

// Close implements net.Conn.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = c.TCPConn.Close()
		if s := tcp.EndpointState(c.ep.State()); s != tcp.StateClose && s != tcp.StateError {
			c.from.leave(c.ep)
		}
	})
	return err
}
