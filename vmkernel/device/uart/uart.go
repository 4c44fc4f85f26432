package uart

import (
	"sync"
	"sync/atomic"

	"keel/vmkernel/device"
)

// Ports is how many I/O ports a UART takes.
const Ports = 8

// Register offsets (section 8.0, table II).
const (
	regData = 0 // RBR read, THR write; DLL with DLAB
	regIER  = 1 // interrupt enable; DLM with DLAB
	regIIR  = 2 // IIR read, FCR write
	regLCR  = 3 // line control
	regMCR  = 4 // modem control
	regLSR  = 5 // line status
	regMSR  = 6 // modem status
	regSCR  = 7 // scratch
)

// Interrupt enable (section 8.7).
const (
	ierRDA  = 1 << 0 // received data available
	ierTHRE = 1 << 1 // transmitter holding register empty
	ierRLS  = 1 << 2 // receiver line status
	ierMSI  = 1 << 3 // modem status
	ierMask = 0x0f
)

// Interrupt identification (section 8.6, table IV), highest priority first.
const (
	iirRLS  = 0x06
	iirRDA  = 0x04
	iirCTI  = 0x0c // character timeout: data below the trigger level
	iirTHRE = 0x02
	iirMSI  = 0x00
	iirNone = 0x01
	iirFIFO = 0xc0 // FIFOs enabled: what makes it a 16550A
)

// FIFO control (section 8.5).
const (
	fcrEnable  = 1 << 0
	fcrClearRx = 1 << 1
)

const lcrDLAB = 1 << 7

// Modem control (section 8.8).
const (
	mcrDTR  = 1 << 0
	mcrRTS  = 1 << 1
	mcrOUT1 = 1 << 2
	mcrOUT2 = 1 << 3
	mcrLoop = 1 << 4
	mcrMask = 0x1f
)

// Line status (section 8.4).
const (
	lsrDR   = 1 << 0 // data ready
	lsrOE   = 1 << 1 // overrun
	lsrTHRE = 1 << 5
	lsrTEMT = 1 << 6
)

// Modem status (section 8.9): lines in the high half, their changes since the
// last read in the low half.
const (
	msrDCTS = 1 << 0
	msrDDSR = 1 << 1
	msrTERI = 1 << 2 // trailing edge of RI only
	msrDDCD = 1 << 3
	msrCTS  = 1 << 4
	msrDSR  = 1 << 5
	msrRI   = 1 << 6
	msrDCD  = 1 << 7
)

// present is how the modem lines stand outside loopback: something is
// connected and ready.
const present = msrCTS | msrDSR | msrDCD

const fifoSize = 16

// triggers is the receive trigger level by FCR bits 7:6 (section 8.5).
var triggers = [4]uint8{1, 4, 8, 14}

// A UART is a device.PortDevice of 8 ports.
type UART struct {
	mu   sync.Mutex
	send func(byte)
	recv func(p []byte) int
	irq  device.Line

	ier, fcr, lcr, mcr, scr uint8
	msr                     uint8
	dll, dlm                uint8
	overrun                 bool
	thre                    bool // THRE interrupt is pending
	level                   bool // what irq was set to last
	more                    bool // recv may have more
	handshake               bool // the driver has asserted RTS once, so that it means something

	// status is LSR while reading it changes nothing, else 0: guests poll it, and needn't wait for mu.
	status atomic.Uint32

	in         [fifoSize]uint8 // what recv fills
	fifo       [fifoSize]uint8 // received bytes
	head, held uint8
}

// New returns a UART after reset. send gets each transmitted byte, in order. recv gives the bytes to be received, as many as
// fit; where it gives fewer, Poke says that there are some again. Both are called with the UART's mutex held,
// so they must neither block nor call the UART. A nil recv never has any, a nil irq is not connected.
//
// OUT2 doesn't gate irq, unlike on a PC's serial card: kernels written on
// virtual machines rely on that, and none can tell otherwise.
func New(send func(byte), recv func(p []byte) int, irq device.Line) *UART {
	if recv == nil {
		recv = func([]byte) int { return 0 }
	}
	if irq == nil {
		irq = device.Unconnected{}
	}
	u := &UART{send: send, recv: recv, irq: irq, msr: present}
	u.update()
	return u
}

// In reads a register.
func (u *UART) In(port uint16, size int) uint32 {
	if size != 1 {
		return device.SplitIn(u, port, size)
	}
	if port == regLSR {
		if v := u.status.Load(); v != 0 {
			return v
		}
	}
	return u.lockedIn(port)
}

func (u *UART) lockedIn(port uint16) uint32 {
	u.mu.Lock()
	v := u.read(port)
	u.mu.Unlock()
	return uint32(v)
}

// Out writes a register.
func (u *UART) Out(port uint16, size int, v uint32) {
	if size != 1 {
		device.SplitOut(u, port, size, v)
		return
	}
	u.mu.Lock()
	u.write(port, uint8(v))
	u.mu.Unlock()
}

// Poke has the UART receive what there is, as far as it fits.
func (u *UART) Poke() {
	u.mu.Lock()
	u.fill()
	u.update()
	u.mu.Unlock()
}

// fill receives as much as fits: at most 1 byte without FIFO and 16 with; none in loopback, nor while a driver that had
// asserted RTS doesn't: it asks its peer to wait.
func (u *UART) fill() {
	if !u.ready() || u.held >= u.space() {
		return
	}
	room := u.in[:u.space()-u.held]
	n := min(max(u.recv(room), 0), len(room))
	u.more = n == len(room)
	for _, b := range room[:n] {
		u.push(b)
	}
}

// ready says whether the driver takes what its peer sends.
func (u *UART) ready() bool {
	return u.mcr&mcrLoop == 0 && (!u.handshake || u.mcr&mcrRTS != 0)
}

func (u *UART) read(port uint16) uint8 {
	switch port {
	case regData:
		if u.lcr&lcrDLAB != 0 {
			return u.dll
		}
		return u.pop()
	case regIER:
		if u.lcr&lcrDLAB != 0 {
			return u.dlm
		}
		return u.ier
	case regIIR:
		id := u.pending()
		if id == iirTHRE {
			u.thre = false // section 8.6: reading it as the source clears it
			u.update()
		}
		if u.fcr&fcrEnable != 0 {
			id |= iirFIFO
		}
		return id
	case regLCR:
		return u.lcr
	case regMCR:
		return u.mcr
	case regLSR:
		v := u.lsr()
		if u.overrun {
			u.overrun = false
			u.update()
		}
		return v
	case regMSR:
		v := u.msr
		if v&0x0f != 0 {
			u.msr &= 0xf0
			u.update()
		}
		return v
	case regSCR:
		return u.scr
	}
	return 0xff
}

func (u *UART) write(port uint16, v uint8) {
	switch port {
	case regData:
		if u.lcr&lcrDLAB != 0 {
			u.dll = v
			return
		}
		u.transmit(v)
	case regIER:
		if u.lcr&lcrDLAB != 0 {
			u.dlm = v
			return
		}
		// Enabling THRE with the transmitter empty interrupts at once
		// (section 8.7); Linux tests for it and polls where it doesn't.
		if v&^u.ier&ierTHRE != 0 {
			u.thre = true
		}
		u.ier = v & ierMask
		u.update()
	case regIIR:
		u.setFCR(v)
	case regLCR:
		u.lcr = v
	case regMCR:
		u.mcr = v & mcrMask
		u.handshake = u.handshake || v&(mcrRTS|mcrLoop) == mcrRTS
		u.modem()
		u.fill() // there may be some that it has asked to wait
		u.update()
	case regSCR:
		u.scr = v
	}
	// LSR and MSR writes are for factory tests: ignored.
}

// transmit sends v, which takes no time: the holding register is empty again
// when transmit returns.
func (u *UART) transmit(v uint8) {
	// The write clears the THRE interrupt and its completion raises it: an
	// edge, which an edge-triggered input must see even where the driver
	// doesn't read IIR in between.
	if u.thre {
		u.thre = false
		u.update()
	}
	switch {
	case u.mcr&mcrLoop == 0:
		u.send(v)
	case u.held < u.space():
		u.push(v)
	default:
		u.overrun = true
		if u.fcr&fcrEnable == 0 {
			u.fifo[u.head] = v // the new character replaces the old (8.4)
		}
	}
	u.thre = true
	u.update()
}

// setFCR takes a write of the FIFO control register (section 8.5). Turning the
// FIFOs on or off clears them; without the enable bit nothing else counts. The
// transmit FIFO is always empty, so clearing it changes nothing.
func (u *UART) setFCR(v uint8) {
	if (v^u.fcr)&fcrEnable != 0 || v&(fcrEnable|fcrClearRx) == fcrEnable|fcrClearRx {
		u.head, u.held = 0, 0
	}
	if v&fcrEnable == 0 {
		v = 0
	}
	u.fcr = v & (fcrEnable | 0xc0)
	u.fill()
	u.update()
}

// modem brings MSR up to date with MCR: in loopback the four outputs feed the
// four inputs (section 8.8).
func (u *UART) modem() {
	lines := uint8(present)
	if u.mcr&mcrLoop != 0 {
		lines = 0
		for _, wire := range [4][2]uint8{{mcrRTS, msrCTS}, {mcrDTR, msrDSR}, {mcrOUT1, msrRI}, {mcrOUT2, msrDCD}} {
			if u.mcr&wire[0] != 0 {
				lines |= wire[1]
			}
		}
	}
	changed := lines ^ u.msr&0xf0
	delta := changed >> 4 & (msrDCTS | msrDDSR | msrDDCD)
	if changed&msrRI != 0 && lines&msrRI == 0 {
		delta |= msrTERI
	}
	u.msr = lines | u.msr&0x0f | delta
}

// pending returns the interrupt identification without its FIFO bits. Below
// the trigger level the character timeout is taken to have passed already, so
// that input never waits for a timer.
func (u *UART) pending() uint8 {
	switch {
	case u.ier&ierRLS != 0 && u.overrun:
		return iirRLS
	case u.ier&ierRDA != 0 && u.held > 0:
		if u.fcr&fcrEnable != 0 && u.held < triggers[u.fcr>>6] {
			return iirCTI
		}
		return iirRDA
	case u.ier&ierTHRE != 0 && u.thre:
		return iirTHRE
	case u.ier&ierMSI != 0 && u.msr&0x0f != 0:
		return iirMSI
	}
	return iirNone
}

// lsr is the line status register.
func (u *UART) lsr() uint8 {
	v := uint8(lsrTHRE | lsrTEMT)
	if u.held > 0 {
		v |= lsrDR
	}
	if u.overrun {
		v |= lsrOE
	}
	return v
}

// update sets the interrupt line to what is pending, and brings status up to date. It follows every
// change.
func (u *UART) update() {
	if u.overrun {
		u.status.Store(0)
	} else {
		u.status.Store(uint32(u.lsr()))
	}
	if level := u.pending() != iirNone; level != u.level {
		u.level = level
		u.irq.Set(level)
	}
}

func (u *UART) space() uint8 {
	if u.fcr&fcrEnable != 0 {
		return fifoSize
	}
	return 1
}

func (u *UART) push(v uint8) {
	u.fifo[(u.head+u.held)%fifoSize] = v
	u.held++
}

// pop returns the oldest received byte; 0 if there is none.
func (u *UART) pop() uint8 {
	if u.held == 0 {
		return 0
	}
	v := u.fifo[u.head%fifoSize]
	u.head = (u.head + 1) % fifoSize
	u.held--
	if u.held == 0 && u.more {
		u.fill() // at once, so that a driver that reads until there is no more has all in one interrupt
	}
	u.update()
	return v
}
