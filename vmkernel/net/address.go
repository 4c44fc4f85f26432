package net

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"keel/drivers/nic"
	"keel/vmkernel/net/dhcp"
)

func (s *Stack) addAddress(p netip.Prefix) error {
	e := s.stack.AddProtocolAddress(card, tcpip.ProtocolAddress{
		Protocol:          protocolOf(p.Addr()),
		AddressWithPrefix: tcpip.AddressWithPrefix{Address: addressOf(p.Addr()), PrefixLen: p.Bits()},
	}, stack.AddressProperties{})
	if e != nil {
		return fmt.Errorf("net: address %v: %v", p, e)
	}
	return nil
}

// startDHCP has a client get the host's address, unless one does.
func (s *Stack) startDHCP() {
	if s.client != nil {
		return
	}
	c := dhcp.NewClient(s.link.card().MAC(), s.Config().Name)
	current := func(f func()) {
		s.call(func() {
			if s.client == c {
				f()
			}
		})
	}
	c.Send = func(frame []byte) bool { return s.link.send(&nic.Frame{Parts: [][]byte{frame}}) }
	c.Changed = func(l *dhcp.Lease) { current(func() { s.leaseChanged(l) }) }
	c.Silent = func() { current(func() { s.warn(errors.New("no DHCP server answers")) }) }
	ctx, cancel := context.WithCancel(s.ctx)
	s.client, s.stopClient = c, cancel
	s.link.dhcp.Store(c)
	if s.State().Link.Up {
		c.LinkUp()
	}
	go s.guarded("the DHCP client", func() { c.Run(ctx) })
}

// stopDHCP ends the client, and the use of what it got.
func (s *Stack) stopDHCP() {
	if s.client == nil {
		return
	}
	s.stopClient()
	s.client = nil
	s.link.dhcp.Store(nil)
	s.mu.Lock()
	l := s.lease
	s.mu.Unlock()
	if l == nil {
		return
	}
	s.stack.RemoveAddress(card, addressOf(l.Address.Addr()))
	s.change(func() {
		s.removeState(l.Address)
		s.lease = nil
	})
}

// leaseChanged puts a lease's address in the place of the one before.
func (s *Stack) leaseChanged(l *dhcp.Lease) {
	s.mu.Lock()
	old := s.lease
	s.mu.Unlock()
	same := old != nil && l != nil && old.Address == l.Address && old.Router == l.Router &&
		slices.Equal(old.DNS, l.DNS) && slices.Equal(old.NTP, l.NTP) && old.Server == l.Server
	if same {
		s.mu.Lock()
		s.lease = l
		s.mu.Unlock()
		return
	}
	if old != nil && (l == nil || old.Address != l.Address) {
		s.stack.RemoveAddress(card, addressOf(old.Address.Addr()))
	}
	if l != nil && (old == nil || old.Address != l.Address) {
		if err := s.addAddress(l.Address); err != nil {
			s.warn(err)
			l = nil
		}
	}
	if l == nil && old != nil {
		s.warn(fmt.Errorf("the lease of %v is lost", old.Address))
	}
	s.change(func() {
		if old != nil {
			s.removeState(old.Address)
		}
		if l != nil {
			s.state.Addresses = append(s.state.Addresses, l.Address)
		}
		s.lease = l
	})
}

func (s *Stack) removeState(p netip.Prefix) {
	s.state.Addresses = slices.DeleteFunc(s.state.Addresses, func(q netip.Prefix) bool { return p == q })
}

// routers are the ways out, IPv4's first. The lock is held.
func (s *Stack) routers() (list []netip.Addr) {
	list = slices.DeleteFunc(slices.Clone(s.config.Routers), func(r netip.Addr) bool {
		return s.lease != nil && slices.Contains(s.check.silent, r) // the lease's is the way out, then
	})
	if s.lease != nil && s.lease.Router.IsValid() {
		list = append(list, s.lease.Router)
	}
	for r := range s.router {
		list = append(list, r)
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list)
}

// route sets the table: the networks at hand, then the ways out. The lock is held.
func (s *Stack) route() {
	at := []netip.Prefix{netip.MustParsePrefix("fe80::/64")}
	for p := range s.prefix {
		at = append(at, p)
	}
	for _, p := range s.state.Addresses {
		if p.Addr().Is4() || slices.Contains(s.config.Addresses, p) {
			at = append(at, p.Masked())
		}
	}
	var table []tcpip.Route
	for _, p := range at {
		table = append(table, tcpip.Route{Destination: subnetOf(p), NIC: card})
	}
	for _, r := range s.routers() {
		all := header.IPv6EmptySubnet
		if r.Is4() {
			all = header.IPv4EmptySubnet
		}
		table = append(table, tcpip.Route{Destination: all, Gateway: addressOf(r), NIC: card})
	}
	s.stack.SetRouteTable(table)
}

func subnetOf(p netip.Prefix) tcpip.Subnet {
	return tcpip.AddressWithPrefix{Address: addressOf(p.Addr()), PrefixLen: p.Bits()}.Subnet()
}
