package crowd

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"keel/drivers/nic"
)

// Crowd is many hosts, which answer ARP and otherwise do what they are told. Their Ethernet addresses follow from their own.
type Crowd struct {
	network *Network
	first   netip.Addr
	hosts   int
	target  netip.Addr

	mu      sync.Mutex
	mac     nic.MAC // the target's; zero before it has answered
	probes  int     // ARP's answers of the target
	waiting map[flow]time.Time
	taken   func(f flow, theirs uint32) // what is done with a connection that the machine has taken, by the sequence number it gave
	counts  Counts
	pulse   chan struct{} // something has come
}

// Counts is what came back.
type Counts struct {
	Opened, Reset int // connections that the machine has taken, and that it has ended
	Pings, Pongs  int
	Datagrams     int // of UDP
}

// flow is a connection of one of the crowd, from a port of its own to one of the machine's.
type flow struct {
	host     int
	port, to uint16
}

// crowdMAC begins the crowd's Ethernet addresses: one that is given out locally.
const crowdMAC = 0xC2

// Crowd puts so many hosts on the network, with the addresses of IPv4 from first on, against one.
func (n *Network) Crowd(first netip.Addr, hosts int, target netip.Addr) *Crowd {
	c := &Crowd{network: n, first: first, hosts: hosts, target: target, waiting: map[flow]time.Time{}, pulse: make(chan struct{}, 1)}
	n.mu.Lock()
	n.crowd = c
	n.mu.Unlock()
	return c
}

// address is that of a host.
func (c *Crowd) address(host int) netip.Addr {
	a := c.first.As4()
	v := (uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])) + uint32(host)
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// hostOf finds the host with an address, -1 for none.
func (c *Crowd) hostOf(a netip.Addr) int {
	first, b := c.first.As4(), a.As4()
	n := 0
	for i := range b {
		n = n<<8 + int(b[i]) - int(first[i])
	}
	if n < 0 || n >= c.hosts {
		return -1
	}
	return n
}

func macOf(a netip.Addr) nic.MAC {
	b := a.As4()
	return nic.MAC{crowdMAC, 0, b[0], b[1], b[2], b[3]}
}

// Counts returns what came back so far.
func (c *Crowd) Counts() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts
}

// wait waits until something has come, for a time at most.
func (c *Crowd) wait(ctx context.Context, most time.Duration) {
	select {
	case <-c.pulse:
	case <-ctx.Done():
	case <-time.After(most):
	}
}

func (c *Crowd) targetMAC() nic.MAC {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mac
}

// find asks for the target's Ethernet address until it answers.
func (c *Crowd) find(ctx context.Context) bool {
	for ctx.Err() == nil {
		if c.targetMAC() != (nic.MAC{}) {
			return true
		}
		c.probe(0)
		c.wait(ctx, 100*time.Millisecond)
	}
	return false
}

// caughtUp waits until the target has taken all that was sent to it: it answers ARP in turn. The question is repeated now and
// then, since a frame may be lost; an emulated machine is slow, and seldom loses any.
func (c *Crowd) caughtUp(ctx context.Context, host int) {
	answers := func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.probes
	}
	before := answers()
	for asked := (time.Time{}); ctx.Err() == nil && answers() == before; c.wait(ctx, 10*time.Millisecond) {
		if time.Since(asked) > 3*time.Second {
			asked = time.Now()
			c.probe(host)
		}
	}
}

// At once on their way to the machine: fewer than any card or socket holds.
const (
	window = 48
	burst  = 32
)

// HalfOpen begins n connections to a port that none of the crowd goes on with: a third of them isn't even acknowledged, a third
// says nothing, and a third half of a greeting. It returns when the machine has answered each once, or the context ends.
func (c *Crowd) HalfOpen(ctx context.Context, port uint16, n int) {
	c.connect(ctx, n, func(i int) flow { return flow{i % c.hosts, uint16(1024 + i/c.hosts), port} }, c.leaveHalfOpen)
}

// Scan asks all of the machine's ports, and returns those of TCP that take a connection, and how many datagrams UDP's have
// answered with.
func (c *Crowd) Scan(ctx context.Context) (open []uint16, datagrams int) {
	const last = 1<<16 - 1
	c.connect(ctx, last, func(i int) flow { return flow{i % c.hosts, 1024, uint16(i + 1)} }, func(f flow, theirs uint32) {
		c.mu.Lock()
		open = append(open, f.to)
		c.mu.Unlock()
		c.sendTCP(f, firstSequence+1, 0, header.TCPFlagRst, nil)
	})
	for port := 1; port <= last && ctx.Err() == nil; port++ {
		c.sendUDP(flow{port % c.hosts, 1024, uint16(port)})
		if port%burst == 0 || port == last {
			c.caughtUp(ctx, port%c.hosts)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return open, c.counts.Datagrams
}

// connect begins n connections and waits until the machine has said yes or no to each.
func (c *Crowd) connect(ctx context.Context, n int, which func(i int) flow, taken func(flow, uint32)) {
	if !c.find(ctx) {
		return
	}
	c.mu.Lock()
	c.taken = taken
	c.mu.Unlock()
	for i := 0; ctx.Err() == nil; {
		c.mu.Lock()
		var send []flow
		for f, sent := range c.waiting {
			if time.Since(sent) > time.Second { // it was lost
				send = append(send, f)
			}
		}
		for ; len(c.waiting) < window && i < n; i++ {
			f := which(i)
			c.waiting[f] = time.Time{}
			send = append(send, f)
		}
		for _, f := range send {
			c.waiting[f] = time.Now()
		}
		over := len(c.waiting) == 0
		c.mu.Unlock()
		if over {
			return
		}
		for _, f := range send {
			c.sendTCP(f, firstSequence, 0, header.TCPFlagSyn, nil)
		}
		c.wait(ctx, 20*time.Millisecond)
	}
}

// Ping floods the machine with echo requests until the context ends.
func (c *Crowd) Ping(ctx context.Context) {
	if !c.find(ctx) {
		return
	}
	for i := 0; ctx.Err() == nil; i += burst {
		for k := range burst {
			c.sendPing((i+k)%c.hosts, uint16(i+k))
		}
		c.mu.Lock()
		c.counts.Pings += burst
		c.mu.Unlock()
		c.caughtUp(ctx, i%c.hosts)
	}
}

// leaveHalfOpen is what one of the crowd says to an answer of the machine's to its SYN. The connection's numbers decide.
func (c *Crowd) leaveHalfOpen(f flow, theirs uint32) {
	switch (f.host + int(f.port)) % 3 {
	case 0:
	case 1:
		c.sendTCP(f, firstSequence+1, theirs+1, header.TCPFlagAck, nil)
	case 2:
		c.sendTCP(f, firstSequence+1, theirs+1, header.TCPFlagAck|header.TCPFlagPsh, halfHello)
	}
}

// halfHello is the beginning of a ClientHello (RFC 8446, 4.1.2) in its record.
var halfHello = []byte{22, 3, 1, 2, 0, 1, 0, 1, 0xFC}
