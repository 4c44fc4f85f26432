package net

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"keel/drivers/nic"
)

// Pings are answered, a second and at once, up to these.
const (
	pingRate  = 100
	pingBurst = 100
)

// A filter drops what comes from outside of the networks that may reach the ports that the host
// listens on. The rest of the world may only ping, resolve addresses, and answer what it was asked.
// The zero value admits everything.
type filter struct {
	from  atomic.Pointer[[]netip.Prefix] // nil: everybody
	ports atomic.Pointer[[]uint16]       // that Listen was called for
}

// allow sets who may reach the ports; none is everybody.
func (f *filter) allow(from []netip.Prefix) {
	if len(from) == 0 {
		f.from.Store(nil)
		return
	}
	from = slices.Clone(from)
	f.from.Store(&from)
}

// guard adds a port.
func (f *filter) guard(port uint16) {
	var ports []uint16
	if p := f.ports.Load(); p != nil {
		ports = *p
	}
	ports = append(slices.Clone(ports), port)
	f.ports.Store(&ports)
}

// admits says whether a frame, untagged, may be looked at. Of a stranger's packets those pass whose
// protocol stands in the first header: what is in fragments or behind extension headers could be put
// together to anything.
func (f *filter) admits(b []byte) bool {
	from := f.from.Load()
	if from == nil {
		return true
	}
	p := b[nic.HeaderSize:]
	var source netip.Addr
	var protocol uint8
	switch uint16(b[12])<<8 | uint16(b[13]) {
	case uint16(header.IPv4ProtocolNumber):
		if len(p) < header.IPv4MinimumSize {
			return false
		}
		ip := header.IPv4(p)
		source = netip.AddrFrom4([4]byte(p[12:]))
		if size := int(ip.HeaderLength()); size < header.IPv4MinimumSize || size > len(p) || ip.More() || ip.FragmentOffset() != 0 {
			return f.allowed(*from, source)
		} else {
			protocol, p = ip.Protocol(), p[size:]
		}
	case uint16(header.IPv6ProtocolNumber):
		if len(p) < header.IPv6MinimumSize {
			return false
		}
		source = netip.AddrFrom16([16]byte(p[8:]))
		protocol, p = p[6], p[header.IPv6MinimumSize:]
		// Multicast listener discovery stands behind one hop-by-hop header (RFC 3810 5).
		if protocol == uint8(header.IPv6HopByHopOptionsExtHdrIdentifier) && len(p) >= 2 && p[0] == uint8(header.ICMPv6ProtocolNumber) {
			return true
		}
	default:
		return true // ARP, or nothing that anybody answers
	}
	switch protocol {
	case uint8(header.ICMPv4ProtocolNumber), uint8(header.ICMPv6ProtocolNumber), uint8(header.UDPProtocolNumber):
		return true // no UDP port is listened on
	case uint8(header.TCPProtocolNumber):
		if len(p) >= 4 && !f.guards(binary.BigEndian.Uint16(p[2:])) {
			return true
		}
	}
	return f.allowed(*from, source)
}

func (f *filter) allowed(from []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(from, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (f *filter) guards(port uint16) bool {
	p := f.ports.Load()
	return p != nil && slices.Contains(*p, port)
}

// isPing says whether an untagged frame is an echo request, or may hide one: in fragments, or behind extension headers.
func isPing(b []byte) bool {
	p := b[nic.HeaderSize:]
	switch uint16(b[12])<<8 | uint16(b[13]) {
	case uint16(header.IPv4ProtocolNumber):
		if len(p) < header.IPv4MinimumSize || p[9] != uint8(header.ICMPv4ProtocolNumber) {
			return false
		}
		if ip := header.IPv4(p); ip.More() || ip.FragmentOffset() != 0 {
			return true
		}
		size := int(p[0]&15) * 4
		return size < len(p) && p[size] == uint8(header.ICMPv4Echo)
	case uint16(header.IPv6ProtocolNumber):
		if len(p) <= header.IPv6MinimumSize {
			return false
		}
		const options = 8 // bytes of those that multicast listener discovery has, see admits
		if p[6] == uint8(header.IPv6HopByHopOptionsExtHdrIdentifier) && len(p) > header.IPv6MinimumSize+options &&
			p[header.IPv6MinimumSize] == uint8(header.ICMPv6ProtocolNumber) && p[header.IPv6MinimumSize+1] == 0 {
			return p[header.IPv6MinimumSize+options] == uint8(header.ICMPv6EchoRequest)
		}
		switch p[6] {
		case uint8(header.IPv6HopByHopOptionsExtHdrIdentifier), uint8(header.IPv6RoutingExtHdrIdentifier),
			uint8(header.IPv6FragmentExtHdrIdentifier), uint8(header.IPv6DestinationOptionsExtHdrIdentifier):
			return true
		}
		return p[6] == uint8(header.ICMPv6ProtocolNumber) && p[header.IPv6MinimumSize] == uint8(header.ICMPv6EchoRequest)
	}
	return false
}
