package pci

import "fmt"

// A BAR is what a base address register says (PCI 6.2.5.1).
type BAR struct {
	Base, Size uint64 // bytes; Size 0: there is none
	IO         bool   // ports, not memory
	Wide       bool   // 64 bits: the next register is its upper half
}

const (
	bars     = 6
	barIO    = 1 << 0
	barType  = 3 << 1
	barWide  = 2 << 1
	barBelow = 1 << 1 // below 1 MiB: of old
)

// BAR reads base address register i, 0 to 5, and finds its size by writing ones to it. The function
// doesn't answer at it meanwhile.
func (f *Function) BAR(i int) (BAR, error) {
	if i < 0 || i >= bars || f.Header != 0 {
		return BAR{}, fmt.Errorf("pci: %v has no base address register %d", f, i)
	}
	command := f.read(regCommand, 2)
	if err := f.write(regCommand, 2, command&^(CommandIO|CommandMemory)); err != nil {
		return BAR{}, err
	}
	b, err := f.size(i)
	if e := f.write(regCommand, 2, command); err == nil {
		err = e
	}
	if err != nil {
		return BAR{}, err
	}
	if b.Size&(b.Size-1) != 0 || b.Size != 0 && b.Base&(b.Size-1) != 0 {
		return BAR{}, fmt.Errorf("pci: %v: base address register %d has %#x bytes at %#x, which can't be", f, i, b.Size, b.Base)
	}
	return b, nil
}

func (f *Function) size(i int) (b BAR, err error) {
	low, lowMask, err := f.probe(i)
	if err != nil {
		return b, err
	}
	if low&barIO != 0 {
		b.IO = true
		mask := lowMask &^ 3
		if mask>>16 == 0 {
			mask |= 0xFFFF << 16 // only 16 bits are decoded
		}
		b.Base, b.Size = uint64(low&^3), uint64(-mask)
		if lowMask&^3 == 0 {
			b.Size = 0
		}
		return b, nil
	}
	base, mask := uint64(low&^0xF), uint64(lowMask&^0xF)
	switch low & barType {
	case 0, barBelow:
		if mask != 0 {
			mask |= 0xFFFF_FFFF << 32
		}
	case barWide:
		if i+1 == bars {
			return b, fmt.Errorf("pci: %v: base address register %d has its upper half behind the last", f, i)
		}
		high, highMask, err := f.probe(i + 1)
		if err != nil {
			return b, err
		}
		b.Wide = true
		base |= uint64(high) << 32
		mask |= uint64(highMask) << 32
	default:
		return b, fmt.Errorf("pci: %v: base address register %d is of a kind that isn't: %#x", f, i, low)
	}
	b.Base, b.Size = base, -mask
	return b, nil
}

// probe reads a register, and which of its bits can be written. It has its value back afterwards.
func (f *Function) probe(i int) (v, mask uint32, err error) {
	off := regBAR + 4*i
	v = f.read(off, 4)
	if err = f.write(off, 4, 0xFFFF_FFFF); err == nil {
		mask = f.read(off, 4)
		err = f.write(off, 4, v)
	}
	return v, mask, err
}

// Map gives all registers behind base address register i, which must be memory of least bytes or
// more, up to most.
func (f *Function) Map(i int, least, most uint64) (Registers, error) {
	b, err := f.BAR(i)
	switch {
	case err != nil:
		return nil, err
	case b.IO || b.Size < least:
		return nil, fmt.Errorf("pci: %v: base address register %d has %d bytes, ports: %v; its driver needs %d of memory", f, i, b.Size, b.IO, least)
	case b.Base == 0:
		return nil, fmt.Errorf("pci: %v: the firmware has given base address register %d no address", f, i)
	}
	r, err := f.host.Map(f.Address, i, 0, min(b.Size, most))
	if err != nil {
		return nil, fmt.Errorf("pci: %v: mapping base address register %d, %#x bytes at %#x: %w", f, i, b.Size, b.Base, err)
	}
	return r, nil
}
