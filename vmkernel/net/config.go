package net

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/link/ethernet"

	"keel/drivers/nic"
)

// Config is how the host is in its network.
type Config struct {
	Name string  // of the host
	Card nic.NIC // nil: the one that the stack is on
	VLAN uint16  // 1 to MaxVLAN; 0: none
	// Addresses are the host's own. Without one of IPv4 that can be used, DHCP gives it.
	Addresses []netip.Prefix
	DHCP      bool         // it is asked although there is one
	Routers   []netip.Addr // of each kind one, for given addresses
	DNS, NTP  []netip.Addr // come before those that DHCP gives
	// AllowFrom are the networks whose hosts may reach the ports that the host listens on; none: all.
	AllowFrom []netip.Prefix
}

// Most of each that a Config has.
const (
	maxHosts   = 8
	maxAllowed = 64
)

// Check says what is wrong with c, nil where it can be tried.
func (c *Config) Check() error {
	if c.VLAN > MaxVLAN {
		return fmt.Errorf("net: vlan: %d is none: they are 1 to %d", c.VLAN, MaxVLAN)
	}
	if len(c.Addresses) > maxHosts || len(c.AllowFrom) > maxAllowed {
		return fmt.Errorf("net: %d addresses and %d networks in allowFrom: at most %d and %d are possible", len(c.Addresses), len(c.AllowFrom), maxHosts, maxAllowed)
	}
	for i, p := range c.Addresses {
		if !p.IsValid() || !isHost(p.Addr()) || p.Bits() == 0 {
			return fmt.Errorf("net: addresses: %v is no address that a host can have", p)
		}
		if slices.ContainsFunc(c.Addresses[:i], func(q netip.Prefix) bool { return p.Addr() == q.Addr() }) {
			return fmt.Errorf("net: addresses: %v is there twice", p.Addr())
		}
	}
	for name, list := range map[string][]netip.Addr{"routers": c.Routers, "dns": c.DNS, "ntp": c.NTP} {
		if len(list) > maxHosts {
			return fmt.Errorf("net: %s: %d are given, at most %d are possible", name, len(list), maxHosts)
		}
		for _, a := range list {
			if !isHost(a) {
				return fmt.Errorf("net: %s: %v is no host's address", name, a)
			}
		}
	}
	for _, r := range c.Routers {
		if !r.IsLinkLocalUnicast() && !slices.ContainsFunc(c.Addresses, func(p netip.Prefix) bool { return p.Contains(r) }) {
			return fmt.Errorf("net: routers: %v is in no network of the host's addresses", r)
		}
	}
	for _, p := range c.AllowFrom {
		if !p.IsValid() || p.Addr().Is4In6() || p != p.Masked() {
			return fmt.Errorf("net: allowFrom: %v is no network", p)
		}
	}
	return nil
}

// isHost says whether an address may be one host's.
func isHost(a netip.Addr) bool {
	return a.IsValid() && a.Zone() == "" && !a.Is4In6() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback()
}

// State is how the host is reached.
type State struct {
	Card      nic.NIC
	Link      nic.Link
	Addresses []netip.Prefix // IPv4's first, without those that only the link knows
	Routers   []netip.Addr
	DNS, NTP  []netip.Addr
	DHCP      netip.Addr // the server that gave the address, or none
	Asking    bool       // DHCP is asked for an address, and hasn't given one
	// Fallback is why the configuration's addresses aren't all that is used; "": they are.
	Fallback string
}

// Config is what the host's network is to be now.
func (s *Stack) Config() Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config
}

// State is how the host is reached now.
func (s *Stack) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshot()
}

// snapshot copies the state. The lock is held.
func (s *Stack) snapshot() State {
	st := s.state
	st.Card = s.link.card()
	st.Addresses = slices.Clone(st.Addresses)
	slices.SortFunc(st.Addresses, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	st.Routers = s.routers()
	st.DNS = slices.Clone(s.config.DNS)
	st.NTP = slices.Clone(s.config.NTP)
	st.Asking = s.lease == nil && s.link.dhcp.Load() != nil
	if s.lease != nil {
		st.DNS = append(st.DNS, s.lease.DNS...)
		st.NTP = append(st.NTP, s.lease.NTP...)
		st.DHCP = s.lease.Server
	}
	if len(st.DNS) == 0 { // anybody on the link can advertise: only where nobody else has named any
		st.DNS = s.named.at(time.Now())
	}
	return st
}

// change changes the state and tells.
func (s *Stack) change(f func()) {
	s.mu.Lock()
	f()
	s.route()
	st := s.snapshot()
	s.mu.Unlock()
	if s.events.Changed != nil {
		s.events.Changed(st)
	}
}

// apply makes the network what c says: at once, without a way back, see Try. Listeners stay, and
// connections whose addresses do. It runs as one of calls.
func (s *Stack) apply(c Config) error {
	old := s.Config()
	if c.Card == nil {
		c.Card = s.link.card()
	}
	to, err := s.link.start(c.Card)
	if err != nil {
		return fmt.Errorf("net: card %v: %w", c.Card.MAC(), err)
	}
	moves := to != s.link.port.Load()
	s.link.filter.allow(c.AllowFrom)
	s.check.cancel()
	asks := c.DHCP || wantsDHCP(c.Addresses)
	if !asks || c.VLAN != old.VLAN || moves {
		s.stopDHCP()
	}
	if c.VLAN != old.VLAN || moves || !s.link.IsAttached() {
		if err := s.join(to, c.VLAN); err != nil {
			return err
		}
		old.Addresses = nil
	}
	in := func(list []netip.Prefix) func(netip.Prefix) bool {
		return func(p netip.Prefix) bool { return slices.Contains(list, p) }
	}
	gone := slices.DeleteFunc(slices.Clone(old.Addresses), in(c.Addresses))
	have := slices.DeleteFunc(slices.Clone(old.Addresses), func(p netip.Prefix) bool {
		return !in(c.Addresses)(p) || in(s.check.refused)(p)
	})
	for _, p := range gone {
		s.stack.RemoveAddress(card, addressOf(p.Addr()))
	}
	s.check.refused = nil
	var failed error
	var added []netip.Prefix
	for _, p := range slices.DeleteFunc(slices.Clone(c.Addresses), in(have)) {
		if failed = s.addAddress(p); failed != nil {
			break
		}
		added = append(added, p)
	}
	s.change(func() {
		s.config, s.check.silent = c, nil
		s.state.Addresses = append(slices.DeleteFunc(s.state.Addresses, in(append(gone, added...))), added...)
		s.state.Fallback = ""
	})
	if failed != nil {
		return failed
	}
	if asks {
		s.startDHCP()
	}
	s.checkAddresses()
	return nil
}

// Change changes the network at once, without a way back: for what nobody has asked for, see Try.
func (s *Stack) Change(f func(*Config)) error {
	return s.wait(func() error {
		c := s.Config()
		f(&c)
		return s.apply(c)
	})
}

// join puts the host into a network, by a card, out of the one before: nothing that was known of that is kept.
func (s *Stack) join(to *port, vlan uint16) error {
	if s.link.IsAttached() {
		if e := s.stack.RemoveNIC(card); e != nil {
			return fmt.Errorf("net: leaving the network: %v", e)
		}
	}
	s.mu.Lock()
	s.state.Addresses = nil
	if s.link.port.Swap(to) != to {
		s.state.Link = to.card.Link()
	}
	s.prefix, s.router = map[netip.Prefix]bool{}, map[netip.Addr]bool{}
	s.named = nil
	s.mu.Unlock()
	s.link.vlan.Store(uint32(vlan))
	if e := s.stack.CreateNIC(card, ethernet.New(s.link)); e != nil {
		return fmt.Errorf("net: %v", e)
	}
	return nil
}

func (s *Stack) linkChanged(l nic.Link) {
	if c := s.link.dhcp.Load(); l.Up && c != nil {
		c.LinkUp()
	}
	s.change(func() { s.state.Link = l })
	s.checkAddresses()
}

// wantsDHCP says whether a host with these addresses of its own needs one of IPv4.
func wantsDHCP(addresses []netip.Prefix) bool {
	return !slices.ContainsFunc(addresses, func(p netip.Prefix) bool { return p.Addr().Is4() })
}
