package net

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Whether given addresses can be used is checked as RFC 5227 has it, and by asking the router for its
// Ethernet address, whenever the link comes up. A host whose addresses can't be used isn't lost: it
// asks DHCP as well, and says so.

// arpProbes is how another host with the address is looked for.
var arpProbes = stack.DADConfigurations{DupAddrDetectTransmits: 2, RetransmitTimer: 300 * time.Millisecond}

// checkAgain is when a router that didn't answer is asked again.
const checkAgain = 30 * time.Second

// check is what was found of the given addresses.
type check struct {
	round   int            // answers to questions of earlier ones don't count
	refused []netip.Prefix // another host has them
	silent  []netip.Addr   // routers of IPv4 that don't answer; written with the stack's lock held
	again   *time.Timer
}

// cancel forgets the questions that are under way.
func (c *check) cancel() {
	c.round++
	if c.again != nil {
		c.again.Stop()
	}
}

// checkAddresses asks the network about the given addresses of IPv4; the stack itself asks about those of IPv6.
func (s *Stack) checkAddresses() {
	s.check.cancel()
	c := s.Config()
	if !s.State().Link.Up || wantsDHCP(c.Addresses) {
		return
	}
	round := s.check.round
	then := func(f func()) {
		s.call(func() {
			if s.check.round == round {
				f()
			}
		})
	}
	for _, p := range c.Addresses {
		if !p.Addr().Is4() {
			continue
		}
		s.stack.CheckDuplicateAddress(card, header.IPv4ProtocolNumber, addressOf(p.Addr()), func(r stack.DADResult) {
			if d, ok := r.(*stack.DADDupAddrDetected); ok {
				then(func() { s.refuse(p, string(d.HolderLinkAddress)) })
			}
		})
		for _, r := range c.Routers {
			if r.Is4() && p.Contains(r) {
				s.stack.GetLinkAddress(card, addressOf(r), addressOf(p.Addr()), header.IPv4ProtocolNumber, func(l stack.LinkResolutionResult) {
					then(func() { s.routerAnswers(r, l.Err) })
				})
			}
		}
	}
}

// refuse gives up an address that another host has. holder is that one's Ethernet address.
func (s *Stack) refuse(p netip.Prefix, holder string) {
	if slices.Contains(s.check.refused, p) {
		return
	}
	s.check.refused = append(s.check.refused, p)
	s.stack.RemoveAddress(card, addressOf(p.Addr()))
	s.change(func() { s.removeState(p) })
	s.fallBack(fmt.Errorf("another host (%v) has address %v", net.HardwareAddr(holder), p.Addr()))
}

// routerAnswers takes in what became of asking a router.
func (s *Stack) routerAnswers(r netip.Addr, e tcpip.Error) {
	silent := slices.Contains(s.check.silent, r)
	switch {
	case e == nil && silent:
		s.change(func() {
			s.check.silent = slices.DeleteFunc(s.check.silent, func(a netip.Addr) bool { return a == r })
		})
		if len(s.check.silent) == 0 && !wantsDHCP(s.usable()) {
			if !s.Config().DHCP {
				s.stopDHCP()
			}
			s.change(func() { s.state.Fallback = "" })
			s.warn(fmt.Errorf("router %v answers again: the given addresses are used alone", r))
		}
	case e != nil && !silent:
		s.change(func() { s.check.silent = append(s.check.silent, r) })
		s.fallBack(fmt.Errorf("router %v doesn't answer", r))
	}
	if e != nil {
		s.check.again = time.AfterFunc(checkAgain, func() { s.call(s.checkAddresses) })
	}
}

// usable are the given addresses that nobody else has.
func (s *Stack) usable() []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(s.Config().Addresses), func(p netip.Prefix) bool { return slices.Contains(s.check.refused, p) })
}

// fallBack has DHCP give an address where the given ones don't do, and says why.
func (s *Stack) fallBack(why error) {
	s.change(func() {
		if s.state.Fallback != "" {
			s.state.Fallback += "; "
		}
		s.state.Fallback += strings.TrimPrefix(why.Error(), "net: ")
	})
	if len(s.check.silent) == 0 && !wantsDHCP(s.usable()) {
		s.warn(why)
		return
	}
	s.warn(fmt.Errorf("the given addresses can't be used: %w: DHCP is asked", why))
	s.startDHCP()
}
