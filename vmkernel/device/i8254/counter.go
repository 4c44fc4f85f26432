package i8254

// Counter access, bits 5-4 of the control word. 0 is a counter that has not been programmed and works like accessBoth.
const (
	accessLow  = 1
	accessHigh = 2
)

// counter is one of the three counters. Elapsed time is counted in ticks since origin, when the counting element took its
// count. origin may lie one tick ahead (a count is loaded by the next clock) or, after a change of the rate, before tick 0:
// it is only used by difference, modulo 2^64.
type counter struct {
	origin   uint64
	switchAt uint64 // tick at which newCount replaces count, while switching
	frozen   uint64 // elapsed ticks at which counting stopped, while stopped
	count    uint32 // the count in use: 1 to 65536, or 1 to 10000 in BCD; 0 before the first
	newCount uint32 // the count last written; 0 before the first

	mode   uint8 // 0 to 5
	access uint8
	bcd    bool

	armed     bool // the count is loaded or will be by the next clock; else the output rests
	stopped   bool // the gate, or half a count, holds the counter
	switching bool // newCount waits for the end of the period (modes 2 and 3)
	gate      bool

	highNext bool // the next write is the high byte
	low      uint8
	readHigh bool // the next read is the high byte
	latched  bool
	latch    uint16
	statused bool
	status   uint8
}

func (c *counter) reset() {
	c.origin, c.switchAt, c.frozen = 0, 0, 0
	c.program(0, false)
	c.low, c.latch, c.status = 0, 0, 0
}

// program obeys a control word: the control logic is reset and the output goes to its initial state at once.
func (c *counter) program(v uint8, gate bool) {
	c.mode = v >> 1 & 7
	if c.mode > 5 {
		c.mode -= 4 // bit 2 is "don't care" for modes 2 and 3
	}
	c.access = v >> 4 & 3
	c.bcd = v&1 != 0
	c.armed, c.stopped, c.switching = false, false, false
	c.gate = gate
	c.count, c.newCount = 0, 0
	c.highNext, c.readHigh, c.latched, c.statused = false, false, false, false
}

// periodic says whether the mode reloads itself.
func (c *counter) periodic() bool { return c.mode == 2 || c.mode == 3 }

// triggered says whether the mode starts by the gate's rising edge and ignores its level.
func (c *counter) triggered() bool { return c.mode == 1 || c.mode == 5 }

// elapsed is the number of ticks since the count was loaded at tick t; ok is false while there is none.
func (c *counter) elapsed(t uint64) (e uint64, ok bool) {
	if !c.armed {
		return 0, false
	}
	if c.stopped {
		return c.frozen, true
	}
	e = t - c.origin
	return e, int64(e) >= 0
}

// write takes one byte of a count at tick t.
func (c *counter) write(v uint8, t uint64) {
	switch c.access {
	case accessLow:
		c.load(uint32(v), t)
		return
	case accessHigh:
		c.load(uint32(v)<<8, t)
		return
	}
	if !c.highNext {
		c.low, c.highNext = v, true
		if c.mode == 0 { // the first byte stops the count and lowers the output
			c.armed = false
		}
		return
	}
	c.highNext = false
	c.load(uint32(v)<<8|uint32(c.low), t)
}

// load takes a whole count, raw as written, at tick t.
func (c *counter) load(raw uint32, t uint64) {
	c.newCount = c.decode(raw)
	e, ok := c.elapsed(t)
	switch {
	case c.armed && !ok: // the clock that loads the count is still to come
		c.count = c.newCount
		return
	case c.triggered(): // used at the next trigger
		return
	case c.periodic() && c.armed && !c.stopped:
		c.switching, c.switchAt = true, c.origin+c.boundary(e)
		return
	}
	c.start(t)
}

// start loads the written count by the clock after tick t.
func (c *counter) start(t uint64) {
	c.count, c.origin = c.newCount, t+1
	c.armed, c.switching = true, false
	c.stopped, c.frozen = !c.gate && !c.triggered(), 0
}

// setGate drives the gate input at tick t (table "Gate Pin Operations Summary").
func (c *counter) setGate(gate bool, t uint64) {
	if gate == c.gate {
		return
	}
	c.gate = gate
	if c.triggered() || c.periodic() {
		if gate && c.newCount != 0 {
			c.start(t)
		} else if !gate && c.periodic() {
			c.stop(t)
		}
		return
	}
	if !gate {
		c.stop(t)
	} else if c.stopped {
		c.stopped = false
		if int64(t-c.origin) >= 0 { // else the clock that loads the count is still to come
			c.origin = t - c.frozen
		}
	}
}

// stop freezes the counting element at tick t. A new count that waited is left to the reload when the gate rises.
func (c *counter) stop(t uint64) {
	if !c.armed || c.stopped {
		return
	}
	e, ok := c.elapsed(t)
	if !ok {
		e = 0
	}
	c.stopped, c.frozen, c.switching = true, e, false
}

// boundary is the end, in ticks since origin, of the period (mode 2) or half period (mode 3) that e is in.
func (c *counter) boundary(e uint64) uint64 {
	n := c.period()
	into := e % n
	if high := c.highTicks(); c.mode == 3 && into < high {
		return e - into + high
	}
	return e - into + n
}

// switchDue says whether the new count has taken over by tick t.
func (c *counter) switchDue(t uint64) bool { return c.switching && int64(t-c.switchAt) >= 0 }

// sync lets a new count take over that is due at tick t.
func (c *counter) sync(t uint64) {
	if !c.switchDue(t) {
		return
	}
	c.origin = c.afterSwitch()
	c.count, c.switching = c.newCount, false
}

// afterSwitch is the origin once newCount has taken over. In mode 3 the new count may begin with its low half.
func (c *counter) afterSwitch() uint64 {
	if c.mode == 3 && (c.switchAt-c.origin)%c.period() != 0 {
		return c.switchAt - half(atLeast2(c.newCount))
	}
	return c.switchAt
}

// period is the length in ticks of a period in modes 2 and 3. A count of 1, which the data sheet forbids, works like 2.
func (c *counter) period() uint64 { return atLeast2(c.count) }

// highTicks is the length of the high half of mode 3.
func (c *counter) highTicks() uint64 { return half(c.period()) }

func atLeast2(n uint32) uint64 { return uint64(max(n, 2)) }

func half(n uint64) uint64 { return (n + 1) / 2 }
