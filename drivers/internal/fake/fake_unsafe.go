// Package fake is a machine for the tests of drivers: functions with configuration spaces, registers
// and memory that a fake device shares.
package fake

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"keel/drivers/dma"
	"keel/drivers/pci"
	"keel/vmkernel/linux"
)

// Host is such a machine. The zero value has no functions.
type Host struct {
	Functions map[pci.Address]*Function
	Memory    []*dma.Memory // what drivers have taken
	IRQ       IRQ
	Reads     int // of configuration space
	next      uint64
}

// A Function is a PCI function.
type Function struct {
	Config    [4096]byte
	Writable  [4096]byte // bits that a write changes
	Registers map[int]pci.Registers
}

// IRQ is the one interrupt that a Host gives: Raise makes it come.
type IRQ struct{ c chan struct{} }

// Raise makes the interrupt come; one that is under way isn't raised again.
func (i *IRQ) Raise() {
	select {
	case i.c <- struct{}{}:
	default:
	}
}

// Wait implements pci.Interrupt.
func (i *IRQ) Wait(seen uint64) (uint64, error) {
	<-i.c
	return seen + 1, nil
}

// NewHost is a machine without functions.
func NewHost() *Host {
	return &Host{Functions: map[pci.Address]*Function{}, IRQ: IRQ{make(chan struct{}, 1)}, next: 0x10_0000}
}

// Add puts a function there, with its identity, and returns it.
func (h *Host) Add(a pci.Address, vendor, device, class uint16) *Function {
	f := &Function{Registers: map[int]pci.Registers{}}
	f.Put16(0, vendor)
	f.Put16(2, device)
	f.Put16(0x0A, class)
	f.Writable[4], f.Writable[5] = 0x07, 0x04
	h.Functions[a] = f
	return f
}

// Put8, Put16 and Put32 set configuration space.
func (f *Function) Put8(off int, v uint8)   { f.Config[off] = v }
func (f *Function) Put16(off int, v uint16) { binary.LittleEndian.PutUint16(f.Config[off:], v) }
func (f *Function) Put32(off int, v uint32) { binary.LittleEndian.PutUint32(f.Config[off:], v) }

// Get32 reads it.
func (f *Function) Get32(off int) uint32 { return binary.LittleEndian.Uint32(f.Config[off:]) }

// BAR makes base address register i one for size bytes of memory at base.
func (f *Function) BAR(i int, base uint32, size uint32, r pci.Registers) {
	f.Put32(0x10+4*i, base)
	binary.LittleEndian.PutUint32(f.Writable[0x10+4*i:], -size)
	f.Registers[i] = r
}

// Capability adds one at an offset, in front of the others.
func (f *Function) Capability(at int, id uint8) {
	f.Config[6] |= 1 << 4
	f.Config[at], f.Config[at+1] = id, f.Config[0x34]
	f.Config[0x34] = uint8(at)
}

// Read implements pci.Config.
func (h *Host) Read(a pci.Address, off, size int) uint32 {
	h.Reads++
	f := h.Functions[a]
	if f == nil || off < 0 || off+size > len(f.Config) || off%size != 0 {
		return ^uint32(0) >> (32 - 8*size)
	}
	var b [4]byte
	copy(b[:], f.Config[off:off+size])
	return binary.LittleEndian.Uint32(b[:])
}

// Write implements pci.Config.
func (h *Host) Write(a pci.Address, off, size int, v uint32) error {
	f := h.Functions[a]
	if f == nil || off < 0 || off+size > len(f.Config) || off%size != 0 {
		return linux.EINVAL
	}
	for i := range size {
		w := f.Writable[off+i]
		f.Config[off+i] = f.Config[off+i]&^w | byte(v>>(8*i))&w
	}
	return nil
}

// Map implements pci.Host.
func (h *Host) Map(a pci.Address, bar int, offset, size uint64) (pci.Registers, error) {
	f := h.Functions[a]
	if f == nil || f.Registers[bar] == nil {
		return nil, linux.ENODEV
	}
	r := f.Registers[bar]
	if offset > uint64(r.Size()) || size > uint64(r.Size())-offset {
		return nil, fmt.Errorf("%#x bytes at %#x of %#x", size, offset, r.Size())
	}
	return window{r, int(offset), int(size)}, nil
}

// DMA implements pci.Host.
func (h *Host) DMA(size int) (*dma.Memory, error) {
	size = (size + 4095) &^ 4095
	words := make([]uint64, size/8)
	m := dma.New(unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), size), h.next)
	h.next += uint64(size) + 4096
	h.Memory = append(h.Memory, m)
	return m, nil
}

// At is n bytes at an address that a driver has told its device; nil where the driver has no memory.
func (h *Host) At(bus uint64, n int) []byte {
	for _, m := range h.Memory {
		if base := m.Bus(0); bus >= base && n >= 0 && n <= m.Size() && bus-base <= uint64(m.Size()-n) {
			return m.Bytes(int(bus-base), n)
		}
	}
	return nil
}

// Message implements pci.Host.
func (h *Host) Message() (pci.Interrupt, uint64, uint32, error) {
	return &h.IRQ, 0xFEE0_0000, 0x40, nil
}

// Line implements pci.Host.
func (h *Host) Line(number uint8) (pci.Interrupt, error) {
	if number > 23 {
		return nil, errors.New("no such line")
	}
	return &h.IRQ, nil
}

// window is a part of registers.
type window struct {
	r         pci.Registers
	off, size int
}

func (w window) at(off, n int) int {
	if off < 0 || off > w.size-n || off%n != 0 {
		panic(fmt.Sprintf("fake: %d bytes at %#x of %#x bytes of registers", n, off, w.size))
	}
	return w.off + off
}

func (w window) Size() int                 { return w.size }
func (w window) Read8(off int) uint8       { return w.r.Read8(w.at(off, 1)) }
func (w window) Read16(off int) uint16     { return w.r.Read16(w.at(off, 2)) }
func (w window) Read32(off int) uint32     { return w.r.Read32(w.at(off, 4)) }
func (w window) Write8(off int, v uint8)   { w.r.Write8(w.at(off, 1), v) }
func (w window) Write16(off int, v uint16) { w.r.Write16(w.at(off, 2), v) }
func (w window) Write32(off int, v uint32) { w.r.Write32(w.at(off, 4), v) }

// Bytes are registers that keep what is written.
type Bytes []byte

func (b Bytes) Size() int                 { return len(b) }
func (b Bytes) Read8(off int) uint8       { return b[off] }
func (b Bytes) Read16(off int) uint16     { return binary.LittleEndian.Uint16(b[off:]) }
func (b Bytes) Read32(off int) uint32     { return binary.LittleEndian.Uint32(b[off:]) }
func (b Bytes) Write8(off int, v uint8)   { b[off] = v }
func (b Bytes) Write16(off int, v uint16) { binary.LittleEndian.PutUint16(b[off:], v) }
func (b Bytes) Write32(off int, v uint32) { binary.LittleEndian.PutUint32(b[off:], v) }
