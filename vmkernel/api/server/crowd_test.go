package server

import (
	"context"
	"net/netip"
	"runtime"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	"keel/drivers/nic"
	"keel/test/crowd"
	"keel/vmkernel/api/door"
	keelnet "keel/vmkernel/net"
)

// onNetwork puts the server on a network of its own, by the TCP/IP that a host has, and its callers with it.
func (r *rig) onNetwork() *crowd.Network {
	r.t.Helper()
	n := crowd.New()
	address := netip.MustParsePrefix("10.9.0.1/16")
	host := must(keelnet.New(n.Station(nic.MAC{2, 0, 0, 0, 0, 1}), keelnet.Config{Name: "keel-1", Addresses: []netip.Prefix{address}}, keelnet.Events{}))
	r.t.Cleanup(host.Close)
	door := must(host.Listen(443))
	go r.server.Serve(door)
	admin := must(n.Administrator(netip.MustParsePrefix("10.9.255.1/16")))
	r.t.Cleanup(admin.Close)
	l := must(crowd.Forward(admin, netip.AddrPortFrom(address.Addr(), 443)))
	r.t.Cleanup(func() { l.Close() })
	r.address = l.Addr().String()
	return n
}

// heap is the bytes of the heap that a collection finds in use, and of the stacks: not what has become garbage since.
func heap() uint64 {
	runtime.GC()
	m := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(m)
	return m[0].Value.Uint64() + m[1].Value.Uint64()
}

// mostCrowded is how much more memory a host may keep of 10,000 half-open connections: of 64 that the door has, 128 before them
// and 128 behind, with what TCP keeps of each. While they come it takes more, for what is being made counts as used.
const mostCrowded = 12 << 20

func TestTenThousandHalfOpenConnections(t *testing.T) {
	r := newRig(t)
	n := r.onNetwork()
	r.alive()
	before, routines := heap(), runtime.NumGoroutine()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const many = 10_000
	c := n.Crowd(netip.MustParseAddr("10.9.1.1"), 2500, netip.MustParseAddr("10.9.0.1"))
	done := make(chan struct{})
	go func() {
		c.HalfOpen(ctx, 443, many)
		close(done)
	}()
	most, threads, slowest, asked := uint64(0), 0, time.Duration(0), 0
	for over := false; !over; {
		began := time.Now()
		r.alive()
		asked++
		slowest = max(slowest, time.Since(began))
		most, threads = max(most, heap()), max(threads, runtime.NumGoroutine())
		select {
		case <-done:
			over = true
		case <-time.After(50 * time.Millisecond):
		}
	}
	kept := heap()
	counts := c.Counts()
	s := r.server.doors[1].Stats()
	t.Logf("%d connections taken, %d ended by the host; %d half open, %d crowded out; heap and stacks %d KiB more, meanwhile at most %d, %d goroutines more; an administrator came in %d times, the slowest in %v",
		counts.Opened, counts.Reset, s.HalfOpen, s.Refused[door.Crowded], (int64(kept)-int64(before))>>10, int64(most-before)>>10, threads-routines, asked, slowest)
	if counts.Opened != many {
		t.Errorf("%d of %d connections are taken", counts.Opened, many)
	}
	if kept > before+mostCrowded {
		t.Error("that is too much")
	}
}

func TestAScanFindsTheDoorAlone(t *testing.T) {
	r := newRig(t)
	n := r.onNetwork()
	r.alive()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	open, datagrams := n.Crowd(netip.MustParseAddr("10.9.1.1"), 100, netip.MustParseAddr("10.9.0.1")).Scan(ctx)
	if err := ctx.Err(); err != nil || !slices.Equal(open, []uint16{443}) || datagrams != 0 {
		t.Errorf("open: %v, %d datagrams, %v", open, datagrams, err)
	}
}
