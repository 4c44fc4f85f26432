package net

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"keel/drivers/nic"
	"keel/vmkernel/net/dhcp"
)

const (
	hostAt = "192.0.2.1/24"
	peerAt = "192.0.2.2/24"
)

func prefixes(list ...string) (p []netip.Prefix) {
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

// start makes a host at one end of a cable; warnings are what it warns of.
func start(t *testing.T, e *end, c Config) (s *Stack, warnings chan string) {
	t.Helper()
	warnings = make(chan string, 16)
	s, err := New(e, c, Events{Warning: func(_ nic.NIC, err error) {
		t.Log(err)
		warnings <- err.Error()
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, warnings
}

// reaches says whether a TCP port of the host is reached from the peer.
func reaches(t *testing.T, peer *Stack, to string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	conn, err := peer.Dial(ctx, "tcp", to)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

func listen(t *testing.T, s *Stack) {
	t.Helper()
	l, err := s.Listen(443)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
}

func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for start := time.Now(); time.Since(start) < 6*time.Second; time.Sleep(20 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("%s: not within 6 s", what)
}

func TestHostsMeetWithinOneVLANOnly(t *testing.T) {
	t.Parallel()
	for _, sums := range []bool{false, true} {
		for _, c := range []struct {
			host, peer uint16
			meet       bool
		}{{7, 7, true}, {4094, 4094, true}, {7, 8, false}, {7, 0, false}, {0, 7, false}} {
			a, b := cable(sums)
			host, _ := start(t, a, Config{VLAN: c.host, Addresses: prefixes(hostAt)})
			peer, _ := start(t, b, Config{VLAN: c.peer, Addresses: prefixes(peerAt)})
			listen(t, host)
			if got := reaches(t, peer, "192.0.2.1:443"); got != c.meet {
				t.Errorf("%d and %d, sums %v: %v", c.host, c.peer, sums, got)
			}
		}
	}
}

func TestAddressOfAnotherHostIsGivenUpForDHCP(t *testing.T) {
	t.Parallel()
	a, b := cable(false)
	first, others := start(t, b, Config{Addresses: prefixes("192.0.2.1/24")})
	host, warnings := start(t, a, Config{Addresses: prefixes("192.0.2.1/24")})
	said, mac := "", "02:00:00:00:00:02"
	select {
	case said = <-warnings:
	case said = <-others: // on a busy machine the first was still asking when the second came
		host, mac = first, "02:00:00:00:00:01"
	}
	if !strings.Contains(said, "another host ("+mac+") has address 192.0.2.1: DHCP is asked") {
		t.Error(said)
	}
	if st := host.State(); len(st.Addresses) != 0 || !strings.Contains(st.Fallback, "another host") {
		t.Errorf("%+v", st)
	}
	until(t, "asking", func() bool { return host.link.dhcp.Load() != nil })
}

func TestSilentRouterBringsDHCPUntilItAnswers(t *testing.T) {
	t.Parallel()
	a, b := cable(false)
	router := netip.MustParseAddr("192.0.2.254")
	host, warnings := start(t, a, Config{Addresses: prefixes(hostAt), Routers: []netip.Addr{router}})
	peer, _ := start(t, b, Config{Addresses: prefixes(peerAt)})
	if w := <-warnings; !strings.Contains(w, "router 192.0.2.254 doesn't answer: DHCP is asked") {
		t.Error(w)
	}
	// What DHCP gives comes on top, and is the way out.
	lease := &dhcp.Lease{Address: netip.MustParsePrefix("192.0.2.77/24"), Router: netip.MustParseAddr("192.0.2.2")}
	host.link.dhcp.Load().Changed(lease)
	until(t, "lease", func() bool { return len(host.State().Addresses) == 2 })
	if st := host.State(); !slices.Equal(st.Routers, []netip.Addr{lease.Router}) || st.Fallback == "" {
		t.Errorf("%+v", st)
	}
	listen(t, host)
	if !reaches(t, peer, "192.0.2.1:443") || !reaches(t, peer, "192.0.2.77:443") {
		t.Error("one of the addresses isn't reached")
	}
	// The router comes back.
	if err := peer.wait(func() error {
		return peer.apply(Config{Addresses: prefixes(peerAt, "192.0.2.254/24")})
	}); err != nil {
		t.Fatal(err)
	}
	host.call(host.checkAddresses)
	if w := <-warnings; !strings.Contains(w, "router 192.0.2.254 answers again") {
		t.Error(w)
	}
	if st := host.State(); !slices.Equal(st.Addresses, prefixes(hostAt)) || !slices.Equal(st.Routers, []netip.Addr{router}) || st.Fallback != "" {
		t.Errorf("%+v", st)
	}
}

// TestDHCPIsAskedBesideGivenAddresses where the configuration says so, also after the host has left its VLAN.
func TestDHCPIsAskedBesideGivenAddresses(t *testing.T) {
	t.Parallel()
	a, b := cable(false)
	host, _ := start(t, a, Config{VLAN: 7, Addresses: prefixes(hostAt), DHCP: true})
	peer, _ := start(t, b, Config{Addresses: prefixes(peerAt, "198.51.100.2/24")})
	listen(t, host)
	asked := func() bool { return host.State().Asking }
	if until(t, "asking", asked); reaches(t, peer, "192.0.2.1:443") {
		t.Error("reached across VLANs")
	}
	if err := host.Change(func(c *Config) { c.VLAN = 0 }); err != nil {
		t.Fatal(err)
	}
	until(t, "asking again", asked)
	host.link.dhcp.Load().Changed(&dhcp.Lease{Address: netip.MustParsePrefix("198.51.100.7/24")})
	until(t, "lease", func() bool { return len(host.State().Addresses) == 2 && !asked() })
	if !reaches(t, peer, "192.0.2.1:443") || !reaches(t, peer, "198.51.100.7:443") {
		t.Error("one of the addresses isn't reached")
	}
	if c := host.Config(); c.VLAN != 0 || !c.DHCP {
		t.Errorf("%+v", c)
	}
}

func TestUsableAddressesNeedNoDHCP(t *testing.T) {
	t.Parallel()
	a, b := cable(false)
	start(t, b, Config{Addresses: prefixes(peerAt)})
	host, warnings := start(t, a, Config{Addresses: prefixes(hostAt), Routers: []netip.Addr{netip.MustParseAddr("192.0.2.2")}})
	select {
	case w := <-warnings:
		t.Error(w)
	case <-time.After(1500 * time.Millisecond):
	}
	if st := host.State(); host.link.dhcp.Load() != nil || st.Fallback != "" || !slices.Equal(st.Addresses, prefixes(hostAt)) {
		t.Errorf("%+v", st)
	}
}

func TestChangeRevertsUnlessConfirmed(t *testing.T) {
	t.Parallel()
	a, b := cable(false)
	host, _ := start(t, a, Config{Addresses: prefixes(hostAt)})
	peer, _ := start(t, b, Config{Addresses: prefixes(peerAt)})
	listen(t, host)
	ended := make(chan error, 1)
	try := func(within time.Duration, addresses ...string) {
		t.Helper()
		if _, err := host.Try(Config{Addresses: prefixes(addresses...)}, within, func(err error) { ended <- err }); err != nil {
			t.Fatal(err)
		}
	}
	if err := host.Confirm(); !errors.Is(err, ErrNoTrial) {
		t.Errorf("without a change: %v", err)
	}
	try(4*time.Second, "192.0.2.9/24")
	if err := host.Confirm(); !errors.Is(err, ErrTooSoon) {
		t.Errorf("at once: %v", err)
	}
	if _, _, ok := host.Trial(); !ok {
		t.Error("nothing waits")
	}
	until(t, "the change", func() bool { return slices.Equal(host.State().Addresses, prefixes("192.0.2.9/24")) })
	if !reaches(t, peer, "192.0.2.9:443") {
		t.Error("the new address isn't reached")
	}
	if reaches(t, peer, "192.0.2.1:443") {
		t.Error("the address before is still there")
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !reaches(t, peer, "192.0.2.1:443") || reaches(t, peer, "192.0.2.9:443") {
		t.Error("the change wasn't reverted")
	}

	// One change in the place of another goes back to before both.
	try(time.Minute, "192.0.2.9/24")
	until(t, "the change", func() bool { return slices.Equal(host.State().Addresses, prefixes("192.0.2.9/24")) })
	try(time.Second, "192.0.2.10/24")
	if err := <-ended; err != nil || !slices.Equal(host.State().Addresses, prefixes(hostAt)) {
		t.Errorf("%v, %+v", err, host.State())
	}

	try(time.Second, "192.0.2.11/24")
	until(t, "confirmation", func() bool { return host.Confirm() == nil })
	time.Sleep(1200 * time.Millisecond)
	if !reaches(t, peer, "192.0.2.11:443") {
		t.Error("a confirmed change was reverted")
	}
	if _, err := host.Try(Config{VLAN: 4095}, time.Second, nil); err == nil {
		t.Error("VLAN 4095 was taken")
	}
}

// TestChangeDuringARevertGoesBackAsFar makes a change while the one before is being gone back from.
func TestChangeDuringARevertGoesBackAsFar(t *testing.T) {
	t.Parallel()
	a, _ := cable(false)
	host, _ := start(t, a, Config{Addresses: prefixes(hostAt)})
	ended := make(chan error, 2)
	try := func(within time.Duration, addresses ...string) {
		t.Helper()
		if _, err := host.Try(Config{Addresses: prefixes(addresses...)}, within, func(err error) { ended <- err }); err != nil {
			t.Fatal(err)
		}
	}
	at := func(list ...string) func() bool {
		return func() bool { return slices.Equal(host.State().Addresses, prefixes(list...)) }
	}
	try(800*time.Millisecond, "192.0.2.9/24")
	until(t, "the change", at("192.0.2.9/24"))
	busy := make(chan bool)
	host.call(func() { <-busy }) // so that going back takes its time
	time.Sleep(time.Second)
	if err := host.Confirm(); !errors.Is(err, ErrNoTrial) {
		t.Errorf("while it is gone back from: %v", err)
	}
	try(time.Second, "192.0.2.10/24")
	close(busy)
	until(t, "the second change", at("192.0.2.10/24"))
	if err := <-ended; err != nil || !at(hostAt)() {
		t.Errorf("%v, %+v", err, host.State())
	}
	if len(ended) != 0 {
		t.Error("the end of a change is told that another had replaced")
	}
}

// TestTroubleOfAnotherCardIsNotTheHosts has a card tell of trouble that the host has gone back from.
func TestTroubleOfAnotherCardIsNotTheHosts(t *testing.T) {
	t.Parallel()
	a, _ := cable(false)
	host, warnings := start(t, a, Config{Addresses: prefixes(hostAt)})
	other, _ := cable(false)
	if err := host.wait(func() error {
		_, err := host.link.start(other)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	other.to.Trouble(errors.New("the other card's"))
	a.to.Trouble(errors.New("its own"))
	if w := <-warnings; w != "its own" {
		t.Error(w)
	}
}

func TestChangeOfVLANIsFollowed(t *testing.T) {
	t.Parallel()
	a, b := cable(true)
	host, _ := start(t, a, Config{Addresses: prefixes(hostAt)})
	peer, _ := start(t, b, Config{VLAN: 12, Addresses: prefixes(peerAt)})
	listen(t, host)
	if reaches(t, peer, "192.0.2.1:443") {
		t.Fatal("reached across VLANs")
	}
	if err := host.wait(func() error { return host.apply(Config{VLAN: 12, Addresses: prefixes(hostAt)}) }); err != nil {
		t.Fatal(err)
	}
	until(t, "the listener in the other VLAN", func() bool { return reaches(t, peer, "192.0.2.1:443") })
}

// TestAnotherCardIsTriedAndGoneBackFrom moves a host to a card on another cable: it is reached there alone, then back, then for good.
func TestAnotherCardIsTriedAndGoneBackFrom(t *testing.T) {
	t.Parallel()
	a, b := cable(false)
	c, d := cable(true)
	c.mac, d.mac = nic.MAC{2, 0, 0, 0, 0, 3}, nic.MAC{2, 0, 0, 0, 0, 4}
	host, _ := start(t, a, Config{Addresses: prefixes(hostAt)})
	listen(t, host)
	peers := map[nic.NIC]*Stack{}
	peers[a], _ = start(t, b, Config{Addresses: prefixes(peerAt)})
	peers[c], _ = start(t, d, Config{Addresses: prefixes(peerAt)})
	reachedBy := func(card *end) {
		t.Helper()
		for at, peer := range peers {
			if got := reaches(t, peer, "192.0.2.1:443"); got != (at == nic.NIC(card)) {
				t.Errorf("by %v: %v", at.MAC(), got)
			}
		}
		if host.NIC() != nic.NIC(card) {
			t.Errorf("it is on %v", host.NIC().MAC())
		}
	}
	reachedBy(a)
	ended := make(chan error, 1)
	try := func(within time.Duration, card nic.NIC) {
		t.Helper()
		if _, err := host.Try(Config{Card: card, Addresses: prefixes(hostAt)}, within, func(err error) { ended <- err }); err != nil {
			t.Fatal(err)
		}
	}
	try(4*time.Second, c)
	until(t, "the move", func() bool { return host.NIC() == nic.NIC(c) })
	reachedBy(c)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	reachedBy(a)
	try(20*time.Second, c)
	until(t, "it is confirmed", func() bool { return host.Confirm() == nil })
	reachedBy(c)
	if st := host.State(); !st.Link.Up || len(st.Addresses) != 1 {
		t.Errorf("%+v", st)
	}
	// A card that doesn't start changes nothing.
	broken := &brokenCard{end: &end{mac: nic.MAC{2, 0, 0, 0, 0, 5}}}
	try(20*time.Second, broken)
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "02:00:00:00:00:05: it burns") {
		t.Errorf("%v", err)
	}
	reachedBy(c)
}

// brokenCard doesn't start.
type brokenCard struct{ *end }

func (*brokenCard) Start(nic.Receiver) error { return errors.New("it burns") }
