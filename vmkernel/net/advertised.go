package net

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// maxAdvertised is how many networks and routers of IPv6 are kept: anybody on the link can advertise.
const maxAdvertised = 8

// ndpConfig has IPv6 addresses made from router advertisements (RFC 4862), without temporary ones: a
// server's address is no secret.
func ndpConfig() ipv6.NDPConfigurations {
	c := ipv6.DefaultNDPConfigurations()
	c.AutoGenTempGlobalAddresses = false
	c.DiscoverMoreSpecificRoutes = false
	return c
}

// advertised takes what IPv6's neighbour discovery finds. The stack mustn't be called from here.
type advertised struct{ s *Stack }

var _ ipv6.NDPDispatcher = advertised{}

func prefixOf(n tcpip.Subnet) netip.Prefix { return netip.PrefixFrom(addrOf(n.ID()), n.Prefix()) }

// OnDuplicateAddressDetectionResult implements ipv6.NDPDispatcher.
func (a advertised) OnDuplicateAddressDetectionResult(_ tcpip.NICID, addr tcpip.Address, r stack.DADResult) {
	d, dup := r.(*stack.DADDupAddrDetected)
	if !dup {
		return
	}
	a.s.call(func() {
		for _, p := range a.s.Config().Addresses {
			if p.Addr() == addrOf(addr) {
				a.s.refuse(p, string(d.HolderLinkAddress))
				return
			}
		}
		a.s.warn(fmt.Errorf("another host has address %v", addrOf(addr)))
	})
}

// OnOffLinkRouteUpdated implements ipv6.NDPDispatcher.
func (a advertised) OnOffLinkRouteUpdated(_ tcpip.NICID, n tcpip.Subnet, router tcpip.Address, _ header.NDPRoutePreference) {
	if n == header.IPv6EmptySubnet {
		r := addrOf(router)
		a.s.quietly(func() {
			if len(a.s.router) < maxAdvertised {
				a.s.router[r] = true
			}
		})
	}
}

// OnOffLinkRouteInvalidated implements ipv6.NDPDispatcher.
func (a advertised) OnOffLinkRouteInvalidated(_ tcpip.NICID, n tcpip.Subnet, router tcpip.Address) {
	if n == header.IPv6EmptySubnet {
		r := addrOf(router)
		a.s.quietly(func() { delete(a.s.router, r) })
	}
}

// OnOnLinkPrefixDiscovered implements ipv6.NDPDispatcher.
func (a advertised) OnOnLinkPrefixDiscovered(_ tcpip.NICID, n tcpip.Subnet) {
	p := prefixOf(n)
	a.s.quietly(func() {
		if len(a.s.prefix) < maxAdvertised {
			a.s.prefix[p] = true
		}
	})
}

// OnOnLinkPrefixInvalidated implements ipv6.NDPDispatcher.
func (a advertised) OnOnLinkPrefixInvalidated(_ tcpip.NICID, n tcpip.Subnet) {
	p := prefixOf(n)
	a.s.quietly(func() { delete(a.s.prefix, p) })
}

// OnAutoGenAddress implements ipv6.NDPDispatcher.
func (a advertised) OnAutoGenAddress(_ tcpip.NICID, p tcpip.AddressWithPrefix) stack.AddressDispatcher {
	if addr := addrOf(p.Address); !addr.IsLinkLocalUnicast() {
		a.s.call(func() {
			a.s.change(func() {
				a.s.state.Addresses = append(a.s.state.Addresses, netip.PrefixFrom(addr, p.PrefixLen))
			})
		})
	}
	return nil
}

// OnAutoGenAddressDeprecated implements ipv6.NDPDispatcher.
func (advertised) OnAutoGenAddressDeprecated(tcpip.NICID, tcpip.AddressWithPrefix) {}

// OnAutoGenAddressInvalidated implements ipv6.NDPDispatcher.
func (a advertised) OnAutoGenAddressInvalidated(_ tcpip.NICID, p tcpip.AddressWithPrefix) {
	gone := netip.PrefixFrom(addrOf(p.Address), p.PrefixLen)
	if !gone.Addr().IsLinkLocalUnicast() {
		a.s.call(func() { a.s.change(func() { a.s.removeState(gone) }) })
	}
}

// OnRecursiveDNSServerOption implements ipv6.NDPDispatcher.
func (a advertised) OnRecursiveDNSServerOption(_ tcpip.NICID, servers []tcpip.Address, lifetime time.Duration) {
	a.s.call(func() {
		a.s.change(func() {
			for _, addr := range servers {
				a.s.named.put(addrOf(addr), time.Now(), lifetime)
			}
		})
	})
}

// OnDNSSearchListOption implements ipv6.NDPDispatcher.
func (advertised) OnDNSSearchListOption(tcpip.NICID, []string, time.Duration) {}

// OnDHCPv6Configuration implements ipv6.NDPDispatcher.
func (advertised) OnDHCPv6Configuration(tcpip.NICID, ipv6.DHCPv6ConfigurationFromNDPRA) {}

// namedServers are the DNS servers that routers advertise (RFC 8106 5.1), as many of them as are kept, in their order.
type namedServers []namedServer

type namedServer struct {
	addr  netip.Addr
	until time.Time
}

// maxNamed is how many are kept.
const maxNamed = 3

// put keeps a server for a time, 0 for no longer, and none any more whose time is over.
func (n *namedServers) put(a netip.Addr, now time.Time, lifetime time.Duration) {
	*n = slices.DeleteFunc(*n, func(s namedServer) bool { return !s.until.After(now) || s.addr == a && lifetime == 0 })
	i := slices.IndexFunc(*n, func(s namedServer) bool { return s.addr == a })
	switch {
	case lifetime == 0 || !isHost(a):
	case i >= 0:
		(*n)[i].until = now.Add(lifetime)
	case len(*n) < maxNamed:
		*n = append(*n, namedServer{a, now.Add(lifetime)})
	}
}

// at are those that are good at a time.
func (n namedServers) at(now time.Time) (list []netip.Addr) {
	for _, s := range n {
		if s.until.After(now) {
			list = append(list, s.addr)
		}
	}
	return list
}

// quietly changes what routes are made of, without telling.
func (s *Stack) quietly(f func()) {
	s.call(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		f()
		s.route()
	})
}
