package i8259

// What the next write to the data port is.
const (
	stateReset = iota // nothing has been initialised: it is OCW1, and there are no requests
	stateICW2
	stateICW3
	stateICW4
	stateReady // OCW1
)

// Bits of the initialisation and operation command words.
const (
	icw1IC4    = 1 << 0 // ICW4 follows
	icw1Single = 1 << 1 // no ICW3
	icw1       = 1 << 4 // this is ICW1

	icw4AutoEOI     = 1 << 1
	icw4FullyNested = 1 << 4 // special fully nested mode

	ocw3 = 1 << 3
)

// controller is one 8259A.
type controller struct {
	wires   uint8 // levels of the inputs
	edges   uint8 // edges that wait for their acknowledgement
	isr     uint8 // in service
	imr     uint8 // masked
	elcr    uint8 // level-triggered inputs
	base    uint8 // vector of input 0, a multiple of 8
	highest uint8 // the input of highest priority, 0 to 7
	state   uint8

	single, icw4, autoEOI, fullyNested bool

	rotateAutoEOI bool
	specialMask   bool
	readISR       bool
	poll          bool
}

func (c *controller) reset() {
	c.initialise(0)
	c.elcr, c.base, c.state = 0, 0, stateReset
}

// initialise is the effect of ICW1. Its trigger-mode bit is without effect: ELCR has taken its place.
func (c *controller) initialise(v uint8) {
	c.edges, c.isr, c.imr, c.highest = 0, 0, 0, 0
	c.single, c.icw4 = v&icw1Single != 0, v&icw1IC4 != 0
	c.autoEOI, c.fullyNested, c.rotateAutoEOI, c.specialMask, c.readISR, c.poll = false, false, false, false, false, false
	c.state = stateICW2
}

// setLine drives input n (0 to 7).
func (c *controller) setLine(n uint8, level bool) {
	bit := uint8(1) << (n & 7)
	if !level {
		c.wires &^= bit
		return
	}
	if c.wires&bit == 0 {
		c.edges |= bit
	}
	c.wires |= bit
}

// irr is the interrupt request register.
func (c *controller) irr() uint8 { return c.edges&^c.elcr | c.wires&c.elcr }

// request finds the unmasked request of the highest priority that nothing in service outranks.
func (c *controller) request() (n uint8, ok bool) {
	wanted := c.irr() &^ c.imr
	if wanted == 0 || c.state != stateReady {
		return 0, false
	}
	blocking := c.isr
	if c.specialMask {
		blocking &^= c.imr
	}
	for i := uint8(0); i < 8; i++ {
		n = (c.highest + i) & 7
		bit := uint8(1) << n
		// In the special fully nested mode the cascade may interrupt itself: a more important input of the slave.
		if wanted&bit != 0 && (blocking&bit == 0 || c.fullyNested && n == cascade) {
			return n, true
		}
		if blocking&bit != 0 {
			return 0, false
		}
	}
	return 0, false
}

// accept puts input n into service.
func (c *controller) accept(n uint8) {
	bit := uint8(1) << (n & 7)
	c.edges &^= bit
	if !c.autoEOI {
		c.isr |= bit
		return
	}
	if c.rotateAutoEOI {
		c.highest = (n + 1) & 7
	}
}

// inService is the bit of the highest priority in service that a non-specific end of interrupt clears.
func (c *controller) inService() (n uint8, ok bool) {
	isr := c.isr
	if c.specialMask {
		isr &^= c.imr
	}
	for i := uint8(0); i < 8; i++ {
		n = (c.highest + i) & 7
		if isr>>n&1 != 0 {
			return n, true
		}
	}
	return 0, false
}

// command is a write with A0 = 0: ICW1, OCW2 or OCW3.
func (c *controller) command(v uint8) {
	switch {
	case v&icw1 != 0:
		c.initialise(v)
	case v&ocw3 != 0:
		c.poll = v&4 != 0
		if v&2 != 0 {
			c.readISR = v&1 != 0
		}
		if v&0x40 != 0 {
			c.specialMask = v&0x20 != 0
		}
	default:
		c.endOfInterrupt(v>>5, v&7)
	}
}

// endOfInterrupt is OCW2: op is its bits R, SL and EOI, level the input it names.
func (c *controller) endOfInterrupt(op, level uint8) {
	switch op {
	case 0b000, 0b100:
		c.rotateAutoEOI = op == 0b100
	case 0b001, 0b101: // non-specific EOI, with rotation or without
		n, ok := c.inService()
		if !ok {
			return
		}
		c.isr &^= 1 << n
		if op == 0b101 {
			c.highest = (n + 1) & 7
		}
	case 0b011, 0b111: // specific EOI
		c.isr &^= 1 << level
		if op == 0b111 {
			c.highest = (level + 1) & 7
		}
	case 0b110: // set priority
		c.highest = (level + 1) & 7
	}
}

// data is a write with A0 = 1: ICW2 to ICW4 in their turn, else OCW1.
func (c *controller) data(v uint8) {
	switch c.state {
	case stateICW2:
		c.base = v &^ 7
		c.state = stateICW3
		if c.single {
			c.afterICW3()
		}
	case stateICW3:
		c.afterICW3() // how the two are wired is not for software to say
	case stateICW4:
		c.autoEOI, c.fullyNested = v&icw4AutoEOI != 0, v&icw4FullyNested != 0
		c.state = stateReady
	default:
		c.imr = v
	}
}

func (c *controller) afterICW3() {
	c.state = stateReady
	if c.icw4 {
		c.state = stateICW4
	}
}

// read is a read of the data port (IMR) or of the command port (IRR or ISR), or the answer to a poll command: bit 7 says
// whether there was a request, which is now in service, bits 2-0 which.
func (c *controller) read(data bool) uint8 {
	switch {
	case c.poll:
		c.poll = false
		n, ok := c.request()
		if !ok {
			return 0
		}
		c.accept(n)
		return 0x80 | n
	case data:
		return c.imr
	case c.readISR:
		return c.isr
	}
	return c.irr()
}
