package net

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
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

// Stack is TCP/IP on a card, one at a time.
type Stack struct {
	link   *link
	stack  *stack.Stack
	events Events

	calls  chan func() // run one after the other, where the stack may be called
	ctx    context.Context
	cancel context.CancelFunc

	// Only what calls runs touches these.
	client     *dhcp.Client
	stopClient context.CancelFunc
	check      check

	trials trials

	mu     sync.Mutex
	config Config
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
	if err := config.Check(); err != nil {
		return nil, err
	}
	s := &Stack{link: newLink(c), events: events, calls: make(chan func(), 64)}
	s.stack = stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{
			arp.NewProtocolWithOptions(arp.Options{DADConfigs: arpProbes}), ipv4.NewProtocol,
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
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.link.changed = func(l nic.Link) { s.call(func() { s.linkChanged(l) }) }
	s.link.trouble = func(err error) { s.call(func() { s.warn(err) }) }
	s.link.vlan.Store(uint32(config.VLAN)) // before the first frame
	go s.run(s.ctx)
	// First: what the stack sends at once goes out, then.
	err := c.Start(s.link.port.Load())
	if err == nil {
		err = s.wait(func() error { return s.apply(config) })
	}
	if err != nil {
		s.cancel()
		return nil, err
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

// wait has f run there, and waits for it.
func (s *Stack) wait(f func() error) error {
	done := make(chan error, 1)
	s.call(func() {
		err := errors.New("net: a fault of Keel's: the host's log says more")
		defer func() { done <- err }() // whatever happens: somebody waits
		err = f()
	})
	select {
	case err := <-done:
		return err
	case <-s.ctx.Done():
		return net.ErrClosed
	}
}

func (s *Stack) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-s.calls:
			s.guarded("the network", f)
		}
	}
}

// guarded runs a part of the network. A fault there, in what strangers send, is told of: it takes no VM with it.
func (s *Stack) guarded(what string, part func()) {
	defer func() {
		if e := recover(); e != nil {
			s.link.trouble(fault(what, e))
		}
	}()
	part()
}

// fault is what was recovered, with the stack that it was recovered on.
func fault(what string, e any) error {
	return fmt.Errorf("a fault of Keel's in %s: %v\n%s", what, e, debug.Stack())
}

// Close ends what the stack does; the card is left alone.
func (s *Stack) Close() {
	s.cancel()
	s.stack.Close()
}

// NIC is the card that the host is reached by.
func (s *Stack) NIC() nic.NIC { return s.link.card() }

func (s *Stack) warn(err error) {
	if s.events.Warning != nil {
		s.events.Warning(err)
	}
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
