package net

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"keel/drivers/nic"
	"keel/vmkernel/net/dhcp"
)

// link is the stack's lowest layer, on one network card at a time. Package ethernet's endpoint stands above it.
type link struct {
	port    atomic.Pointer[port]        // the card that it is on
	ports   map[nic.NIC]*port           // those that it has been on: only what the stack's calls runs touches it
	dhcp    atomic.Pointer[dhcp.Client] // none where the address is given
	vlan    atomic.Uint32               // 0: none
	filter  filter
	pings   *rate.Limiter
	changed func(nic.Link)
	trouble func(error)

	mu sync.RWMutex
	to stack.NetworkDispatcher
}

// port is a card that was started for a link. What it has to say counts while the link is on it.
type port struct {
	link *link
	card nic.NIC
	mac  tcpip.LinkAddress
}

var (
	_ stack.LinkEndpoint = (*link)(nil)
	_ nic.Receiver       = (*port)(nil)
)

func newLink(card nic.NIC) *link {
	l := &link{ports: map[nic.NIC]*port{}, pings: rate.NewLimiter(pingRate, pingBurst)}
	l.port.Store(l.newPort(card))
	return l
}

func (l *link) newPort(card nic.NIC) *port {
	m := card.MAC()
	p := &port{l, card, tcpip.LinkAddress(m[:])}
	l.ports[card] = p
	return p
}

// start finds a card's port; the card is started if it hasn't been.
func (l *link) start(card nic.NIC) (*port, error) {
	if p := l.ports[card]; p != nil {
		return p, nil
	}
	p := l.newPort(card)
	if err := card.Start(p); err != nil {
		delete(l.ports, card)
		return nil, err
	}
	return p, nil
}

// card is the one that the link is on.
func (l *link) card() nic.NIC { return l.port.Load().card }

// LinkChanged implements nic.Receiver.
func (p *port) LinkChanged(s nic.Link) {
	if p.link.port.Load() == p {
		p.link.changed(s)
	}
}

// Trouble implements nic.Receiver.
func (p *port) Trouble(err error) { p.link.trouble(err) }

// Receive implements nic.Receiver. The copy is all that is looked at.
func (p *port) Receive(frame []byte, summed bool) {
	l := p.link
	if l.port.Load() != p {
		return
	}
	defer func() { // a stranger's frame may cost itself, and nothing else
		if e := recover(); e != nil {
			l.trouble(fault("a frame", e))
		}
	}()
	view := buffer.NewViewWithData(frame)
	b := view.AsSlice()
	l.mu.RLock()
	to := l.to
	l.mu.RUnlock()
	if to == nil || !p.forUs(b) || !l.untag(view, &summed) {
		view.Release()
		return
	}
	b = view.AsSlice()
	if c := l.dhcp.Load(); c != nil && dhcp.IsReply(b) {
		c.Receive(b, summed)
		view.Release()
		return
	}
	if !l.filter.admits(b) || isPing(b) && !l.pings.Allow() {
		view.Release()
		return
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(view)})
	pkt.RXChecksumValidated = summed && headerSummed(b)
	to.DeliverNetworkPacket(0, pkt) // Ethernet's endpoint reads the protocol
	pkt.DecRef()
}

// forUs says whether a frame is whole, and to the card or a group.
func (p *port) forUs(b []byte) bool {
	return len(b) >= nic.HeaderSize && (b[0]&1 != 0 || string(b[:6]) == string(p.mac))
}

// headerSummed says whether the checksum of IPv4's header, if it is there, is right: the stack takes
// a card's word for it together with the transport's, and not all cards look.
func headerSummed(b []byte) bool {
	if binary.BigEndian.Uint16(b[12:]) != uint16(header.IPv4ProtocolNumber) {
		return true
	}
	ip := header.IPv4(b[nic.HeaderSize:])
	return len(ip) >= header.IPv4MinimumSize && int(ip.HeaderLength()) <= len(ip) && ip.HeaderLength() >= header.IPv4MinimumSize && ip.IsChecksumValid()
}

// WritePackets implements stack.LinkWriter.
func (l *link) WritePackets(list stack.PacketBufferList) (int, tcpip.Error) {
	n := 0
	for _, pkt := range list.AsSlice() {
		f := nic.Frame{Sum: l.offload(pkt)}
		f.Parts = pkt.AsSlices()
		if !l.send(&f) {
			return n, &tcpip.ErrNoBufferSpace{}
		}
		n++
	}
	return n, nil
}

// offload leaves a packet's checksum to the card, where the stack did: it puts the pseudo-header's sum
// where the card adds the rest.
func (l *link) offload(pkt *stack.PacketBuffer) (sum nic.Checksum) {
	if !l.card().Sums() {
		return sum
	}
	var src, dst tcpip.Address
	network := pkt.NetworkHeader().Slice()
	switch pkt.NetworkProtocolNumber {
	case header.IPv4ProtocolNumber:
		ip := header.IPv4(network)
		if ip.More() || ip.FragmentOffset() != 0 {
			return sum // without checksum, or with its own
		}
		src, dst = ip.SourceAddress(), ip.DestinationAddress()
	case header.IPv6ProtocolNumber:
		ip := header.IPv6(network)
		src, dst = ip.SourceAddress(), ip.DestinationAddress()
	default:
		return sum
	}
	transport := pkt.TransportHeader().Slice()
	switch {
	case pkt.TransportProtocolNumber == header.TCPProtocolNumber && len(transport) >= header.TCPMinimumSize:
		if header.TCP(transport).Checksum() != 0 {
			return sum
		}
		sum.Offset = header.TCPChecksumOffset
	case pkt.TransportProtocolNumber == header.UDPProtocolNumber && len(transport) >= header.UDPMinimumSize:
		if header.UDP(transport).Checksum() != 0 {
			return sum
		}
		sum.Offset = header.UDPMinimumSize - 2
	default:
		return sum
	}
	sum.Start = len(pkt.LinkHeader().Slice()) + len(network)
	size := len(transport) + pkt.Data().Size()
	x := header.PseudoHeaderChecksum(pkt.TransportProtocolNumber, src, dst, uint16(size))
	binary.BigEndian.PutUint16(transport[sum.Offset:], x)
	return sum
}

// MTU implements stack.LinkEndpoint: with Ethernet's header, which the endpoint above takes off.
func (*link) MTU() uint32 { return nic.HeaderSize + nic.MTU }

// SetMTU implements stack.LinkEndpoint.
func (*link) SetMTU(uint32) {}

// MaxHeaderLength implements stack.LinkEndpoint.
func (*link) MaxHeaderLength() uint16 { return 0 }

// LinkAddress implements stack.LinkEndpoint.
func (l *link) LinkAddress() tcpip.LinkAddress { return l.port.Load().mac }

// SetLinkAddress implements stack.LinkEndpoint.
func (*link) SetLinkAddress(tcpip.LinkAddress) {}

// Capabilities implements stack.LinkEndpoint.
func (l *link) Capabilities() stack.LinkEndpointCapabilities {
	if l.card().Sums() {
		return stack.CapabilityTXChecksumOffload
	}
	return 0
}

// Attach implements stack.LinkEndpoint.
func (l *link) Attach(to stack.NetworkDispatcher) {
	l.mu.Lock()
	l.to = to
	l.mu.Unlock()
}

// IsAttached implements stack.LinkEndpoint.
func (l *link) IsAttached() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.to != nil
}

// Wait implements stack.LinkEndpoint.
func (*link) Wait() {}

// ARPHardwareType implements stack.LinkEndpoint.
func (*link) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }

// AddHeader implements stack.LinkEndpoint.
func (*link) AddHeader(*stack.PacketBuffer) {}

// ParseHeader implements stack.LinkEndpoint.
func (*link) ParseHeader(*stack.PacketBuffer) bool { return true }

// Close implements stack.LinkEndpoint.
func (*link) Close() {}

// SetOnCloseAction implements stack.LinkEndpoint.
func (*link) SetOnCloseAction(func()) {}
