package intel

import (
	"encoding/binary"
	"sync"
	"testing"

	"keel/drivers/internal/fake"
	"keel/drivers/nic"
	"keel/drivers/pci"
)

var testMAC = nic.MAC{0x52, 0x54, 0, 1, 2, 3}

// chip is a card as far as the driver needs one: it moves frames through the rings as they are set up,
// and breaks where a test asks for it.
type chip struct {
	mu     sync.Mutex
	host   *fake.Host
	regs   [2 * regsSize / 4]uint32
	sent   [][]byte
	resets int

	noRAL   bool // the address is in the EEPROM alone
	hung    bool // sends nothing
	gone    bool
	stuck   bool // never ends a reset
	context [2]byte
}

func newChip() (*chip, *fake.Host, *pci.Function) {
	h := fake.NewHost()
	c := &chip{host: h}
	f := h.Add(pci.At(0, 3, 0), 0x8086, 0x100E, pci.ClassEthernet)
	f.BAR(0, 0xFEB8_0000, 2*regsSize, c)
	f.Put8(0x3C, 11)
	f.Put8(0x3D, 1)
	c.reset()
	return c, h, pci.Walk(h)[0]
}

func (c *chip) reset() {
	c.regs = [2 * regsSize / 4]uint32{}
	c.regs[regSTATUS/4] = statusLU | 2<<statusSpeed
	if !c.noRAL {
		c.regs[regRAL/4] = binary.LittleEndian.Uint32(testMAC[:])
		c.regs[regRAH/4] = rahValid | uint32(testMAC[4]) | uint32(testMAC[5])<<8
	}
	c.resets++
}

func (c *chip) Size() int           { return 2 * regsSize }
func (*chip) Read8(int) uint8       { panic("8 bits") }
func (*chip) Read16(int) uint16     { panic("16 bits") }
func (*chip) Write8(int, uint8)     { panic("8 bits") }
func (*chip) Write16(int, uint16)   { panic("16 bits") }
func (c *chip) reg(off int) *uint32 { return &c.regs[off/4] }

func (c *chip) Read32(off int) uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return gone
	}
	v := *c.reg(off)
	if off == regICR {
		*c.reg(off) = 0
	}
	return v
}

func (c *chip) Write32(off int, v uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch off {
	case regCTRL:
		if v&ctrlRST != 0 && !c.stuck {
			c.reset()
			return
		}
	case regIMC:
		*c.reg(regIMS) &^= v
		return
	case regIMS:
		v |= *c.reg(regIMS)
	case regEERD:
		i := v >> 8 & 0xFF
		*c.reg(off) = 1<<4 | uint32(binary.LittleEndian.Uint16(testMAC[2*i:]))<<16
		return
	}
	*c.reg(off) = v
	if off == regTDT {
		c.send()
	}
}

// descriptor is one of the ring whose registers begin at base.
func (c *chip) descriptor(base int, i uint32) []byte {
	bus := uint64(*c.reg(base)) | uint64(*c.reg(base + 4))<<32
	return c.host.At(bus+uint64(i)*descSize, descSize)
}

func (c *chip) send() {
	n := *c.reg(regTDLEN) / descSize
	if *c.reg(regTCTL)&tctlEN == 0 || n == 0 || c.hung {
		return
	}
	for *c.reg(regTDH) != *c.reg(regTDT)%n {
		d := c.descriptor(regTDBAL, *c.reg(regTDH))
		low, high := binary.LittleEndian.Uint64(d), binary.LittleEndian.Uint64(d[8:])
		if high&txData == 0 {
			c.context = [2]byte{byte(low >> 32), byte(low >> 40)}
		} else {
			f := append([]byte(nil), c.host.At(low, int(high&0xFFFF))...)
			if high&txTXSM != 0 {
				binary.BigEndian.PutUint16(f[c.context[1]:], ^sum(f[c.context[0]:]))
			}
			c.sent = append(c.sent, f)
			binary.LittleEndian.PutUint64(d[8:], high|txDD)
		}
		*c.reg(regTDH) = (*c.reg(regTDH) + 1) % n
	}
}

func sum(b []byte) uint16 {
	v := uint32(0)
	for i := 0; i < len(b); i += 2 {
		v += uint32(b[i]) << 8
		if i+1 < len(b) {
			v += uint32(b[i+1])
		}
	}
	for v>>16 != 0 {
		v = v&0xFFFF + v>>16
	}
	return uint16(v)
}

// receive puts a frame into the ring; state is what the descriptor says besides its length. false: the
// ring is full.
func (c *chip) receive(frame []byte, state uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := *c.reg(regRDLEN) / descSize
	head := *c.reg(regRDH)
	if *c.reg(regRCTL)&rctlEN == 0 || n == 0 || head == *c.reg(regRDT) {
		return false
	}
	d := c.descriptor(regRDBAL, head)
	copy(c.host.At(binary.LittleEndian.Uint64(d), bufferSize), frame)
	binary.LittleEndian.PutUint64(d[8:], state|uint64(len(frame)))
	*c.reg(regRDH) = (head + 1) % n
	*c.reg(regICR) |= causeRXT0
	return true
}

func (c *chip) link(up bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*c.reg(regSTATUS) &^= statusLU
	if up {
		*c.reg(regSTATUS) |= statusLU
	}
	*c.reg(regICR) |= causeLSC
}

// sink is a receiver that keeps what comes.
type sink struct {
	mu      sync.Mutex
	frames  [][]byte
	summed  []bool
	links   []nic.Link
	trouble []error
}

func (s *sink) Receive(f []byte, summed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frames, s.summed = append(s.frames, append([]byte(nil), f...)), append(s.summed, summed)
}

func (s *sink) LinkChanged(l nic.Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links = append(s.links, l)
}

func (s *sink) Trouble(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = append(s.trouble, err)
}

// started is a card that runs, without the goroutine that serves it: tests call service.
func started(t testing.TB) (*chip, *Card, *sink) {
	t.Helper()
	return startedAs(t, false)
}

// startedAs is started, of an 82574 if it is to be one of PCI Express.
func startedAs(t testing.TB, express bool) (*chip, *Card, *sink) {
	t.Helper()
	chip, _, fn := newChip()
	card, err := Open(fn, Model{Name: "test", Express: express, Ways: []pci.Kind{pci.INTx}, EERDDone: 1 << 4, EERDShift: 8})
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{}
	if err := card.prepare(s); err != nil {
		t.Fatal(err)
	}
	card.run()
	card.service(true)
	return chip, card, s
}
