package crowd

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"keel/drivers/nic"
)

// firstSequence is each connection's first sequence number, less one than its first byte's.
const firstSequence = 1000

var everybody = nic.MAC{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}

// frame begins a frame of a host's.
func (c *Crowd) frame(host int, to nic.MAC, kind tcpip.NetworkProtocolNumber, size int) []byte {
	from := macOf(c.address(host))
	b := make([]byte, 0, nic.HeaderSize+size)
	b = append(append(b, to[:]...), from[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(kind))
	return b[:nic.HeaderSize+size]
}

// arp sends a host's request for the target, or its answer.
func (c *Crowd) arp(host int, op header.ARPOp, to nic.MAC, asked netip.Addr) {
	b := c.frame(host, to, header.ARPProtocolNumber, header.ARPSize)
	a := header.ARP(b[nic.HeaderSize:])
	a.SetIPv4OverEthernet()
	a.SetOp(op)
	from, ip := macOf(c.address(host)), c.address(host).As4()
	copy(a.HardwareAddressSender(), from[:])
	copy(a.ProtocolAddressSender(), ip[:])
	if op == header.ARPReply {
		copy(a.HardwareAddressTarget(), to[:])
	}
	copy(a.ProtocolAddressTarget(), asked.AsSlice())
	c.network.carry(b)
}

// probe asks for the target's Ethernet address.
func (c *Crowd) probe(host int) { c.arp(host, header.ARPRequest, everybody, c.target) }

// ip fills in the header of a packet to the target, and returns what is behind it.
func (c *Crowd) ip(host int, protocol tcpip.TransportProtocolNumber, size int) (frame, payload []byte) {
	b := c.frame(host, c.targetMAC(), header.IPv4ProtocolNumber, header.IPv4MinimumSize+size)
	ip := header.IPv4(b[nic.HeaderSize:])
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(ip)), TTL: 64, Protocol: uint8(protocol),
		SrcAddr: tcpip.AddrFrom4(c.address(host).As4()), DstAddr: tcpip.AddrFrom4(c.target.As4())})
	ip.SetChecksum(^ip.CalculateChecksum())
	return b, b[nic.HeaderSize+header.IPv4MinimumSize:]
}

func (c *Crowd) sendTCP(f flow, seq, ack uint32, flags header.TCPFlags, data []byte) {
	b, p := c.ip(f.host, header.TCPProtocolNumber, header.TCPMinimumSize+len(data))
	t := header.TCP(p)
	t.Encode(&header.TCPFields{SrcPort: f.port, DstPort: f.to, SeqNum: seq, AckNum: ack, DataOffset: header.TCPMinimumSize, Flags: flags, WindowSize: 0xFFFF})
	copy(p[header.TCPMinimumSize:], data)
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, tcpip.AddrFrom4(c.address(f.host).As4()), tcpip.AddrFrom4(c.target.As4()), uint16(len(p)))
	t.SetChecksum(^t.CalculateChecksum(checksum.Checksum(data, sum)))
	c.network.carry(b)
}

// sendUDP sends a datagram without a checksum, which IPv4 allows (RFC 768).
func (c *Crowd) sendUDP(f flow) {
	b, p := c.ip(f.host, header.UDPProtocolNumber, header.UDPMinimumSize+4)
	header.UDP(p).Encode(&header.UDPFields{SrcPort: f.port, DstPort: f.to, Length: uint16(len(p))})
	c.network.carry(b)
}

func (c *Crowd) sendPing(host int, sequence uint16) {
	b, p := c.ip(host, header.ICMPv4ProtocolNumber, header.ICMPv4MinimumSize+56)
	q := header.ICMPv4(p)
	q.SetType(header.ICMPv4Echo)
	q.SetSequence(sequence)
	q.SetChecksum(header.ICMPv4Checksum(q, 0))
	c.network.carry(b)
}

// receive takes a frame that the target has sent to one of the crowd, or to all.
func (c *Crowd) receive(frame []byte) {
	from, p := nic.MAC(frame[6:]), frame[nic.HeaderSize:]
	switch tcpip.NetworkProtocolNumber(binary.BigEndian.Uint16(frame[12:])) {
	case header.ARPProtocolNumber:
		if a := header.ARP(p); a.IsValid() {
			c.receiveARP(a, from)
		}
	case header.IPv4ProtocolNumber:
		ip := header.IPv4(p)
		if !ip.IsValid(len(p)) {
			return
		}
		host := c.hostOf(netip.AddrFrom4(ip.DestinationAddress().As4()))
		if host < 0 {
			return
		}
		switch body := ip.Payload(); ip.TransportProtocol() {
		case header.TCPProtocolNumber:
			if len(body) >= header.TCPMinimumSize {
				c.receiveTCP(host, header.TCP(body))
			}
		case header.UDPProtocolNumber:
			c.mu.Lock()
			c.counts.Datagrams++
			c.mu.Unlock()
		case header.ICMPv4ProtocolNumber:
			if len(body) >= header.ICMPv4MinimumSize && header.ICMPv4(body).Type() == header.ICMPv4EchoReply {
				c.mu.Lock()
				c.counts.Pongs++
				c.mu.Unlock()
			}
		}
	}
}

func (c *Crowd) receiveARP(a header.ARP, from nic.MAC) {
	sender, asked := netip.AddrFrom4([4]byte(a.ProtocolAddressSender())), netip.AddrFrom4([4]byte(a.ProtocolAddressTarget()))
	switch host := c.hostOf(asked); {
	case host < 0:
	case a.Op() == header.ARPRequest:
		c.arp(host, header.ARPReply, from, sender)
	case a.Op() == header.ARPReply && sender == c.target:
		c.mu.Lock()
		c.mac = from
		c.probes++
		c.mu.Unlock()
		c.tick()
	}
}

func (c *Crowd) receiveTCP(host int, t header.TCP) {
	f := flow{host, t.DestinationPort(), t.SourcePort()}
	c.mu.Lock()
	_, waits := c.waiting[f]
	then, taken := c.taken, waits && t.Flags().Contains(header.TCPFlagSyn|header.TCPFlagAck)
	switch {
	case t.Flags().Contains(header.TCPFlagRst):
		c.counts.Reset++
		delete(c.waiting, f)
	case taken:
		c.counts.Opened++
		delete(c.waiting, f)
	}
	c.mu.Unlock()
	if taken {
		then(f, t.SequenceNumber())
	}
	c.tick()
}

// tick wakes who waits.
func (c *Crowd) tick() {
	select {
	case c.pulse <- struct{}{}:
	default:
	}
}
