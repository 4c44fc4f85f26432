package net

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/ethernet"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"keel/drivers/nic"
	"keel/vmkernel/net/dhcp"
)

// card is the one interface that the stack has.
const card tcpip.NICID = 1

// Config is how the host is in its network.
type Config struct {
	Name string // of the host
	// Addresses are the host's own. Without one of IPv4, DHCP gives it.
	Addresses []netip.Prefix
	Routers   []netip.Addr // of each kind one, for given addresses
	DNS, NTP  []netip.Addr // come before those that DHCP gives
}

// State is how the host is reached.
type State struct {
	Link      nic.Link
	Addresses []netip.Prefix // IPv4's first, without those that only the link knows
	Routers   []netip.Addr
	DNS, NTP  []netip.Addr
	DHCP      netip.Addr // the server that gave the address, or none
}

// Stack is TCP/IP on a card.
type Stack struct {
	config Config
	link   *link
	stack  *stack.Stack
	events Events

	calls  chan func() // run one after the other, where the stack may be called
	cancel context.CancelFunc

	mu     sync.Mutex
	state  State
	lease  *dhcp.Lease
	prefix map[netip.Prefix]bool // IPv6 networks at hand
	router map[netip.Addr]bool   // IPv6 routers
}

// Events are told, one at a time, and must not block for long. Any may be nil.
type Events struct {
	Changed func(State) // addresses or link
	Warning func(error) // for the log
}

// Memory that a connection may take in each direction, bytes.
const (
	minBuffer     = 4 << 10
	defaultBuffer = 64 << 10
	maxBuffer     = 512 << 10
)

// New starts the card and its addresses. It doesn't wait for them.
func New(c nic.NIC, config Config, events Events) (*Stack, error) {
	s := &Stack{config: config, link: newLink(c), events: events, calls: make(chan func(), 64),
		prefix: map[netip.Prefix]bool{}, router: map[netip.Addr]bool{}}
	s.stack = stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{
			arp.NewProtocol, ipv4.NewProtocol,
			ipv6.NewProtocolWithOptions(ipv6.Options{
				AutoGenLinkLocal: true,
				NDPConfigs:       ndpConfig(),
				NDPDisp:          advertised{s},
				DADConfigs:       stack.DADConfigurations{DupAddrDetectTransmits: 1, RetransmitTimer: time.Second},
			}),
		},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
	})
	if err := s.options(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.link.changed = func(l nic.Link) { s.call(func() { s.linkChanged(l) }) }
	s.link.trouble = func(err error) { s.call(func() { s.warn(err) }) }
	var client *dhcp.Client
	if !slices.ContainsFunc(config.Addresses, func(p netip.Prefix) bool { return p.Addr().Is4() }) {
		client = s.newClient()
		s.link.dhcp = client
	}
	go s.run(ctx)
	// First: what the stack sends at once goes out, then.
	if err := c.Start(s.link); err != nil {
		cancel()
		return nil, err
	}
	if e := s.stack.CreateNIC(card, ethernet.New(s.link)); e != nil {
		cancel()
		return nil, fmt.Errorf("net: %v", e)
	}
	for _, p := range config.Addresses {
		if err := s.addAddress(p); err != nil {
			cancel()
			return nil, err
		}
	}
	s.change(func() { s.state.Addresses = append(s.state.Addresses, config.Addresses...) })
	if client != nil {
		go client.Run(ctx)
	}
	return s, nil
}

func (s *Stack) options() error {
	sack := tcpip.TCPSACKEnabled(true)
	cubic := tcpip.CongestionControlOption("cubic")
	for _, o := range []tcpip.SettableTransportProtocolOption{
		&sack, &cubic,
		&tcpip.TCPSendBufferSizeRangeOption{Min: minBuffer, Default: defaultBuffer, Max: maxBuffer},
		&tcpip.TCPReceiveBufferSizeRangeOption{Min: minBuffer, Default: defaultBuffer, Max: maxBuffer},
	} {
		if e := s.stack.SetTransportProtocolOption(tcp.ProtocolNumber, o); e != nil {
			return fmt.Errorf("net: TCP's option %T: %v", o, e)
		}
	}
	return nil
}

// call has f run where the stack may be called, soon.
func (s *Stack) call(f func()) {
	select {
	case s.calls <- f:
	default:
		go func() { s.calls <- f }()
	}
}

func (s *Stack) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-s.calls:
			f()
		}
	}
}

// Close ends what the stack does; the card is left alone.
func (s *Stack) Close() {
	s.cancel()
	s.stack.Close()
}

// NIC is the card.
func (s *Stack) NIC() nic.NIC { return s.link.card }

// State is how the host is reached now.
func (s *Stack) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshot()
}

// snapshot copies the state. The lock is held.
func (s *Stack) snapshot() State {
	st := s.state
	st.Addresses = slices.Clone(st.Addresses)
	slices.SortFunc(st.Addresses, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	st.Routers = s.routers()
	st.DNS = slices.Clone(s.config.DNS)
	st.NTP = slices.Clone(s.config.NTP)
	if s.lease != nil {
		st.DNS = append(st.DNS, s.lease.DNS...)
		st.NTP = append(st.NTP, s.lease.NTP...)
		st.DHCP = s.lease.Server
	}
	return st
}

// change changes the state and tells.
func (s *Stack) change(f func()) {
	s.mu.Lock()
	f()
	s.route()
	st := s.snapshot()
	s.mu.Unlock()
	if s.events.Changed != nil {
		s.events.Changed(st)
	}
}

func (s *Stack) warn(err error) {
	if s.events.Warning != nil {
		s.events.Warning(err)
	}
}

func (s *Stack) linkChanged(l nic.Link) {
	if l.Up && s.link.dhcp != nil {
		s.link.dhcp.LinkUp()
	}
	s.change(func() { s.state.Link = l })
}

// Listen listens on a TCP port of all addresses.
func (s *Stack) Listen(port uint16) (net.Listener, error) {
	return gonet.ListenTCP(s.stack, tcpip.FullAddress{Port: port}, ipv6.ProtocolNumber)
}

// Dial connects over "tcp" or "udp" to an address and port that are numbers.
func (s *Stack) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("net: dial %s: %w", address, err)
	}
	full := tcpip.FullAddress{NIC: card, Addr: addressOf(to.Addr()), Port: to.Port()}
	protocol := protocolOf(to.Addr())
	switch network {
	case "tcp", "tcp4", "tcp6":
		return gonet.DialContextTCP(ctx, s.stack, full, protocol)
	case "udp", "udp4", "udp6":
		return gonet.DialUDP(s.stack, nil, &full, protocol)
	}
	return nil, fmt.Errorf("net: dial %s: %w", address, net.UnknownNetworkError(network))
}

func addressOf(a netip.Addr) tcpip.Address { return tcpip.AddrFromSlice(a.Unmap().AsSlice()) }

func addrOf(a tcpip.Address) netip.Addr {
	v, _ := netip.AddrFromSlice(a.AsSlice())
	return v
}

func protocolOf(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Unmap().Is4() {
		return header.IPv4ProtocolNumber
	}
	return header.IPv6ProtocolNumber
}
