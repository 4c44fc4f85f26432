package vm

import (
	"errors"

	"keel/arch/amd64/virt"
	"keel/vmkernel/sys"
	"keel/vmkernel/vm/acpitable"
	"keel/vmkernel/vm/mmio"
)

// Bits of RFLAGS, CR0, DR6, DR7, of a segment's attributes (SDM 3C 25.4.1) and of the
// interruptibility state that this package looks at.
const (
	rflagsTF = 1 << 8
	rflagsDF = 1 << 10
	rflagsRF = 1 << 16
	rflagsVM = 1 << 17
	cr0PE    = 1 << 0
	dr6BS    = 1 << 14
	dr7Any   = 0xFF

	segWritable   = 1 << 1 // of data
	segExpandDown = 1 << 2 // of data
	segReadable   = 1 << 1 // of code
	segCode       = 1 << 3
	segLong       = 1 << 13
	segBig        = 1 << 14
	segUnusable   = 1 << 16

	shadow = 3 // blocked by STI or MOV SS
)

// Vectors of exceptions.
const (
	vecDB = 1
	vecSS = 12
	vecGP = 13
	vecPF = 14
)

// mmio carries out the instruction behind an access to guest-physical addresses without RAM.
func (c *vcpu) mmio(s *virt.State) {
	if c.absent(s) {
		return // it tries again
	}
	p := c.describe(s)
	if err := c.emulator.Handle(p, s.Exit.GPA); err != nil {
		c.fault(s, err)
		return
	}
	retired := p.RIP != s.RIP // an iteration of a string instruction isn't an instruction
	rflags, rsp := s.RFLAGS, s.GPR[virt.RSP]
	s.GPR, s.RIP, s.RFLAGS = p.GPR, p.RIP, p.RFLAGS
	changed := s.RFLAGS ^ rflags
	if s.DR7&dr7Any == 0 {
		changed &^= rflagsRF // it holds nothing back
	}
	c.flags = sys.RunSetRIP
	if changed != 0 || s.GPR[virt.RSP] != rsp {
		c.flags = sys.RunSetState
	}
	if retired {
		c.retire(s)
	}
}

// retire does what ends an instruction beside moving RIP: interrupts that STI or MOV SS held off may
// come, and a single step traps.
func (c *vcpu) retire(s *virt.State) {
	if s.Interruptibility&shadow != 0 {
		s.Interruptibility &^= shadow
		c.flags = sys.RunSetState
	}
	if s.RFLAGS&rflagsTF != 0 {
		s.DR6 |= dr6BS
		c.flags, c.event = sys.RunSetState, virt.Exception(vecDB)
	}
}

// fault gives a page fault to the guest; any other error is the VM's end.
func (c *vcpu) fault(s *virt.State, err error) {
	var pf *mmio.PageFault
	if !errors.As(err, &pf) {
		c.crash("%v", err)
		return
	}
	s.CR2 = pf.Linear
	c.flags, c.event = sys.RunSetState, virt.ExceptionCode(vecPF, pf.Code)
}

// describe is s as package mmio needs it.
func (c *vcpu) describe(s *virt.State) *mmio.CPU {
	p := &c.cpu
	p.GPR, p.RIP, p.RFLAGS = s.GPR, s.RIP, s.RFLAGS
	p.CR0, p.CR3, p.CR4, p.EFER = s.CR0, s.CR3, s.CR4, s.EFER
	for i := range p.Base {
		p.Base[i] = s.Seg[i].Base
	}
	cs := s.Seg[virt.CS].Attr
	p.Mode = mmio.ModeOf(s.EFER, cs&segLong != 0, cs&segBig != 0)
	switch {
	case s.CR0&cr0PE == 0:
		p.CPL = 0
	case s.RFLAGS&rflagsVM != 0:
		p.CPL = 3
	default:
		p.CPL = uint8(s.Seg[virt.SS].Attr >> 5 & 3)
	}
	return p
}

// A space is what a processor reaches where there is no RAM: its local APIC, the I/O APIC, and the
// devices on the Bus. It is a device.MMIODevice.
type space struct{ c *vcpu }

// Pages of the lower half's devices.
const (
	pageSize   = 4096
	pageAPIC   = acpitable.LocalAPIC / pageSize
	pageIOAPIC = acpitable.IOAPIC / pageSize
)

func lowerHalf(gpa uint64) bool { return gpa/pageSize == pageAPIC || gpa/pageSize == pageIOAPIC }

// Read reads size bytes, 1 to 8. Registers of the APICs have 32 bits, of which a part may be read;
// what lies across two of them reads zero beyond the first.
func (m *space) Read(gpa uint64, size int) uint64 {
	c := m.c
	if !lowerHalf(gpa) {
		return c.in.board.bus.Read(gpa, size)
	}
	v := uint64(c.in.backend.ReadRegister(c.in.handle, c.index, gpa&^3))
	return v >> (8 * (gpa & 3))
}

// Write writes size bytes. Registers of the APICs take only whole writes (SDM 3A 11.4.1); what else
// comes to them is ignored, and of 8 bytes those above the register.
func (m *space) Write(gpa uint64, size int, v uint64) {
	c := m.c
	if !lowerHalf(gpa) {
		c.in.board.bus.Write(gpa, size, v)
		return
	}
	if gpa&3 == 0 && size >= 4 {
		c.in.backend.WriteRegister(c.in.handle, c.index, gpa, uint32(v))
	}
}
