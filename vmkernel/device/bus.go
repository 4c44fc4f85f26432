package device

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
)

// ports is the size of the x86 I/O address space (SDM 1, 19.3).
const ports = 1 << 16

// maxPortRanges is how many claims fit the port table's byte-sized entries;
// entry 0 stands for unclaimed.
const maxPortRanges = 255

// A Bus leads accesses to devices. Add the devices first; from the first
// access on the Bus must not change. The zero Bus is empty and ready.
//
// A Bus is itself a PortDevice and an MMIODevice whose offsets are absolute.
type Bus struct {
	claimant [ports]uint8 // index into claims, by port
	claims   [maxPortRanges + 1]portClaim
	nClaims  int
	mmio     []mmioClaim // by address, ascending

	unclaimedIn, unclaimedOut, unclaimedRead, unclaimedWrite atomic.Uint64
}

type portClaim struct {
	dev   PortDevice
	first uint16
	count int
	name  string
}

type mmioClaim struct {
	dev   MMIODevice
	first uint64
	size  uint64
	name  string
}

// PortRange is a claimed range of I/O ports.
type PortRange struct {
	Name  string
	First uint16
	Count int
}

// MMIORange is a claimed range of guest-physical addresses, Size in bytes.
type MMIORange struct {
	Name  string
	First uint64
	Size  uint64
}

// Unclaimed counts the accesses that no device claimed wholly: port reads
// and writes, MMIO reads and writes.
type Unclaimed struct {
	In, Out, Read, Write uint64
}

// AddPorts gives dev the count ports from first on. name is for errors and
// for lists of what a guest can reach. A range that is empty, ends past port
// FFFFH or overlaps another is an error that names both.
func (b *Bus) AddPorts(name string, first uint16, count int, dev PortDevice) error {
	if dev == nil {
		return fmt.Errorf("bus: %s: no device given for ports from %#x", name, first)
	}
	if count < 1 || count > ports-int(first) {
		return fmt.Errorf("bus: %s: %d ports from %#x do not fit the port space 0..0xffff", name, count, first)
	}
	last := int(first) + count - 1
	for p := int(first); p <= last; p++ {
		if i := b.claimant[p]; i != 0 {
			c := &b.claims[i]
			return fmt.Errorf("bus: %s at ports %#x..%#x overlaps %s at %#x..%#x",
				name, first, last, c.name, c.first, int(c.first)+c.count-1)
		}
	}
	if b.nClaims == maxPortRanges {
		return fmt.Errorf("bus: %s: more than %d port ranges", name, maxPortRanges)
	}
	b.nClaims++
	b.claims[b.nClaims] = portClaim{dev, first, count, name}
	for p := int(first); p <= last; p++ {
		b.claimant[p] = uint8(b.nClaims)
	}
	return nil
}

// AddMMIO gives dev the size bytes of guest-physical address space from
// first on. A range that is empty, wraps or overlaps another is an error that
// names both.
func (b *Bus) AddMMIO(name string, first, size uint64, dev MMIODevice) error {
	if dev == nil {
		return fmt.Errorf("bus: %s: no device given for addresses from %#x", name, first)
	}
	if size == 0 || first+(size-1) < first {
		return fmt.Errorf("bus: %s: %#x bytes from %#x do not fit the address space", name, size, first)
	}
	for i := range b.mmio {
		c := &b.mmio[i]
		if first-c.first < c.size || c.first-first < size {
			return fmt.Errorf("bus: %s at %#x..%#x overlaps %s at %#x..%#x",
				name, first, first+(size-1), c.name, c.first, c.first+(c.size-1))
		}
	}
	b.mmio = append(b.mmio, mmioClaim{dev, first, size, name})
	slices.SortFunc(b.mmio, func(a, b mmioClaim) int { return cmp.Compare(a.first, b.first) })
	return nil
}

// Ports lists the claimed ports in the order in which they were added.
func (b *Bus) Ports() []PortRange {
	var list []PortRange
	for _, c := range b.claims[1 : b.nClaims+1] {
		list = append(list, PortRange{c.name, c.first, c.count})
	}
	return list
}

// MMIO lists the claimed addresses, ascending.
func (b *Bus) MMIO() []MMIORange {
	var list []MMIORange
	for _, c := range b.mmio {
		list = append(list, MMIORange{c.name, c.first, c.size})
	}
	return list
}

// Unclaimed returns the counts so far; safe while the VM runs.
func (b *Bus) Unclaimed() Unclaimed {
	return Unclaimed{b.unclaimedIn.Load(), b.unclaimedOut.Load(), b.unclaimedRead.Load(), b.unclaimedWrite.Load()}
}

// In reads size bytes (1, 2 or 4) from port. An access within one range
// reaches its device whole; one that straddles is split into bytes as the ISA
// bus does it. Unclaimed bytes, and those past port FFFFH, read FFH.
func (b *Bus) In(port uint16, size int) uint32 {
	i := b.claimant[port]
	if size == 1 && i != 0 {
		c := &b.claims[i]
		return c.dev.In(port-c.first, 1) & 0xff
	}
	if size != 1 {
		if !portSize(size) {
			return ^uint32(0)
		}
		last := uint(port) + uint(size) - 1
		if last >= ports || b.claimant[last] != i {
			return b.inBytes(port, size)
		}
	}
	if i == 0 {
		b.unclaimedIn.Add(1)
		return ones32(size)
	}
	c := &b.claims[i]
	return c.dev.In(port-c.first, size) & ones32(size)
}

// Out writes the low size bytes (1, 2 or 4) of v to port, split as In does.
func (b *Bus) Out(port uint16, size int, v uint32) {
	i := b.claimant[port]
	if size != 1 {
		if !portSize(size) {
			return
		}
		last := uint(port) + uint(size) - 1
		if last >= ports || b.claimant[last] != i {
			b.outBytes(port, size, v)
			return
		}
	}
	if i == 0 {
		b.unclaimedOut.Add(1)
		return
	}
	c := &b.claims[i]
	c.dev.Out(port-c.first, size, v&ones32(size))
}

func (b *Bus) inBytes(port uint16, size int) uint32 {
	var v uint32
	missed := false
	for i := range size {
		octet := uint32(0xff)
		if c := b.claim(uint(port) + uint(i)); c != nil {
			octet = c.dev.In(port+uint16(i)-c.first, 1) & 0xff
		} else {
			missed = true
		}
		v |= octet << (8 * i)
	}
	if missed {
		b.unclaimedIn.Add(1)
	}
	return v
}

func (b *Bus) outBytes(port uint16, size int, v uint32) {
	missed := false
	for i := range size {
		if c := b.claim(uint(port) + uint(i)); c != nil {
			c.dev.Out(port+uint16(i)-c.first, 1, v>>(8*i)&0xff)
		} else {
			missed = true
		}
	}
	if missed {
		b.unclaimedOut.Add(1)
	}
}

// claim returns the range that holds port, or nil; port may be past the end.
func (b *Bus) claim(port uint) *portClaim {
	if port >= ports || b.claimant[port] == 0 {
		return nil
	}
	return &b.claims[b.claimant[port]]
}

// find returns the range that holds addr, or nil.
func (b *Bus) find(addr uint64) *mmioClaim {
	lo, hi := 0, len(b.mmio)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		switch c := &b.mmio[mid]; {
		case addr < c.first:
			hi = mid
		case addr-c.first < c.size:
			return c
		default:
			lo = mid + 1
		}
	}
	return nil
}

// Read reads size bytes (1 to 8) at the guest-physical address addr. An
// access that leaves a range is split into bytes; unclaimed bytes, and those
// past the end of the address space, read FFH.
func (b *Bus) Read(addr uint64, size int) uint64 {
	if size < 1 || size > 8 {
		return ^uint64(0)
	}
	if c := b.find(addr); c != nil && c.size-(addr-c.first) >= uint64(size) {
		return c.dev.Read(addr-c.first, size) & ones64(size)
	}
	var v uint64
	missed := false
	for i := range size {
		octet := uint64(0xff)
		a := addr + uint64(i)
		if c := b.find(a); c != nil && a >= addr {
			octet = c.dev.Read(a-c.first, 1) & 0xff
		} else {
			missed = true
		}
		v |= octet << (8 * i)
	}
	if missed {
		b.unclaimedRead.Add(1)
	}
	return v
}

// Write writes the low size bytes (1 to 8) of v at the guest-physical
// address addr, split as Read does.
func (b *Bus) Write(addr uint64, size int, v uint64) {
	if size < 1 || size > 8 {
		return
	}
	if c := b.find(addr); c != nil && c.size-(addr-c.first) >= uint64(size) {
		c.dev.Write(addr-c.first, size, v&ones64(size))
		return
	}
	missed := false
	for i := range size {
		a := addr + uint64(i)
		if c := b.find(a); c != nil && a >= addr {
			c.dev.Write(a-c.first, 1, v>>(8*i)&0xff)
		} else {
			missed = true
		}
	}
	if missed {
		b.unclaimedWrite.Add(1)
	}
}

func portSize(size int) bool { return size == 1 || size == 2 || size == 4 }

func ones32(size int) uint32 { return ^uint32(0) >> (32 - 8*size) }

func ones64(size int) uint64 { return ^uint64(0) >> (64 - 8*size) }
