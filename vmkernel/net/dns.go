package net

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
)

// dnsPort is where DNS servers listen.
const dnsPort = 53

// errNoDNS says that no server is known.
var errNoDNS = errors.New("no DNS server is known: neither DHCP, a router nor the configuration has one")

// Resolver resolves names with the servers that the state has then, in turn: Go's own resolver, which
// asks its servers over the host's stack.
func (s *Stack) Resolver() *net.Resolver {
	var turn atomic.Uint32
	return &net.Resolver{
		PreferGo:     true,
		StrictErrors: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			servers := s.State().DNS
			if len(servers) == 0 {
				return nil, errNoDNS
			}
			i := int(turn.Add(1)-1) % len(servers)
			return s.Dial(ctx, network, netip.AddrPortFrom(servers[i], dnsPort).String())
		},
	}
}
