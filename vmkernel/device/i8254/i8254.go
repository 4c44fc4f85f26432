package i8254

// Hz is the counters' clock in ticks a second.
const Hz = 1193182

// Ports of the PIT.
const (
	PortCounter0 = 0x40
	PortCounter1 = 0x41
	PortCounter2 = 0x42
	PortControl  = 0x43 // write only
	PortB        = 0x61 // system control port B: gate and output of counter 2
)

// Never is what NextEvent returns when nothing is going to happen.
const Never = ^uint64(0)

// Bits of port 0x61.
const (
	portBGate2    = 1 << 0
	portBWritable = 0x0F
	portBRefresh  = 1 << 4
	portBOut2     = 1 << 5
)

// refreshTicks is the half period of the DRAM refresh that port 0x61 bit 4 shows: 15 µs.
const refreshTicks = 18

// MinPeriod is the shortest time in ns from a report of Advance to what NextEvent returns after it, of a counter that reloads
// itself. The fastest rate that a guest can program is an edge every second tick, 1.676 µs: less than it takes to leave the
// guest and enter it again, so that it would execute nothing in between.
const MinPeriod = 100_000

// minTicks is the shortest period, in ticks, that isn't below MinPeriod.
const minTicks = MinPeriod*Hz/second + 1

// PIT is the timer of one virtual machine. The zero value is a PIT whose counters have not been programmed yet.
type PIT struct {
	counters [3]counter
	portB    uint8
	last     uint64 // the latest tick that any call has seen
	counted  uint64 // counter 0's edges up to this tick are in edges
	edges    uint32 // rising edges of OUT0 that Advance has not reported, saturating
	rest     uint64 // time (ns) of the last Advance that had any to report, and MinPeriod
}

// Reset returns the PIT to the state after power-on.
func (p *PIT) Reset() {
	for i := 0; i < len(p.counters); i++ {
		p.counters[i].reset()
	}
	p.portB, p.last, p.counted, p.edges, p.rest = 0, 0, 0, 0, 0
}

// clock converts now (ns) to ticks, never backwards, and brings the counters' pending loads and counter 0's edges up to it.
func (p *PIT) clock(now uint64) uint64 {
	t := ticks(now)
	if t < p.last {
		t = p.last
	}
	p.last = t
	c := &p.counters[0]
	if c.switchDue(t) {
		p.addEdges(c.rises(p.counted, c.switchAt))
		p.counted = c.switchAt
		c.sync(t)
	}
	p.addEdges(c.rises(p.counted, t))
	p.counted = t
	p.counters[1].sync(t)
	p.counters[2].sync(t)
	return t
}

func (p *PIT) addEdges(n uint64) {
	if n > uint64(^p.edges) {
		p.edges = ^uint32(0)
		return
	}
	p.edges += uint32(n)
}

// In is a read of one byte from port (one of the Port constants; others read as ones) at now (ns).
func (p *PIT) In(port uint16, now uint64) uint8 {
	t := p.clock(now)
	switch port {
	case PortCounter0, PortCounter1, PortCounter2:
		return p.counters[port-PortCounter0].read(t)
	case PortB:
		v := p.portB
		if t/refreshTicks&1 != 0 {
			v |= portBRefresh
		}
		if p.counters[2].out(t) {
			v |= portBOut2
		}
		return v
	}
	return 0xFF
}

// Out is a write of one byte to port at now (ns). It may change what NextEvent returns.
func (p *PIT) Out(port uint16, v uint8, now uint64) {
	t := p.clock(now)
	before := p.counters[0].out(t)
	switch port {
	case PortCounter0, PortCounter1, PortCounter2:
		p.counters[port-PortCounter0].write(v, t)
	case PortControl:
		p.control(v, t)
	case PortB:
		p.portB = v & portBWritable
		p.counters[2].setGate(v&portBGate2 != 0, t)
	}
	if !before && p.counters[0].out(t) {
		p.addEdges(1) // a control word lifted OUT0
	}
}

// control obeys a control word, a counter latch command or a read-back command ("Programming the 82C54").
func (p *PIT) control(v uint8, t uint64) {
	n := v >> 6
	if n < 3 {
		c := &p.counters[n]
		if v&0x30 == 0 {
			c.latchCount(t)
			return
		}
		c.program(v, n != 2 || p.portB&portBGate2 != 0)
		return
	}
	for i := uint8(0); i < 3; i++ {
		if v&(2<<i) == 0 {
			continue
		}
		if v&0x20 == 0 {
			p.counters[i].latchCount(t)
		}
		if v&0x10 == 0 {
			p.counters[i].latchStatus(t)
		}
	}
}

// Out0 is the level of counter 0's output, wired to IRQ 0, at now (ns).
func (p *PIT) Out0(now uint64) bool { return p.counters[0].out(p.clock(now)) }

// Advance returns how many rising edges OUT0 has had since the last call, up to now (ns). The owner raises IRQ 0 once if
// there was any: ticks that a late owner missed are coalesced, as an edge-triggered 8259 that is busy would do, and a guest
// that needs the time reads a clock. The number is for statistics, and saturates.
func (p *PIT) Advance(now uint64) uint32 {
	p.clock(now)
	n := p.edges
	p.edges = 0
	if n != 0 {
		p.rest = now + MinPeriod
	}
	return n
}

// NextEvent is the time (ns) at which the owner should call Advance next: now if it already has something to report, Never
// if it won't without a write, and otherwise that of the next edge. Of a counter whose period is below MinPeriod it is the
// first edge that is no sooner than MinPeriod after the last report: what comes in between is reported along with it.
func (p *PIT) NextEvent(now uint64) uint64 {
	t := p.clock(now)
	c := &p.counters[0]
	short := c.periodic() && c.period() < minTicks && p.rest > now && p.rest-now <= MinPeriod
	if p.edges != 0 && !short {
		return now
	}
	next := c.nextRise(t)
	if short && next != Never && !c.switching {
		if end := ticks(p.rest) + 1; int64(end-next) > 0 {
			n := c.period()
			next += (end - next + n - 1) / n * n
		}
	}
	return nanos(next)
}
