package e2e

import (
	"context"
	"net/netip"
	"regexp"
	"slices"
	"testing"
	"time"

	"keel/drivers/nic"
	"keel/test/crowd"
	"keel/test/machine"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/seed"
)

// crowded is a network with a machine on it, a crowd of hosts, and an administrator's host.
type crowded struct {
	card    *machine.Network
	crowd   *crowd.Crowd
	address string // that leads an administrator to the machine's port
}

// The machine's address in a crowded network.
var crowdedHost = netip.MustParsePrefix("10.9.0.1/16")

func crowdedNetwork(t *testing.T, device string) crowded {
	t.Helper()
	fatal := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	port := machine.FreeCable(t)
	n := crowd.New()
	remove, err := n.Machine(nic.MAC{0x52, 0x54, 0, 0x12, 0x34, 0x56}, port)
	fatal(err)
	t.Cleanup(remove)
	admin, err := n.Administrator(netip.MustParsePrefix("10.9.255.1/16"))
	fatal(err)
	t.Cleanup(admin.Close)
	l, err := crowd.Forward(admin, netip.AddrPortFrom(crowdedHost.Addr(), 443))
	fatal(err)
	t.Cleanup(func() { l.Close() })
	return crowded{&machine.Network{Device: device, Cable: port}, n.Crowd(netip.MustParseAddr("10.9.1.1"), 2500, crowdedHost.Addr()), l.Addr().String()}
}

// static has a host be at its address in a crowded network.
func static(h *seed.Host) { h.Management.Addresses = []netip.Prefix{crowdedHost} }

// TestTenThousandHalfOpenConnections has a crowd begin 10,000 connections that go nowhere: an administrator comes in
// meanwhile, and the host's memory stays within its bar.
func TestTenThousandHalfOpenConnections(t *testing.T) {
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	path := ops.trusting(t, static, nil, nil)
	n := crowdedNetwork(t, "virtio-net-pci,disable-legacy=on")
	r := run{machine.Boot(t, machine.QEMU{Kernel: image(t), Seed: path, Network: n.card, MemMiB: 512, CPUs: 2}, 5*time.Minute), t}
	key := r.door()
	ctx := patient(t)
	again := 0
	memory := func() uint64 {
		t.Helper()
		for start := time.Now(); ; again++ {
			conn := dial(t, n.address, key, ops.admin())
			var h api.Host
			err := conn.Get(ctx, client.Path("host"), nil, &h)
			conn.Close()
			if err == nil {
				return h.Resources.MemoryUsed
			}
			if time.Since(start) > 30*time.Second { // an emulated handshake may take longer than the door waits
				t.Fatal(err)
			}
			t.Logf("an administrator has to try again: %v", err)
		}
	}
	before := memory()
	const many = 10_000
	done := make(chan struct{})
	began := time.Now()
	go func() {
		n.crowd.HalfOpen(ctx, 443, many)
		close(done)
	}()
	most, slowest, asked := before, time.Duration(0), 0
	for over := false; !over; asked++ {
		start := time.Now()
		most = max(most, memory())
		slowest = max(slowest, time.Since(start))
		select {
		case <-done:
			over = true
		case <-time.After(200 * time.Millisecond):
		}
	}
	counts := n.crowd.Counts()
	t.Logf("%d connections taken in %v, %d ended by the host; memory %d KiB before, %d KiB at most; an administrator came in %d times, the slowest in %v, having tried again %d times",
		counts.Opened, time.Since(began).Round(time.Millisecond), counts.Reset, before>>10, most>>10, asked, slowest, again)
	if counts.Opened != many {
		t.Errorf("%d of %d connections are taken", counts.Opened, many)
	}
	if most > mostAtRest {
		t.Errorf("the host takes %d KiB", most>>10)
	}
	r.wantNoErrors()
}

// TestAScanFindsTheDoorAlone has a crowd ask all ports of a host.
func TestAScanFindsTheDoorAlone(t *testing.T) {
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	n := crowdedNetwork(t, "virtio-net-pci,disable-legacy=on")
	r := run{machine.Boot(t, machine.QEMU{Kernel: image(t), Seed: ops.trusting(t, static, nil, nil), Network: n.card, MemMiB: 512}, 5*time.Minute), t}
	r.door()
	ctx := patient(t)
	began := time.Now()
	open, datagrams := n.crowd.Scan(ctx)
	t.Logf("all ports of TCP and UDP asked in %v", time.Since(began).Round(time.Millisecond))
	if err := ctx.Err(); err != nil || !slices.Equal(open, []uint16{443}) || datagrams != 0 {
		t.Errorf("open: %v, %d datagrams, %v", open, datagrams, err)
	}
	r.wantNoErrors()
}

// mostAtRest is what the host may take for itself, bytes: the bar of the design.
const mostAtRest = 64 << 20

// TestPingsLeaveAGuestItsReservation has a guest that wants all of one processor, of which it has reserved 70 %, while a crowd
// pings the host as fast as its card takes it: it gets what it has reserved, less 2 % at most, and an administrator his answers.
func TestPingsLeaveAGuestItsReservation(t *testing.T) {
	if slices.Contains(seed.Later["vm.cpu"], "reservation") {
		t.Skip("reservations of processors aren't obeyed in this version")
	}
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	path := ops.trusting(t, static, []seed.VM{reserving("tux", 700)}, files(t, fileLinux, fileInitrd))
	n := crowdedNetwork(t, "e1000")
	r := run{machine.Boot(t, machine.Bochs{ISO: medium(t, path), Network: n.card, MemMiB: 1024}, 8*time.Minute), t}
	key := r.door()
	conn := dial(t, n.address, key, ops.admin())
	ctx := patient(t)
	if _, err := r.WaitFor(ctx, regexp.MustCompile(`^tux\| WORKLOAD`)); err != nil {
		t.Fatal(err)
	}
	timeOf(t, conn) // he is in before it begins
	attack, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		n.crowd.Ping(attack)
		close(done)
	}()
	r.wantShare(conn, "tux", 700)
	stop()
	<-done
	counts := n.crowd.Counts()
	t.Logf("%d pings, %d answered", counts.Pings, counts.Pongs)
	if counts.Pings < 1000 || counts.Pongs == 0 {
		t.Error("that is no flood")
	}
	r.wantNoErrors()
}
