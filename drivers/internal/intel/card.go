package intel

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"keel/drivers/nic"
	"keel/drivers/pci"
)

// A Model is what a family of cards has of its own.
type Model struct {
	Name    string
	Express bool // an 82574
	Ways    []pci.Kind
	// EEPROM's read register: bits for done, and where the address begins.
	EERDDone, EERDShift uint32
}

// A Card is one of them. It implements nic.NIC.
type Card struct {
	nic.Counters
	model Model
	fn    *pci.Function
	r     pci.Registers
	irq   pci.Interrupt
	mac   nic.MAC
	to    nic.Receiver
	rx    ring
	tx    ring

	link atomic.Uint64 // 1 + Mbps, 0: down

	// Only service touches these.
	told     bool // of the link
	lastLink nic.Link
	broken   error // why the card must be reset
	reset    time.Time
	gone     bool

	mu      sync.Mutex // of what follows: sending, and resetting
	stopped bool       // between a reset's begin and its success
	context nic.Checksum
	spans   []uint8     // descriptors that the frame beginning here takes, 0: none begins
	since   []time.Time // when it was sent
}

// Open takes the card, resets it and leaves it without receiving.
func Open(fn *pci.Function, m Model) (*Card, error) {
	c := &Card{model: m, fn: fn}
	if err := fn.Enable(); err != nil {
		return nil, err
	}
	var err error
	if c.r, err = fn.Map(0, regsSize, 2*regsSize); err != nil {
		return nil, err
	}
	if err := c.stop(); err != nil {
		return nil, err
	}
	if c.mac, err = c.readMAC(); err != nil {
		return nil, err
	}
	c.r.Write32(regCTRL, c.control())
	return c, nil
}

// control is how the card is to run: link up, speed found, no flow control, no VLANs.
func (c *Card) control() uint32 {
	v := c.r.Read32(regCTRL)
	v &^= ctrlLRST | ctrlILOS | ctrlForce | ctrlFlow | ctrlVME | ctrlPHYRST | ctrlRST | ctrlMasterDisable
	return v | ctrlSLU | ctrlASDE
}

// stop resets the card (SDM 14.3): it neither interrupts nor touches memory afterwards.
func (c *Card) stop() error {
	c.r.Write32(regIMC, ^uint32(0))
	c.r.Write32(regRCTL, 0)
	c.r.Write32(regTCTL, tctlPSP)
	if c.model.Express {
		c.r.Write32(regCTRL, c.r.Read32(regCTRL)|ctrlMasterDisable)
		c.until(regSTATUS, statusMaster, 0)
	}
	c.r.Write32(regCTRL, c.r.Read32(regCTRL)|ctrlRST)
	time.Sleep(time.Millisecond) // no register may be read meanwhile
	if !c.until(regCTRL, ctrlRST, 0) {
		return fmt.Errorf("%s: %v: the card doesn't end its reset", c.model.Name, c.fn)
	}
	time.Sleep(5 * time.Millisecond) // it reads its EEPROM
	c.r.Write32(regIMC, ^uint32(0))
	c.r.Read32(regICR)
	if c.r.Read32(regSTATUS) == gone {
		return fmt.Errorf("%s: %v: the card is gone", c.model.Name, c.fn)
	}
	return nil
}

// until waits up to 20 ms for bits of a register.
func (c *Card) until(reg int, mask, want uint32) bool {
	for range 20 {
		if c.r.Read32(reg)&mask == want {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

// readMAC reads the card's address from where the reset puts it, or from the EEPROM.
func (c *Card) readMAC() (nic.MAC, error) {
	low, high := c.r.Read32(regRAL), c.r.Read32(regRAH)
	m := nic.MAC{byte(low), byte(low >> 8), byte(low >> 16), byte(low >> 24), byte(high), byte(high >> 8)}
	if high&rahValid != 0 && m.Valid() {
		return m, nil
	}
	for i := range 3 {
		c.r.Write32(regEERD, uint32(i)<<c.model.EERDShift|1)
		if !c.until(regEERD, c.model.EERDDone, c.model.EERDDone) {
			return m, fmt.Errorf("%s: %v: its EEPROM doesn't answer", c.model.Name, c.fn)
		}
		v := c.r.Read32(regEERD) >> 16
		m[2*i], m[2*i+1] = byte(v), byte(v>>8)
	}
	if !m.Valid() {
		return m, fmt.Errorf("%s: %v: %v is no card's address", c.model.Name, c.fn, m)
	}
	return m, nil
}

// Driver implements nic.NIC.
func (c *Card) Driver() string { return c.model.Name }

// MAC implements nic.NIC.
func (c *Card) MAC() nic.MAC { return c.mac }

// Sums implements nic.NIC.
func (c *Card) Sums() bool { return true }

// Link implements nic.NIC.
func (c *Card) Link() nic.Link { return linkOf(c.r.Read32(regSTATUS)) }

func linkOf(status uint32) nic.Link {
	if status == gone || status&statusLU == 0 {
		return nic.Link{}
	}
	return nic.Link{Up: true, Mbps: [4]int{10, 100, 1000, 1000}[status>>statusSpeed&3]}
}

// Start implements nic.NIC.
func (c *Card) Start(to nic.Receiver) error {
	if err := c.prepare(to); err != nil {
		return err
	}
	c.run()
	c.service(true)
	go nic.Serve(c.irq, c.service, to.Trouble)
	return nil
}

// prepare gives the card memory and an interrupt.
func (c *Card) prepare(to nic.Receiver) error {
	if c.to != nil {
		return errors.New("the card has been started before")
	}
	c.to = to
	h := c.fn.Host()
	if err := errors.Join(c.rx.alloc(h, rxEntries), c.tx.alloc(h, txEntries)); err != nil {
		return fmt.Errorf("%s: %v: %w", c.model.Name, c.fn, err)
	}
	c.spans, c.since = make([]uint8, txEntries), make([]time.Time, txEntries)
	irq, _, err := c.fn.Connect(c.model.Ways...)
	if err != nil {
		return err
	}
	c.irq = irq
	return nil
}

// run gives a card that was reset its rings and has it send, receive and interrupt.
func (c *Card) run() {
	r := c.r
	r.Write32(regCTRL, c.control())
	low := uint32(c.mac[0]) | uint32(c.mac[1])<<8 | uint32(c.mac[2])<<16 | uint32(c.mac[3])<<24
	r.Write32(regRAL, low)
	r.Write32(regRAH, rahValid|uint32(c.mac[4])|uint32(c.mac[5])<<8)
	for i := range 128 {
		r.Write32(regMTA+4*i, 0)
	}
	if c.model.Express {
		r.Write32(regCTRLEXT, r.Read32(regCTRLEXT)|ctrlextLoaded)
		r.Write32(regRFCTL, 0) // legacy receive descriptors
		r.Write32(regRXDCTL, rxdctl82574)
		r.Write32(regTXDCTL, txdctl82574)
	}
	c.rx.clear()
	for i := range rxEntries {
		c.give(i)
	}
	r.Write32(regRDBAL, uint32(c.rx.descriptors.Bus(0)))
	r.Write32(regRDBAH, uint32(c.rx.descriptors.Bus(0)>>32))
	r.Write32(regRDLEN, rxEntries*descSize)
	r.Write32(regRDH, 0)
	r.Write32(regRDTR, 0)
	r.Write32(regRADV, 0)
	r.Write32(regRXCSUM, rxcsumIPOFL|rxcsumTUOFL)

	c.tx.clear()
	clear(c.spans)
	c.context = nic.Checksum{}
	r.Write32(regTDBAL, uint32(c.tx.descriptors.Bus(0)))
	r.Write32(regTDBAH, uint32(c.tx.descriptors.Bus(0)>>32))
	r.Write32(regTDLEN, txEntries*descSize)
	r.Write32(regTDH, 0)
	r.Write32(regTDT, 0)
	r.Write32(regTIDV, 0)
	r.Write32(regTIPG, tipg)
	r.Write32(regTCTL, tctlEN|tctlPSP|tctlCT|tctlCOLD)

	r.Write32(regITR, interval)
	// All groups' frames are received: the stack knows which it wants.
	r.Write32(regRCTL, rctlEN|rctlMPE|rctlBAM|rctlSECRC)
	r.Write32(regRDT, rxEntries-1)
	r.Write32(regIMS, causes)
}
