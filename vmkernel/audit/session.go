package audit

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

const (
	dialTimeout  = 15 * time.Second // with TLS's handshake
	writeTimeout = 30 * time.Second // of maxWrite bytes
	closeTimeout = time.Minute      // for the answer to close_notify
	maxWrite     = 4 << 10

	// Between the last record and close_notify: several times as long as a packet takes there and back.
	minSettle = 50 * time.Millisecond
	maxSettle = time.Second
)

// errUnconfirmed is the end of a connection that doesn't confirm what was sent.
var errUnconfirmed = errors.New("it closed the connection without confirming what was sent")

// errNoNotify is the end of a connection whose TLS hadn't ended.
var errNoNotify = errors.New("it ended the connection without TLS's close_notify, which RFC 5425 asks for")

// session sends one window of records on one connection, and has it confirmed.
func (f *forwarder) session(ctx context.Context) error {
	began := time.Now()
	conn, ended, err := f.connect(ctx)
	if err != nil {
		return err
	}
	settle := min(max(2*time.Since(began), minSettle), maxSettle) // connecting took two ways there and back
	defer conn.NetConn().Close()
	stop := context.AfterFunc(ctx, func() { conn.NetConn().Close() })
	defer stop()
	f.log.mu.Lock()
	f.connected = true
	first := f.next
	f.log.mu.Unlock()

	end := make(chan error, 1)
	go func() { end <- f.drain(conn, ended) }()

	next, err := f.send(ctx, conn, first, end)
	if err == nil {
		err = f.finish(ctx, conn, settle, end)
	}
	if err != nil {
		f.window = max(f.window/2, minWindow)
		return err
	}
	f.window = min(f.window*4, maxWindow)
	f.confirm(next)
	return nil
}

// drain discards what the collector sends and returns how that ended: nil if by TLS's close_notify and then TCP's end.
// A collector that closes before it has read all has TCP reset the connection.
func (f *forwarder) drain(conn *tls.Conn, ended *atomic.Bool) error {
	if _, err := io.Copy(io.Discard, conn); err != nil {
		return err
	}
	if ended.Load() && !f.collector.Bare {
		return errNoNotify
	}
	_, err := io.Copy(io.Discard, conn.NetConn())
	return err
}

// connect opens a connection. ended is set once the TCP connection has: TLS's own end comes before.
func (f *forwarder) connect(ctx context.Context) (*tls.Conn, *atomic.Bool, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	raw, err := f.log.dial(ctx, "tcp", f.collector.Address)
	if err != nil {
		return nil, nil, err
	}
	c := &endConn{Conn: raw}
	conn := tls.Client(c, f.config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, nil, err
	}
	return conn, &c.ended, nil
}

// endConn notices the end of a TCP connection.
type endConn struct {
	net.Conn
	ended atomic.Bool
}

func (c *endConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		c.ended.Store(true)
	}
	return n, err
}

// send writes records from next on until the window is full, they have waited for confirmAfter, or the log is closed.
// It returns the number of the record after them.
func (f *forwarder) send(ctx context.Context, conn *tls.Conn, next int64, end <-chan error) (int64, error) {
	due := time.NewTimer(confirmAfter)
	defer due.Stop()
	var buf []byte
	for sent := 0; ; {
		var closed bool
		buf, next, closed = f.frames(buf[:0], next, maxWrite)
		if len(buf) > 0 {
			if err := write(conn, buf); err != nil {
				return 0, err
			}
			if sent += len(buf); sent >= f.window {
				return next, nil
			}
			continue
		}
		if closed {
			return next, nil
		}
		select {
		case <-f.woken:
		case <-due.C:
			return next, nil
		case <-f.log.closing:
			// Once more for what was recorded last; then closed says so.
		case err := <-end:
			return 0, unconfirmed(err)
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// finish sends a checkpoint, closes the connection and waits for the collector to do so too.
func (f *forwarder) finish(ctx context.Context, conn *tls.Conn, settle time.Duration, end <-chan error) error {
	m, err := f.checkpointFrame()
	if err != nil {
		return err
	}
	if err := write(conn, m); err != nil {
		return err
	}
	// A collector that closed of itself while this was on its way hasn't answered anything. So that its end isn't
	// taken for an answer, it gets time to arrive.
	t := time.NewTimer(settle)
	defer t.Stop()
	select {
	case err := <-end:
		return unconfirmed(err)
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	if half, ok := conn.NetConn().(*endConn).Conn.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return err
		}
	}
	t.Reset(closeTimeout)
	select {
	case err := <-end:
		return err
	case <-t.C:
		return fmt.Errorf("it hasn't answered TLS's close_notify within %v, as RFC 5425 asks for", closeTimeout)
	}
}

// unconfirmed is the error of a session that the collector has ended, err being how.
func unconfirmed(err error) error {
	if err == nil {
		return errUnconfirmed
	}
	return err
}

func write(conn *tls.Conn, b []byte) error {
	conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := conn.Write(b)
	return err
}
