package door

import (
	"net"
	"sync"
	"time"
)

// Limits of gathering.
const (
	mostGathered = 16 << 10        // bytes that wait to be written, a record of TLS; who writes more waits
	keptBuffer   = 4 << 10         // a larger buffer isn't kept
	farewell     = 1 * time.Second // for what waits when the connection is closed
)

// gathering is a connection in HTTP/2: one goroutine of its own writes, and what comes in the meantime it writes
// together.
//
// net/http makes a goroutine for each write, and an answer is two: its headers and its body. TLS and TCP need a stack
// that is three times as large as a new goroutine's, so each write copied its stack three times over, and each made a
// record and a segment, and had the client's acknowledgement: 250,000 instructions a call, of 615,000 in all.
//
// It hides that it is TLS, for net/http takes no connection for HTTP/2 but a *tls.Conn and one that isn't encrypted.
type gathering struct {
	net.Conn // the *tls.Conn

	more chan struct{} // there is something to write, or to end
	done chan struct{} // closed when the goroutine has ended

	mu     sync.Mutex
	room   sync.Cond // wait has got shorter, or err is set
	wait   []byte    // to be written
	spare  []byte    // a buffer, while none is written from it
	err    error     // of writing, or net.ErrClosed
	closed bool
}

func gather(c net.Conn) *gathering {
	g := &gathering{Conn: c, more: make(chan struct{}, 1), done: make(chan struct{})}
	g.room.L = &g.mu
	go g.write()
	return g
}

// Write takes p, to be written soon. An error is an earlier Write's.
func (g *gathering) Write(p []byte) (int, error) {
	g.mu.Lock()
	for g.err == nil && len(g.wait) > 0 && len(g.wait)+len(p) > mostGathered {
		g.room.Wait()
	}
	err := g.err
	if err == nil {
		g.wait = append(g.wait, p...)
	}
	g.mu.Unlock()
	if err != nil {
		return 0, err
	}
	g.wake()
	return len(p), nil
}

func (g *gathering) wake() {
	select {
	case g.more <- struct{}{}:
	default: // it has been woken
	}
}

// write writes what comes until the connection is closed and nothing waits, or until an error.
func (g *gathering) write() {
	defer close(g.done)
	for range g.more {
		g.mu.Lock()
		out, closed := g.wait, g.closed
		g.wait, g.spare = g.spare, nil
		g.mu.Unlock()
		var err error
		if len(out) > 0 {
			_, err = g.Conn.Write(out)
		}
		g.mu.Lock()
		if cap(out) <= keptBuffer {
			g.spare = out[:0]
		}
		if err != nil && g.err == nil {
			g.err = err
		}
		g.room.Broadcast()
		g.mu.Unlock()
		if err != nil || closed {
			return
		}
	}
}

// Close ends the connection. What has been written goes out first, if the other end takes it at once; Close doesn't wait
// for that, or a server that closes many would wait for each that doesn't read.
func (g *gathering) Close() error {
	g.mu.Lock()
	g.closed = true
	if g.err == nil {
		g.err = net.ErrClosed
	}
	g.room.Broadcast()
	g.mu.Unlock()
	g.wake()
	go func() {
		select {
		case <-g.done:
		case <-time.After(farewell):
		}
		g.Conn.Close() // in the midst of a Write it ends that
	}()
	return nil
}
