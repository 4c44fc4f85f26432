package vm

import (
	"errors"

	"keel/arch/amd64/virt"
	"keel/vmkernel/sys"
	"keel/vmkernel/vm/mmio"
)

// maxElements is how many elements of a repeated string instruction one exit moves: the guest exits
// again for the rest, so that interrupts and a stop come through.
const maxElements = 1024

// errSegment is an access that the segment doesn't allow, which the guest gets as an exception.
var errSegment = errors.New("vm: string I/O: segment violation")

// stringIO carries out INS or OUTS. The processor has checked the privilege for the port, and nothing
// about the memory (SDM 3C 26.1.1). On a fault what was moved before stays moved, as the
// architecture has it.
func (c *vcpu) stringIO(s *virt.State) {
	e := &s.Exit
	mask := ^uint64(0)
	switch e.AddrSize {
	case 2:
		mask = 0xFFFF
	case 4:
		mask = 0xFFFF_FFFF
	case 8:
	default:
		c.crash("string I/O with addresses of %d bytes at %#x", e.AddrSize, s.RIP)
		return
	}
	if e.Size != 1 && e.Size != 2 && e.Size != 4 || e.Len == 0 || e.Len > mmio.MaxLen {
		c.crash("string I/O of %d bytes by an instruction of %d at %#x", e.Size, e.Len, s.RIP)
		return
	}
	c.flags = sys.RunSetState
	p := c.describe(s)
	index, segment := virt.RSI, int(e.Segment)
	if e.In {
		index, segment = virt.RDI, virt.ES
	}
	step := uint64(e.Size)
	if s.RFLAGS&rflagsDF != 0 {
		step = -step
	}
	for range maxElements {
		if e.Rep && s.GPR[virt.RCX]&mask == 0 {
			break
		}
		if err := c.element(s, p, segment, s.GPR[index]&mask); err != nil {
			c.segmentFault(s, segment, err)
			return
		}
		setMasked(&s.GPR[index], s.GPR[index]+step, mask)
		if !e.Rep {
			break
		}
		setMasked(&s.GPR[virt.RCX], s.GPR[virt.RCX]-1, mask)
		if c.in.stopping.Load() {
			return
		}
	}
	if e.Rep && s.GPR[virt.RCX]&mask != 0 {
		return // there is more: the instruction exits again
	}
	s.RIP += uint64(e.Len)
	switch p.Mode {
	case mmio.Mode16:
		s.RIP &= 0xFFFF
	case mmio.Mode32:
		s.RIP &= 0xFFFF_FFFF
	}
	c.retire(s)
}

// setMasked writes the part of a register that an address size has: of 4 bytes, the rest is cleared.
func setMasked(r *uint64, v, mask uint64) {
	if mask == 0xFFFF {
		*r = *r&^mask | v&mask
		return
	}
	*r = v & mask
}

// element moves one element between the port and offset of a segment. The addresses are translated
// before the port is touched, since that can't be undone.
func (c *vcpu) element(s *virt.State, p *mmio.CPU, segment int, offset uint64) error {
	e := &s.Exit
	size := uint64(e.Size)
	linear, err := segmented(s, p, segment, offset, size, e.In)
	if err != nil {
		return err
	}
	access := mmio.ForRead
	if e.In {
		access = mmio.ForWrite
	}
	first := min(size, pageSize-linear%pageSize)
	gpa, err := mmio.Translate(c.in.memory, p, linear, access)
	if err != nil {
		return err
	}
	var second uint64
	if first < size {
		next := linear + first
		if p.Mode != mmio.Mode64 {
			next &= 0xFFFF_FFFF
		}
		if second, err = mmio.Translate(c.in.memory, p, next, access); err != nil {
			return err
		}
	}
	buf := c.buf[:size&7]
	bus := &c.in.board.bus
	if e.In {
		v := bus.In(e.Port, int(size))
		for i := range buf {
			buf[i] = byte(v >> (8 * i))
		}
		c.store(gpa, buf[:first])
		c.store(second, buf[first:])
		return nil
	}
	c.load(gpa, buf[:first])
	c.load(second, buf[first:])
	var v uint32
	for i, b := range buf {
		v |= uint32(b) << (8 * i)
	}
	bus.Out(e.Port, int(size), v)
	return nil
}

// load reads RAM, or ones where there is none: string I/O doesn't reach other devices.
func (c *vcpu) load(gpa uint64, b []byte) {
	if len(b) != 0 && c.in.memory.ReadAt(b, gpa) != nil {
		for i := range b {
			b[i] = 0xFF
		}
	}
}

// store writes RAM, where there is some.
func (c *vcpu) store(gpa uint64, b []byte) {
	if len(b) != 0 {
		c.in.memory.WriteAt(b, gpa)
	}
}

// segmented is the linear address of size bytes at an offset of a segment, checked as the processor
// checks it: in 64-bit mode it must be canonical, else within the segment and of its type (SDM 3A
// 5.3, 5.5). Real mode has limits as well.
func segmented(s *virt.State, p *mmio.CPU, segment int, offset, size uint64, write bool) (uint64, error) {
	g := &s.Seg[segment&7]
	last := offset + size - 1
	if p.Mode == mmio.Mode64 {
		linear := offset
		if segment == virt.FS || segment == virt.GS {
			linear += g.Base
		}
		if !canonical(linear) || !canonical(linear+size-1) {
			return 0, errSegment
		}
		return linear, nil
	}
	data := g.Attr&segCode == 0
	bad := g.Attr&segUnusable != 0 || last > 0xFFFF_FFFF
	if s.CR0&cr0PE != 0 && s.RFLAGS&rflagsVM == 0 {
		bad = bad || write && (!data || g.Attr&segWritable == 0) || !write && !data && g.Attr&segReadable == 0
	}
	if data && g.Attr&segExpandDown != 0 {
		top := uint64(0xFFFF)
		if g.Attr&segBig != 0 {
			top = 0xFFFF_FFFF
		}
		bad = bad || offset <= uint64(g.Limit) || last > top
	} else {
		bad = bad || last > uint64(g.Limit)
	}
	if bad {
		return 0, errSegment
	}
	return (g.Base + offset) & 0xFFFF_FFFF, nil
}

// segmentFault gives the guest the exception that a string instruction ends with.
func (c *vcpu) segmentFault(s *virt.State, segment int, err error) {
	switch {
	case err != errSegment:
		c.fault(s, err)
	case segment == virt.SS:
		c.event = virt.ExceptionCode(vecSS, 0)
	default:
		c.event = virt.ExceptionCode(vecGP, 0)
	}
}

// canonical says whether bits 63:47 of a linear address are equal.
func canonical(x uint64) bool { return uint64(int64(x)<<16>>16) == x }
