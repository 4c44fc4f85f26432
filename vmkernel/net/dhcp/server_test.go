package dhcp

import (
	"encoding/binary"
	"net/netip"

	"keel/drivers/nic"
)

var testMAC = nic.MAC{0x52, 0x54, 0, 1, 2, 3}

// asked is what a server reads in a query's frame.
type asked struct {
	kind               uint8
	xid                uint32
	current            netip.Addr
	requested, server  netip.Addr
	name               string
	checksumIP, sumUDP bool
}

func read(frame []byte) (a asked) {
	ip := frame[ethSize:]
	a.checksumIP = sum(ip[:ipSize], 0) == 0xFFFF
	udp := ip[ipSize:]
	a.sumUDP = sum(udp, pseudo(ip, len(udp))) == 0xFFFF
	b := udp[udpSize:]
	a.xid = binary.BigEndian.Uint32(b[4:])
	a.current = netip.AddrFrom4([4]byte(b[12:]))
	for o := b[bootpSize+4:]; o[0] != optEnd; o = o[2+o[1]:] {
		v := o[2 : 2+o[1]]
		switch o[0] {
		case optKind:
			a.kind = v[0]
		case optRequested:
			a.requested = netip.AddrFrom4([4]byte(v))
		case optServer:
			a.server = netip.AddrFrom4([4]byte(v))
		case optName:
			a.name = string(v)
		}
	}
	return a
}

// answer is a server's frame.
func answer(kind uint8, xid uint32, address string, options ...byte) []byte {
	b := make([]byte, ethSize+ipSize+udpSize+bootpSize)
	copy(b, testMAC[:])
	binary.BigEndian.PutUint16(b[12:], 0x0800)
	m := b[ethSize+ipSize+udpSize:]
	m[0], m[1], m[2] = 2, 1, 6
	binary.BigEndian.PutUint32(m[4:], xid)
	put4(m[16:], netip.MustParseAddr(address))
	copy(m[28:], testMAC[:])
	b = binary.BigEndian.AppendUint32(b, cookie)
	b = append(b, optKind, 1, kind, optServer, 4, 192, 0, 2, 1)
	b = append(append(b, options...), optEnd)
	ip := b[ethSize:]
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	copy(ip[12:], []byte{192, 0, 2, 1, 255, 255, 255, 255})
	binary.BigEndian.PutUint16(ip[10:], ^sum(ip[:ipSize], 0))
	udp := ip[ipSize:]
	binary.BigEndian.PutUint16(udp, serverPort)
	binary.BigEndian.PutUint16(udp[2:], clientPort)
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	binary.BigEndian.PutUint16(udp[6:], ^sum(udp, pseudo(ip, len(udp))))
	return b
}

// usual are the options of a lease of an hour in 192.0.2.0/24.
var usual = []byte{
	optMask, 4, 255, 255, 255, 0, optRouter, 4, 192, 0, 2, 1, optDNS, 8, 192, 0, 2, 2, 192, 0, 2, 3,
	optNTP, 4, 192, 0, 2, 4, optLease, 4, 0, 0, 0x0E, 0x10,
}
