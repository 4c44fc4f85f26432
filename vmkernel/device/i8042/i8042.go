package i8042

import (
	"sync"

	"keel/vmkernel/device"
)

// The controller's two ports, one device.PortDevice each.
const (
	DataPort    = 0x60
	CommandPort = 0x64 // status when read
)

// Status register.
const (
	stsOutput  = 1 << 0 // output buffer full: a byte for the guest
	stsSystem  = 1 << 2 // self test passed
	stsCommand = 1 << 3 // the last write was to the command port
	stsUnlock  = 1 << 4 // the keyboard is not locked
	stsAux     = 1 << 5 // the byte is the mouse's
	stsTimeout = 1 << 6 // the device didn't answer
)

// Command byte (RAM byte 0).
const (
	ctrKeyboardIRQ = 1 << 0
	ctrSystem      = 1 << 2
	ctrKeyboardOff = 1 << 4
	ctrAuxOff      = 1 << 5
	ctrTranslate   = 1 << 6
)

// Output port.
const (
	outNoReset = 1 << 0 // 0 resets the machine
	outA20     = 1 << 1
	outIdle    = 0xcd &^ outNoReset // clock and data lines high
)

// Commands.
const (
	cmdReadRAM     = 0x20 // to 3FH
	cmdWriteRAM    = 0x60 // to 7FH
	cmdTestPass    = 0xa4
	cmdAuxOff      = 0xa7
	cmdAuxOn       = 0xa8
	cmdAuxTest     = 0xa9
	cmdSelfTest    = 0xaa
	cmdTest        = 0xab
	cmdKeyboardOff = 0xad
	cmdKeyboardOn  = 0xae
	cmdReadInput   = 0xc0
	cmdReadOutput  = 0xd0
	cmdWriteOutput = 0xd1
	cmdLoop        = 0xd2
	cmdAuxLoop     = 0xd3
	cmdWriteAux    = 0xd4
	cmdReadTest    = 0xe0
	cmdPulse       = 0xf0 // to FFH
)

// Answers.
const (
	ansSelfTestOK = 0x55
	ansTestOK     = 0x00
	ansAuxStuck   = 0x01 // interface test: clock line stuck low
	ansNoPassword = 0xf1
	ansResend     = 0xfe // what a time-out leaves in the buffer
	ansInputPort  = 0xa0 // not locked, no manufacturing jumper
)

// how is the mechanism's name in the VM's stop reason.
const how = "keyboard controller"

// A Controller is the keyboard controller.
type Controller struct {
	machine device.Machine
	data    dataPort
	command commandPort

	mu      sync.Mutex
	irq     device.Line
	ram     [32]uint8 // byte 0 is the command byte
	status  uint8
	output  uint8 // output buffer, valid with stsOutput
	outPort uint8
	expects uint8 // the command whose data byte comes next; 0 for none
	level   bool
}

type dataPort struct{ c *Controller }
type commandPort struct{ c *Controller }

// New returns a controller after reset. irq is the keyboard's interrupt
// (IRQ 1); a nil one is not connected.
func New(m device.Machine, irq device.Line) *Controller {
	if irq == nil {
		irq = device.Unconnected{}
	}
	c := &Controller{machine: m, irq: irq}
	c.status = stsSystem | stsUnlock
	c.outPort = outIdle | outNoReset | outA20
	c.ram[0] = ctrSystem | ctrTranslate | ctrKeyboardOff | ctrAuxOff
	c.data.c, c.command.c = c, c
	return c
}

// Data returns the device of port 60H, Command that of port 64H; 1 port each.
func (c *Controller) Data() device.PortDevice    { return &c.data }
func (c *Controller) Command() device.PortDevice { return &c.command }

// In takes the byte from the output buffer; without one it reads the last.
func (p *dataPort) In(uint16, int) uint32 {
	c := p.c
	c.mu.Lock()
	v := c.output
	c.status &^= stsOutput | stsAux | stsTimeout
	c.update()
	c.mu.Unlock()
	return uint32(v)
}

// Out takes the data byte of a command, or a byte for the keyboard.
func (p *dataPort) Out(_ uint16, _ int, v uint32) {
	c := p.c
	c.mu.Lock()
	c.status &^= stsCommand
	reset := c.parameter(uint8(v))
	c.mu.Unlock()
	if reset {
		c.machine.Reset(how)
	}
}

// In reads the status register.
func (p *commandPort) In(uint16, int) uint32 {
	c := p.c
	c.mu.Lock()
	v := c.status
	c.mu.Unlock()
	return uint32(v)
}

// Out takes a command. Commands that this controller doesn't know do nothing.
func (p *commandPort) Out(_ uint16, _ int, v uint32) {
	c := p.c
	c.mu.Lock()
	c.status |= stsCommand
	reset := c.execute(uint8(v))
	c.mu.Unlock()
	if reset {
		c.machine.Reset(how)
	}
}

// execute carries out a command and reports whether it resets the machine.
func (c *Controller) execute(cmd uint8) (reset bool) {
	c.expects = 0
	switch {
	case cmd >= cmdReadRAM && cmd < cmdReadRAM+32:
		c.answer(c.ram[cmd&31], 0)
		return false
	case cmd >= cmdWriteRAM && cmd < cmdWriteRAM+32:
		c.expects = cmd
		return false
	case cmd >= cmdPulse:
		return cmd&outNoReset == 0 // lines whose bit is 0 are pulsed low
	}
	switch cmd {
	case cmdTestPass:
		c.answer(ansNoPassword, 0)
	case cmdAuxOff:
		c.ram[0] |= ctrAuxOff
	case cmdAuxOn:
		c.ram[0] &^= ctrAuxOff
	case cmdAuxTest:
		c.answer(ansAuxStuck, 0)
	case cmdSelfTest:
		c.ram[0] |= ctrSystem | ctrKeyboardOff | ctrAuxOff
		c.ram[0] &^= ctrKeyboardIRQ
		c.answer(ansSelfTestOK, 0)
	case cmdTest:
		c.answer(ansTestOK, 0)
	case cmdKeyboardOff:
		c.ram[0] |= ctrKeyboardOff
	case cmdKeyboardOn:
		c.ram[0] &^= ctrKeyboardOff
	case cmdReadInput:
		c.answer(ansInputPort, 0)
	case cmdReadOutput:
		c.answer(c.outPort, 0)
	case cmdReadTest:
		c.answer(0, 0)
	case cmdWriteOutput, cmdLoop, cmdAuxLoop, cmdWriteAux:
		c.expects = cmd
	}
	return false
}

// parameter takes a byte from the data port and reports whether it resets the
// machine.
func (c *Controller) parameter(v uint8) (reset bool) {
	cmd := c.expects
	c.expects = 0
	switch {
	case cmd >= cmdWriteRAM && cmd < cmdWriteRAM+32:
		c.ram[cmd&31] = v
		c.update()
	case cmd == cmdWriteOutput:
		c.outPort = v | outNoReset
		return v&outNoReset == 0
	case cmd == cmdLoop:
		c.answer(v, 0)
	case cmd == cmdAuxLoop:
		// There is no mouse port to loop through. Silence would make Linux
		// wait half a second; the wrong source makes it give up at once.
		c.answer(ansResend, 0)
	case cmd == cmdWriteAux:
		c.answer(ansResend, stsAux|stsTimeout)
	default:
		c.ram[0] &^= ctrKeyboardOff // a byte for the keyboard enables it
		c.answer(ansResend, stsTimeout)
	}
	return false
}

// answer puts a byte into the output buffer; flags are stsAux and stsTimeout.
func (c *Controller) answer(v, flags uint8) {
	c.output = v
	c.status = c.status&^(stsAux|stsTimeout) | stsOutput | flags
	c.update()
}

// update sets the keyboard's interrupt to whether it has a byte. A byte of
// the mouse has no interrupt: there is no mouse.
func (c *Controller) update() {
	level := c.status&(stsOutput|stsAux) == stsOutput && c.ram[0]&ctrKeyboardIRQ != 0
	if level != c.level {
		c.level = level
		c.irq.Set(level)
	}
}
