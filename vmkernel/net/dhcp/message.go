package dhcp

import (
	"encoding/binary"
	"net/netip"
	"time"

	"keel/drivers/nic"
)

// Kinds of messages (RFC 2132 9.6).
const (
	discover = 1
	offer    = 2
	request  = 3
	ack      = 5
	nak      = 6
)

// Options (RFC 2132).
const (
	optPad       = 0
	optMask      = 1
	optRouter    = 3
	optDNS       = 6
	optName      = 12
	optDomain    = 15
	optNTP       = 42
	optRequested = 50
	optLease     = 51
	optKind      = 53
	optServer    = 54
	optWanted    = 55
	optMaxSize   = 57
	optRenew     = 58
	optRebind    = 59
	optClient    = 61
	optEnd       = 255
)

// Sizes and places in a frame, bytes.
const (
	ethSize   = nic.HeaderSize
	ipSize    = 20
	udpSize   = 8
	bootpSize = 236
	cookie    = 0x6382_5363
	maxList   = 4 // servers of a kind that are kept

	serverPort = 67
	clientPort = 68
)

// A query is what the client asks.
type query struct {
	kind      uint8
	xid       uint32
	secs      uint16
	mac       nic.MAC
	current   netip.Addr // the address that it has and renews, or none
	requested netip.Addr // the address that it wants, or none
	server    netip.Addr // whose offer it takes, or none
	name      string     // of the host
}

// frame is the query as an Ethernet frame to all.
func (q *query) frame() []byte {
	b := make([]byte, ethSize+ipSize+udpSize+bootpSize, 400)
	for i := range 6 {
		b[i] = 0xFF
	}
	copy(b[6:], q.mac[:])
	binary.BigEndian.PutUint16(b[12:], 0x0800)

	bootp := b[ethSize+ipSize+udpSize:]
	bootp[0], bootp[1], bootp[2] = 1, 1, 6 // request, Ethernet, 6 bytes of address
	binary.BigEndian.PutUint32(bootp[4:], q.xid)
	binary.BigEndian.PutUint16(bootp[8:], q.secs)
	bootp[10] = 0x80 // answer to all: the client may have no address yet
	if q.current.Is4() {
		put4(bootp[12:], q.current)
	}
	copy(bootp[28:], q.mac[:])

	b = binary.BigEndian.AppendUint32(b, cookie)
	b = append(b, optKind, 1, q.kind)
	b = append(b, optClient, 7, 1)
	b = append(b, q.mac[:]...)
	if q.requested.Is4() {
		b = append(append(b, optRequested, 4), q.requested.AsSlice()...)
	}
	if q.server.Is4() {
		b = append(append(b, optServer, 4), q.server.AsSlice()...)
	}
	if n := min(len(q.name), 63); n > 0 {
		b = append(append(b, optName, uint8(n)), q.name[:n]...)
	}
	b = append(b, optMaxSize, 2, nic.MTU>>8, nic.MTU&0xFF)
	b = append(b, optWanted, 9, optMask, optRouter, optDNS, optDomain, optNTP, optLease, optServer, optRenew, optRebind)
	b = append(b, optEnd)
	for len(b) < ethSize+ipSize+udpSize+300 { // what old servers want (RFC 1542 2.1)
		b = append(b, optPad)
	}

	ip := b[ethSize:]
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	for i := range 4 {
		ip[16+i] = 0xFF
	}
	if q.current.Is4() {
		put4(ip[12:], q.current)
	}
	binary.BigEndian.PutUint16(ip[10:], ^sum(ip[:ipSize], 0))
	udp := ip[ipSize:]
	binary.BigEndian.PutUint16(udp[0:], clientPort)
	binary.BigEndian.PutUint16(udp[2:], serverPort)
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	c := ^sum(udp, pseudo(ip, len(udp)))
	if c == 0 {
		c = 0xFFFF
	}
	binary.BigEndian.PutUint16(udp[6:], c)
	return b
}

// put4 stores a, an IPv4 address.
func put4(b []byte, a netip.Addr) {
	v := a.As4()
	copy(b, v[:])
}

// sum is the Internet checksum (RFC 1071), not yet inverted, of b and what was summed before.
func sum(b []byte, v uint32) uint16 {
	for i := 0; i+1 < len(b); i += 2 {
		v += uint32(b[i])<<8 | uint32(b[i+1])
	}
	if len(b)&1 != 0 {
		v += uint32(b[len(b)-1]) << 8
	}
	for v>>16 != 0 {
		v = v&0xFFFF + v>>16
	}
	return uint16(v)
}

// pseudo is the sum of UDP's pseudo-header.
func pseudo(ip []byte, n int) uint32 {
	return uint32(sum(ip[12:20], uint32(17)+uint32(n)))
}

// A reply is what a server says. Addresses that it doesn't give, or that can't be, are none.
type reply struct {
	kind          uint8
	xid           uint32
	address       netip.Prefix
	server        netip.Addr
	router        netip.Addr
	dns, ntp      []netip.Addr
	lease, t1, t2 time.Duration
}

// IsReply says whether a frame is IPv4 and UDP to a DHCP client's port, whatever else it is.
func IsReply(frame []byte) bool {
	_, ok := datagram(frame)
	return ok
}

// datagram is the UDP datagram in a frame for a DHCP client, in its IPv4 packet.
func datagram(frame []byte) (ip []byte, ok bool) {
	if len(frame) < ethSize+ipSize+udpSize || binary.BigEndian.Uint16(frame[12:]) != 0x0800 {
		return nil, false
	}
	ip = frame[ethSize:]
	header, total := int(ip[0]&15)*4, int(binary.BigEndian.Uint16(ip[2:]))
	if ip[0]>>4 != 4 || header < ipSize || total > len(ip) || header+udpSize > total {
		return nil, false
	}
	if ip[9] != 17 || binary.BigEndian.Uint16(ip[6:])&0x3FFF != 0 { // UDP, and whole
		return nil, false
	}
	ip = ip[:total]
	return ip, binary.BigEndian.Uint16(ip[header+2:]) == clientPort
}

// parse reads a server's message to the card with that address. summed: the card has checked UDP's
// checksum.
func parse(frame []byte, mac nic.MAC, summed bool) (r reply, ok bool) {
	ip, ok := datagram(frame)
	if !ok {
		return r, false
	}
	header := int(ip[0]&15) * 4
	udp := ip[header:]
	n := int(binary.BigEndian.Uint16(udp[4:]))
	if sum(ip[:header], 0) != 0xFFFF || n < udpSize || n > len(udp) || binary.BigEndian.Uint16(udp) != serverPort {
		return r, false
	}
	udp = udp[:n]
	if !summed && binary.BigEndian.Uint16(udp[6:]) != 0 && sum(udp, pseudo(ip, n)) != 0xFFFF {
		return r, false
	}
	b := udp[udpSize:]
	if len(b) < bootpSize+4 || b[0] != 2 || b[1] != 1 || b[2] != 6 || nic.MAC(b[28:34]) != mac || binary.BigEndian.Uint32(b[bootpSize:]) != cookie {
		return r, false
	}
	r.xid = binary.BigEndian.Uint32(b[4:])
	address := netip.AddrFrom4([4]byte(b[16:20]))
	bits := -1
	for o := b[bootpSize+4:]; len(o) > 0 && o[0] != optEnd; {
		if o[0] == optPad {
			o = o[1:]
			continue
		}
		if len(o) < 2 || int(o[1]) > len(o)-2 {
			return r, false
		}
		v := o[2 : 2+int(o[1])]
		switch o[0] {
		case optKind:
			if len(v) == 1 {
				r.kind = v[0]
			}
		case optMask:
			bits = maskBits(v)
		case optServer:
			r.server = first(v)
		case optRouter:
			r.router = first(v)
		case optDNS:
			r.dns = hosts(v)
		case optNTP:
			r.ntp = hosts(v)
		case optLease:
			r.lease = seconds(v)
		case optRenew:
			r.t1 = seconds(v)
		case optRebind:
			r.t2 = seconds(v)
		}
		o = o[2+len(v):]
	}
	if isHost(address) {
		if bits < 0 { // as of old, by class
			bits = 24
			if address.As4()[0] < 192 {
				bits = 16
			}
			if address.As4()[0] < 128 {
				bits = 8
			}
		}
		r.address = netip.PrefixFrom(address, bits)
		if r.router.IsValid() && !r.address.Contains(r.router) {
			r.router = netip.Addr{} // it couldn't be reached
		}
	}
	return r, true
}

// maskBits is the length of a netmask's ones, -1 where it isn't one that a host can have.
func maskBits(v []byte) int {
	if len(v) != 4 {
		return -1
	}
	m := binary.BigEndian.Uint32(v)
	n := 0
	for n < 32 && m&(1<<(31-n)) != 0 {
		n++
	}
	if m<<n != 0 || n < 4 {
		return -1
	}
	return n
}

// isHost says whether an address may be one host's.
func isHost(a netip.Addr) bool {
	return a.Is4() && !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() && a.As4()[0] < 240 && a.As4()[0] != 0
}

// hosts are the addresses of a list, those that can be.
func hosts(v []byte) (list []netip.Addr) {
	for ; len(v) >= 4 && len(list) < maxList; v = v[4:] {
		if a := netip.AddrFrom4([4]byte(v)); isHost(a) {
			list = append(list, a)
		}
	}
	return list
}

func first(v []byte) netip.Addr {
	if list := hosts(v); len(list) > 0 {
		return list[0]
	}
	return netip.Addr{}
}

func seconds(v []byte) time.Duration {
	if len(v) != 4 {
		return 0
	}
	return time.Duration(binary.BigEndian.Uint32(v)) * time.Second
}
