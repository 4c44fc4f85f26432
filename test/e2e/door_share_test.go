package e2e

import (
	"context"
	"crypto/tls"
	"net"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"keel/test/machine"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/seed"
)

// TestFloodLeavesAGuestItsReservation has a guest that wants all of one processor, of which it has reserved 70 %, while
// strangers flood the door with handshakes: it gets what it has reserved, less 2 % at most.
func TestFloodLeavesAGuestItsReservation(t *testing.T) {
	if slices.Contains(seed.Later["vm.cpu"], "reservation") {
		t.Skip("reservations of processors aren't obeyed in this version")
	}
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	path := ops.trusting(t, nil, []seed.VM{reserving("tux", 700)}, files(t, fileLinux, fileInitrd))
	n, address := network(t, "e1000", 443)
	r := run{machine.Boot(t, machine.Bochs{ISO: medium(t, path), Network: n, MemMiB: 1024}, 8*time.Minute), t}
	key := r.door()
	conn := dial(t, address, key, ops.admin())
	ctx := patient(t)
	if _, err := r.WaitFor(ctx, regexp.MustCompile(`^tux\| WORKLOAD`)); err != nil {
		t.Fatal(err)
	}
	timeOf(t, conn) // he is in before it begins
	attack, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for attack.Err() == nil {
				c, err := (&tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(attack, "tcp", address)
				if err == nil {
					c.Close()
				}
			}
		})
	}
	r.wantShare(conn, "tux", 700)
	stop()
	wg.Wait()
	r.wantNoErrors()
}

// reserving is a guest that wants all of one processor, of which it has reserved so many thousandths: Keel's own threads have 250.
func reserving(name string, thousandths uint64) seed.VM {
	v := linux(name, 1, 128*mib, "workload.only=none workload.end=spin")
	v.CPU.Reservation = thousandths
	return v
}

// wantShare fails unless a guest has had its reservation, less 2 % at most, for ten seconds by the host's own clock.
func (r run) wantShare(conn *client.Conn, name string, thousandths uint64) {
	r.t.Helper()
	look := func() (used uint64, at time.Time) {
		r.t.Helper()
		var s api.VMStats
		if err := conn.Get(r.t.Context(), client.Path("vms", name, "stats"), nil, &s); err != nil {
			r.t.Fatal(err)
		}
		return s.Used, timeOf(r.t, conn).Now
	}
	look()
	before, from := look()
	var after uint64
	to := from
	for to.Sub(from) < 10*time.Second {
		time.Sleep(time.Second)
		after, to = look()
	}
	share := float64(after-before) / float64(to.Sub(from).Nanoseconds())
	r.t.Logf("the guest had %.1f %% of the processor for %v", 100*share, to.Sub(from).Round(time.Millisecond))
	if share < 0.98*float64(thousandths)/1000 {
		r.t.Errorf("the guest had %.1f %% of a processor, its reservation is %d %%", 100*share, thousandths/10)
	}
}
