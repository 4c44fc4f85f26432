package i8254

// out is the output pin at tick t ("Mode Definitions"). sync must have been called for t.
func (c *counter) out(t uint64) bool {
	e, ok := c.elapsed(t)
	if !ok {
		return c.mode != 0
	}
	n := uint64(c.count)
	switch c.mode {
	case 0, 1:
		return e >= n
	case 2:
		return c.stopped || e%c.period() != c.period()-1
	case 3:
		return c.stopped || e%c.period() < c.highTicks()
	}
	return e != n // the strobe of modes 4 and 5
}

// rises counts the output's rising edges in the ticks after from, up to and including to; no new count takes over and the
// gate doesn't change in between.
func (c *counter) rises(from, to uint64) uint64 {
	if !c.armed || c.stopped || int64(to-c.origin) <= 0 || int64(to-from) <= 0 {
		return 0
	}
	before := uint64(0)
	if int64(from-c.origin) > 0 {
		before = from - c.origin
	}
	return c.risen(to-c.origin) - c.risen(before)
}

// risen counts the rising edges in the ticks 1 to e since origin.
func (c *counter) risen(e uint64) uint64 {
	if c.periodic() {
		return e / c.period()
	}
	if e >= c.firstRise() {
		return 1
	}
	return 0
}

// firstRise is the tick since origin of the first rising edge.
func (c *counter) firstRise() uint64 {
	switch c.mode {
	case 0, 1:
		return uint64(c.count)
	case 2, 3:
		return c.period()
	}
	return uint64(c.count) + 1 // the end of the strobe
}

// nextRise is the tick of the first rising edge after tick t, or Never. sync must have been called for t.
func (c *counter) nextRise(t uint64) uint64 {
	if !c.armed || c.stopped {
		return Never
	}
	e, ok := c.elapsed(t)
	if !ok {
		return c.origin + c.firstRise() // at most one tick ahead: a new count can't be waiting
	}
	if !c.periodic() {
		if e >= c.firstRise() {
			return Never
		}
		return c.origin + c.firstRise()
	}
	next := t - e%c.period() + c.period()
	if c.switching && int64(next-c.switchAt) > 0 {
		// The new count comes first, at the end of mode 3's high half: its low half ends in the next edge.
		return c.afterSwitch() + atLeast2(c.newCount)
	}
	return next
}

// value is the counting element at tick t as the bus shows it: 16 bits, BCD if so programmed.
func (c *counter) value(t uint64) uint16 {
	e, ok := c.elapsed(t)
	if !ok {
		e = 0
	}
	modulus := uint64(1 << 16)
	if c.bcd {
		modulus = 10000
	}
	n := uint64(c.count)
	var v uint64
	switch c.mode {
	case 2:
		v = c.period() - e%c.period()
	case 3:
		into := e % c.period()
		if into >= c.highTicks() {
			into -= c.highTicks()
		}
		v = c.period()&^1 - 2*into
	default: // counts on below zero
		v = n + modulus - e%modulus
	}
	if n == 0 {
		v = 0
	}
	return c.encode(v % modulus)
}

// encode turns a value below 10000 into BCD, if that is the format; else below 65536 into itself.
func (c *counter) encode(v uint64) uint16 {
	if !c.bcd {
		return uint16(v)
	}
	return uint16(v/1000<<12 | v/100%10<<8 | v/10%10<<4 | v%10)
}

// decode is the number of ticks that a written count stands for. Zero is the largest count. Digits above 9 have no defined
// meaning in BCD: they carry.
func (c *counter) decode(raw uint32) uint32 {
	raw &= 0xFFFF
	modulus := uint32(1 << 16)
	if c.bcd {
		modulus = 10000
		raw = (raw>>12*1000 + raw>>8&15*100 + raw>>4&15*10 + raw&15) % modulus
	}
	if raw == 0 {
		return modulus
	}
	return raw
}

// latchCount holds the value for the next read; a second latch before it changes nothing.
func (c *counter) latchCount(t uint64) {
	if !c.latched {
		c.latched, c.latch = true, c.value(t)
	}
}

// latchStatus holds the status byte for the next read ("Read-Back Command").
func (c *counter) latchStatus(t uint64) {
	if c.statused {
		return
	}
	c.statused = true
	c.status = c.access<<4 | c.mode<<1
	if c.bcd {
		c.status |= 1
	}
	if c.out(t) {
		c.status |= 0x80
	}
	if c.null(t) {
		c.status |= 0x40
	}
}

// null is the status bit "null count": the count last written isn't in the counting element yet.
func (c *counter) null(t uint64) bool {
	if c.count == 0 || c.count != c.newCount || c.switching {
		return true
	}
	_, ok := c.elapsed(t)
	return !ok
}

// read returns the next byte: a latched status, a latched count, or the value at tick t.
func (c *counter) read(t uint64) uint8 {
	if c.statused {
		c.statused = false
		return c.status
	}
	v := c.latch
	if !c.latched {
		v = c.value(t)
	}
	switch c.access {
	case accessLow:
		c.latched = false
		return uint8(v)
	case accessHigh:
		c.latched = false
		return uint8(v >> 8)
	}
	c.readHigh = !c.readHigh
	if c.readHigh {
		return uint8(v)
	}
	c.latched = false
	return uint8(v >> 8)
}
