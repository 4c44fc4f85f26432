package i8254

import "testing"

// clocked is a counter that is ticked clock by clock, as the data sheet tells it: the reference for the computed one.
// Counts are binary and written whole.
type clocked struct {
	mode, count, next int // next is the written count, 0 for none
	element           int
	gate, out         bool
	armed, load, done bool
	waits             bool // waits: next replaces count at the end of the (half) period
	edges             uint32
}

func (c *clocked) set(out bool) {
	if out && !c.out {
		c.edges++
	}
	c.out = out
}

func (c *clocked) control(mode int) {
	gate, edges, out := c.gate, c.edges, c.out
	*c = clocked{mode: mode, gate: gate, edges: edges, out: out}
	c.set(mode != 0)
}

func (c *clocked) write(n int) {
	c.next = n
	switch c.mode {
	case 0, 4:
		c.load, c.armed = true, true
		if c.mode == 0 {
			c.set(false)
		} else {
			c.set(true)
		}
	case 2, 3:
		if !c.armed || c.load || !c.gate {
			c.load, c.armed = true, true
		} else {
			c.waits = true
		}
	}
}

func (c *clocked) setGate(gate bool) {
	rise := gate && !c.gate
	c.gate = gate
	switch c.mode {
	case 1, 5:
		if rise && c.next != 0 {
			c.load, c.armed = true, true
			c.set(true) // a strobe or a shot that is being restarted; the shot begins with the load
		}
	case 2, 3:
		if !gate {
			c.set(true)
		} else if rise && c.next != 0 {
			c.load, c.armed = true, true
			c.set(true)
		}
	}
}

// begin loads the counting element.
func (c *clocked) begin() {
	c.count, c.load, c.waits, c.done = c.next, false, false, false
	c.element = c.count
	if c.mode == 3 {
		c.element = c.count &^ 1
	}
}

func (c *clocked) tick() {
	if !c.armed {
		return
	}
	if c.load {
		if (c.mode == 2 || c.mode == 3) && !c.gate {
			return
		}
		c.begin()
		if c.mode == 1 {
			c.set(false)
		}
		return
	}
	if !c.gate && c.mode != 1 && c.mode != 5 {
		return
	}
	switch c.mode {
	case 0, 1:
		c.element = (c.element - 1) & 0xFFFF
		if c.element == 0 {
			c.set(true)
		}
	case 4, 5:
		c.element = (c.element - 1) & 0xFFFF
		c.set(c.element != 0 || c.done)
		c.done = c.done || c.element == 0
	case 2:
		c.element--
		if c.element == 1 {
			c.set(false)
		}
		if c.element == 0 {
			c.set(true)
			c.begin()
		}
	case 3:
		c.element -= 2
		end := 0
		if c.out && c.count&1 != 0 {
			end = -2 // odd counts stay high one clock longer
		}
		if c.element == end {
			c.begin()
			c.set(!c.out)
		}
	}
}

// FuzzAgainstClocked programs a counter at random and compares it, after every step, with the one that is clocked.
func FuzzAgainstClocked(f *testing.F) {
	for mode := byte(0); mode < 6; mode++ {
		f.Add([]byte{0, mode, 1, 9, 3, 1, 2, 5, 2, 30, 1, 4, 2, 7, 3, 0, 2, 9, 3, 1, 2, 3, 1, 6, 2, 3, 1, 12, 2, 40})
		f.Add([]byte{3, 1, 0, mode, 1, 5, 2, 2, 1, 8, 2, 1, 1, 3, 2, 60, 3, 0, 2, 4, 3, 1, 2, 4})
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 400 {
			return
		}
		for _, n := range []int{0, 2} { // counter 0 has its edges counted, counter 2 has a gate
			var p PIT
			c := clocked{gate: n == 0}
			clock := uint64(100)
			programmed := false
			for i := 0; i+1 < len(ops); i += 2 {
				arg := int(ops[i+1])
				switch op := ops[i] % 4; {
				case op == 0:
					c.control(arg % 6)
					p.Out(PortControl, uint8(n<<6|1<<4|arg%6<<1), nanos(clock))
					programmed = true
				case op == 1 && programmed:
					// A count below 2 isn't allowed in modes 2 and 3; small counts find more than large ones.
					count := 2 + arg%30
					c.write(count)
					p.Out(PortCounter0+uint16(n), uint8(count), nanos(clock))
				case op == 2:
					for range arg % 64 {
						c.tick()
					}
					clock += uint64(arg % 64)
				case op == 3 && n == 2:
					c.setGate(arg&1 != 0)
					p.Out(PortB, uint8(arg&1), nanos(clock))
				}
				now := nanos(clock)
				if !programmed {
					continue
				}
				if got := p.counters[n].out(p.clock(now)); got != c.out {
					t.Fatalf("counter %d, op %d, mode %d: output %v, want %v", n, i/2, c.mode, got, c.out)
				}
				if c.armed && !c.load {
					if got := p.counters[n].value(p.clock(now)); int(got) != c.element {
						t.Fatalf("counter %d, op %d, mode %d: count %d, want %d", n, i/2, c.mode, got, c.element)
					}
				}
				if n == 0 {
					if got := p.Advance(now); got != c.edges {
						t.Fatalf("op %d, mode %d: %d edges, want %d", i/2, c.mode, got, c.edges)
					}
					c.edges = 0
					if next := p.NextEvent(now); next != Never {
						q := p
						early := q.Advance(next - 1)
						if q = p; q.Advance(next) != early+1 {
							t.Fatalf("op %d, mode %d: NextEvent(%d) = %d isn't an edge", i/2, c.mode, now, next)
						}
						if early != 0 && (c.mode != 2 && c.mode != 3 || next < p.rest || next > p.rest+nanos(2*32)) {
							t.Fatalf("op %d, mode %d: NextEvent(%d) = %d leaves %d edges out", i/2, c.mode, now, next, early)
						}
					}
				}
			}
		}
	})
}

// FuzzPorts accesses the ports at random at any time: nothing panics, and the next event is never in the past.
func FuzzPorts(f *testing.F) {
	f.Add([]byte{0x43, 0x34, 0x40, 0, 0x40, 0, 0x61, 1, 0xC3, 0, 0x43, 0xC2, 0xC0, 0, 0xC0, 0}, uint64(838))
	f.Add([]byte{0x43, 0xB7, 0x42, 0xFF, 0x42, 0xFF, 0x61, 0, 0x61, 1}, uint64(1<<61))
	f.Fuzz(func(t *testing.T, ops []byte, step uint64) {
		var p PIT
		now := uint64(0)
		for i := 0; i+1 < len(ops); i += 2 {
			port := uint16(ops[i] & 0x7F)
			if ops[i]&0x80 != 0 {
				p.In(port, now)
			} else {
				p.Out(port, ops[i+1], now)
			}
			if next := p.NextEvent(now); next < now {
				t.Fatalf("NextEvent(%d) = %d", now, next)
			}
			p.Advance(now)
			now += step // wraps: time that runs backwards must be harmless
		}
	})
}
