package e2e

import (
	"strconv"
	"testing"
	"time"

	"keel/test/machine"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/auth"
)

// mostPerCall is what a small call over an open connection may cost, in ticks, one after the other on a processor that
// idles in between: 320,000 when this was written.
const mostPerCall = 400_000

// mostToOpen is how many ticks may pass from Keel's start to its door being open, the DHCP server's answer included.
const mostToOpen = 200_000_000

// TestSmallCallIsCheap counts what a small call costs the host, over an open connection, in Bochs, where a tick is an
// instruction: the processor time of all of Keel's threads, the network's included. The time in which the processor waits
// for the client isn't in it. It also holds the host to when its door has to be open.
func TestSmallCallIsCheap(t *testing.T) {
	t.Parallel()
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	path := ops.trusting(t, nil, nil, nil)
	n, address := network(t, "e1000", 443)
	r := run{machine.Boot(t, machine.Bochs{ISO: medium(t, path), Network: n, MemMiB: 512}, 4*time.Minute), t}
	m, err := r.WaitFor(t.Context(), doorLine)
	if err != nil {
		t.Fatal(err)
	}
	toOpen, err := strconv.ParseUint(m[4], 10, 64)
	t.Logf("%d ticks to the open door", toOpen)
	if err != nil || toOpen == 0 || toOpen > mostToOpen {
		t.Errorf("the door was open after %s ticks, want at most %d", m[4], mostToOpen)
	}
	conn := dial(t, address, auth.Fingerprint(m[2]), ops.admin())
	ctx := patient(t)
	used := func() (ns uint64) {
		t.Helper()
		var w api.Worlds
		if err := conn.Get(ctx, client.Path("worlds"), nil, &w); err != nil {
			t.Fatal(err)
		}
		for _, x := range w.Worlds {
			ns += x.Used
		}
		if ns == 0 {
			t.Fatal("the host doesn't say what its worlds have used")
		}
		return ns
	}
	const warm, calls = 20, 200 // enough that the collector has its part
	cost := func(n int) uint64 {
		before := used()
		for range n {
			if err := conn.Get(ctx, client.Path("version"), nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		return used() - before
	}
	cost(warm)
	overhead := cost(0)
	perCall := (cost(calls) - overhead) / calls * (machine.IPS / 1_000_000) / 1000
	t.Logf("%d ticks a call", perCall)
	if perCall > mostPerCall {
		t.Errorf("a small call costs %d ticks, more than %d", perCall, mostPerCall)
	}
}
