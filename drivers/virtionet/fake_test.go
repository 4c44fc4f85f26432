package virtionet

import (
	"encoding/binary"
	"testing"

	"keel/drivers/internal/fake"
	"keel/drivers/nic"
	"keel/drivers/pci"
)

var testMAC = nic.MAC{0x52, 0x54, 0, 1, 2, 3}

// Where the fake device has its registers, in its one base address register.
const (
	fakeCommon = 0x0000
	fakeISR    = 0x1000
	fakeConfig = 0x2000
	fakeNotify = 0x3000
	fakeSize   = 0x4000
)

// chip is a device as far as the driver needs one.
type chip struct {
	fake.Bytes
	host   *fake.Host
	offers uint64
	q      [2]struct {
		size, vector, enabled uint16
		at                    [3]uint64
		seen, used            uint16
	}
	sent   [][]byte
	resets int
	hung   bool
	stuck  bool // never ends a reset
}

func newChip() (*chip, *pci.Function) {
	h := fake.NewHost()
	c := &chip{Bytes: make([]byte, fakeSize), host: h, offers: featureCSUM | featureGuestCSUM | featureMAC | featureStatus | featureVersion1 | 1<<15 | 1<<38}
	f := h.Add(pci.At(0, 3, 0), vendor, modern, pci.ClassEthernet)
	f.BAR(4, 0xFEB8_0000, fakeSize, c)
	f.Put8(0x3C, 11)
	f.Put8(0x3D, 1)
	for i, r := range []struct {
		kind uint8
		at   uint32
		size uint32
	}{{capCommon, fakeCommon, 0x1000}, {capNotify, fakeNotify, 0x1000}, {capISR, fakeISR, 0x1000}, {capDevice, fakeConfig, 0x1000}} {
		at := 0x40 + 0x18*i
		f.Capability(at, pci.CapVendor)
		f.Put8(at+capLength, 20)
		f.Put8(at+capType, r.kind)
		f.Put8(at+capBAR, 4)
		f.Put32(at+capOffset, r.at)
		f.Put32(at+capSize, r.size)
		f.Put32(at+capMultiplier, 4)
	}
	copy(c.Bytes[fakeConfig:], testMAC[:])
	c.Bytes[fakeConfig+configStatus] = linkUp
	c.Bytes.Write16(fakeCommon+commonQueues, 2)
	return c, pci.Walk(h)[0]
}

func (c *chip) Read8(off int) uint8 {
	if off == fakeCommon+commonStatus && c.stuck {
		return 1
	}
	return c.Bytes.Read8(off)
}

func (c *chip) Write8(off int, v uint8) {
	if off == fakeCommon+commonStatus && v == 0 {
		c.resets++
		for i := range c.q {
			c.q[i].enabled, c.q[i].seen, c.q[i].used = 0, 0, 0
		}
	}
	c.Bytes.Write8(off, v)
}

func (c *chip) Write16(off int, v uint16) {
	c.Bytes.Write16(off, v)
	if off >= fakeNotify {
		if v == 1 {
			c.send()
		}
		return
	}
	s := c.Bytes.Read16(fakeCommon + commonSelect)
	if s > 1 {
		return
	}
	q := &c.q[s]
	switch off {
	case commonSelect:
		size := q.size
		if size == 0 {
			size = 1024
		}
		c.Bytes.Write16(commonSize, size)
		c.Bytes.Write16(commonNotifyOff, s)
	case commonSize:
		q.size = v
	case commonEnable:
		q.enabled = v
	}
}

func (c *chip) Write32(off int, v uint32) {
	c.Bytes.Write32(off, v)
	s := c.Bytes.Read16(fakeCommon + commonSelect)
	switch {
	case off == commonDeviceSelect:
		c.Bytes.Write32(commonDevice, uint32(c.offers>>(32*v)))
	case off >= commonDescriptors && off < commonLength && s <= 1:
		i := (off - commonDescriptors) / 8
		c.q[s].at[i] = uint64(c.Bytes.Read32(commonDescriptors+8*i)) | uint64(c.Bytes.Read32(commonDescriptors+8*i+4))<<32
	}
}

// next is the next buffer that queue i has been given; nil: none.
func (c *chip) next(i int) (id uint16, buffer []byte) {
	q := &c.q[i]
	if q.enabled == 0 {
		return 0, nil
	}
	avail := c.host.At(q.at[1], 4+2*int(q.size))
	if binary.LittleEndian.Uint16(avail[2:]) == q.seen {
		return 0, nil
	}
	id = binary.LittleEndian.Uint16(avail[4+2*(q.seen%q.size):])
	q.seen++
	d := c.host.At(q.at[0]+16*uint64(id), 16)
	return id, c.host.At(binary.LittleEndian.Uint64(d), int(binary.LittleEndian.Uint32(d[8:])))
}

// back gives a buffer back.
func (c *chip) back(i int, id uint32, n uint32) {
	q := &c.q[i]
	used := c.host.At(q.at[2], 4+8*int(q.size))
	e := used[4+8*(q.used%q.size):]
	binary.LittleEndian.PutUint32(e, id)
	binary.LittleEndian.PutUint32(e[4:], n)
	q.used++
	binary.LittleEndian.PutUint16(used[2:], q.used)
}

func (c *chip) send() {
	for !c.hung {
		id, b := c.next(1)
		if b == nil {
			return
		}
		c.sent = append(c.sent, append([]byte(nil), b...))
		c.back(1, uint32(id), 0)
	}
}

func (c *chip) receive(frame []byte, flags byte) bool {
	id, b := c.next(0)
	if b == nil {
		return false
	}
	clear(b[:headerSize])
	b[0] = flags
	copy(b[headerSize:], frame)
	c.back(0, uint32(id), uint32(headerSize+len(frame)))
	return true
}

// sink is a receiver that keeps what comes.
type sink struct {
	frames  [][]byte
	summed  []bool
	links   []nic.Link
	trouble []error
}

func (s *sink) Receive(f []byte, summed bool) {
	s.frames, s.summed = append(s.frames, append([]byte(nil), f...)), append(s.summed, summed)
}
func (s *sink) LinkChanged(l nic.Link) { s.links = append(s.links, l) }
func (s *sink) Trouble(err error)      { s.trouble = append(s.trouble, err) }

// started is a device that runs, without the goroutine that serves it.
func started(t testing.TB) (*chip, *Device, *sink) {
	t.Helper()
	c, fn := newChip()
	n, err := Open(fn)
	if err != nil {
		t.Fatal(err)
	}
	d, s := n.(*Device), &sink{}
	if err := d.prepare(s); err != nil {
		t.Fatal(err)
	}
	d.service(true)
	return c, d, s
}

// newWalk finds the device again, after its configuration space was changed.
func newWalk(c *chip) *pci.Function { return pci.Walk(c.host)[0] }
