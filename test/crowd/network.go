package crowd

import (
	"errors"
	"net"
	"sync"

	"keel/drivers/nic"
)

// Network is an Ethernet switch. Its methods may be called by any goroutine.
type Network struct {
	mu    sync.Mutex
	ports map[nic.MAC]func(frame []byte)
	crowd *Crowd
}

// New returns a Network that nobody is on.
func New() *Network { return &Network{ports: map[nic.MAC]func([]byte){}} }

// attach has frames for a card, and those for all, go to a function, which mustn't keep them.
func (n *Network) attach(m nic.MAC, to func([]byte)) {
	n.mu.Lock()
	n.ports[m] = to
	n.mu.Unlock()
}

// carry takes a frame to where it is addressed.
func (n *Network) carry(frame []byte) {
	if len(frame) < nic.HeaderSize {
		return
	}
	to, from := nic.MAC(frame), nic.MAC(frame[6:])
	all := to[0]&1 != 0
	n.mu.Lock()
	var ports []func([]byte)
	for m, f := range n.ports {
		if m == to || all && m != from {
			ports = append(ports, f)
		}
	}
	crowd := n.crowd
	n.mu.Unlock()
	for _, f := range ports {
		f(frame)
	}
	if crowd != nil && from[0] != crowdMAC && (all || to[0] == crowdMAC) {
		crowd.receive(frame)
	}
}

// Station is a card on the network, in memory.
type Station struct {
	network *Network
	mac     nic.MAC
	wire    chan []byte
}

var _ nic.NIC = (*Station)(nil)

// ring is how many frames a Station holds that its driver hasn't taken.
const ring = 256

// Station puts a card on the network.
func (n *Network) Station(m nic.MAC) *Station { return &Station{n, m, make(chan []byte, ring)} }

// Driver, MAC, Link, Sums and Stats implement nic.NIC.
func (*Station) Driver() string   { return "crowd" }
func (s *Station) MAC() nic.MAC   { return s.mac }
func (*Station) Link() nic.Link   { return nic.Link{Up: true} }
func (*Station) Sums() bool       { return false }
func (*Station) Stats() nic.Stats { return nic.Stats{} }

// Start implements nic.NIC. The card is on the network from then on.
func (s *Station) Start(to nic.Receiver) error {
	to.LinkChanged(s.Link())
	go func() {
		for f := range s.wire {
			to.Receive(f, false)
		}
	}()
	s.network.attach(s.mac, func(frame []byte) {
		select {
		case s.wire <- append([]byte(nil), frame...):
		default: // as a card does that has no room
		}
	})
	return nil
}

// Send implements nic.NIC.
func (s *Station) Send(f *nic.Frame) bool {
	var b []byte
	for _, p := range f.Parts {
		b = append(b, p...)
	}
	s.network.carry(b)
	return true
}

// Machine puts an emulated machine on the network, whose card m takes frames at a UDP port of 127.0.0.1 and sends them to the
// next. It is on it until the function returned is called.
func (n *Network) Machine(m nic.MAC, port int) (remove func(), err error) {
	local := net.IPv4(127, 0, 0, 1)
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: local, Port: port + 1})
	if err != nil {
		return nil, err
	}
	there := &net.UDPAddr{IP: local, Port: port}
	n.attach(m, func(frame []byte) { socket.WriteToUDP(frame, there) })
	go func() {
		b := make([]byte, 64<<10)
		for {
			size, _, err := socket.ReadFromUDP(b)
			if errors.Is(err, net.ErrClosed) {
				return
			} else if err != nil {
				continue // the machine isn't there yet
			}
			n.carry(b[:size])
		}
	}()
	return func() { socket.Close() }, nil
}
