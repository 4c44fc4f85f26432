package i8259

// Ports of the pair.
const (
	PortMasterCommand = 0x20
	PortMasterData    = 0x21
	PortSlaveCommand  = 0xA0
	PortSlaveData     = 0xA1
	PortMasterELCR    = 0x4D0
	PortSlaveELCR     = 0x4D1
)

const (
	cascade  = 2 // the master's input that the slave's output is wired to
	spurious = 7 // the level that an acknowledgement finds when no request is left
)

// ELCR bits that exist: inputs 0, 1, 2, 8 and 13 are edge-triggered for good.
const (
	masterELCR = 0xF8
	slaveELCR  = 0xDE
)

// Pair is master and slave of one virtual machine. The zero value is a pair that has not been initialised by software.
type Pair struct {
	master, slave controller
}

// Reset returns the pair to the state after power-on. The wires keep their levels.
func (p *Pair) Reset() {
	p.master.reset()
	p.slave.reset()
}

// SetLine drives the wire of irq (0 to 15; 2 is the cascade and is ignored, as are higher numbers) to level.
func (p *Pair) SetLine(irq uint8, level bool) {
	switch {
	case irq >= 16 || irq == cascade:
		return
	case irq < 8:
		p.master.setLine(irq, level)
	default:
		p.slave.setLine(irq-8, level)
		p.connect()
	}
}

// connect drives the cascade wire by the slave's output.
func (p *Pair) connect() {
	_, request := p.slave.request()
	p.master.setLine(cascade, request)
}

// Output is the pair's INTR wire: an interrupt waits to be acknowledged.
func (p *Pair) Output() bool {
	_, request := p.master.request()
	return request
}

// Ack is the processor's interrupt acknowledge cycle: the vector of the most important request, which goes into service.
// Without one, it is the spurious interrupt 7 of the controller that was asked.
func (p *Pair) Ack() uint8 {
	n, ok := p.master.request()
	if !ok {
		return p.master.base | spurious
	}
	p.master.accept(n)
	if n != cascade {
		return p.master.base | n
	}
	m, ok := p.slave.request()
	if !ok {
		m = spurious
	} else {
		p.slave.accept(m)
	}
	vector := p.slave.base | m
	p.pulse()
	return vector
}

// pulse lets the slave's output fall and, if it requests again, rise, as it does in an acknowledge cycle.
func (p *Pair) pulse() {
	p.master.setLine(cascade, false)
	p.connect()
}

// In is a read of one byte from port (one of the Port constants; others read as ones). Under a poll command it acknowledges.
func (p *Pair) In(port uint16) uint8 {
	switch port {
	case PortMasterCommand, PortMasterData:
		return p.master.read(port == PortMasterData)
	case PortSlaveCommand, PortSlaveData:
		polled := p.slave.poll
		v := p.slave.read(port == PortSlaveData)
		if polled {
			p.pulse()
		}
		return v
	case PortMasterELCR:
		return p.master.elcr
	case PortSlaveELCR:
		return p.slave.elcr
	}
	return 0xFF
}

// Out is a write of one byte to port. It may change Output.
func (p *Pair) Out(port uint16, v uint8) {
	switch port {
	case PortMasterCommand:
		p.master.command(v)
	case PortMasterData:
		p.master.data(v)
	case PortSlaveCommand:
		p.slave.command(v)
	case PortSlaveData:
		p.slave.data(v)
	case PortMasterELCR:
		p.master.elcr = v & masterELCR
	case PortSlaveELCR:
		p.slave.elcr = v & slaveELCR
	default:
		return
	}
	p.connect()
}
