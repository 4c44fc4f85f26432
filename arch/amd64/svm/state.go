package svm

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// Bits of virt.Segment.Attr that the conversion treats by name (SDM 3C table 25-2).
const attrUnusable = 1 << 16

// Bits of virt.State.Interruptibility (SDM 3C table 25-3).
const (
	blockSTI   = 1 << 0
	blockMOVSS = 1 << 1
	blockNMI   = 1 << 3
)

// SetState makes s the guest's state, all of it but what SwitchIn loads and the XSAVE area. Nothing
// that was pending to be injected remains.
func (v *VCPU) SetState(s *virt.State) {
	c := v.vmcb()
	c.RAX, c.RSP = s.GPR[virt.RAX], s.GPR[virt.RSP]
	c.RIP, c.RFLAGS = s.RIP, s.RFLAGS|flagFixed
	c.CR0, c.CR2, c.CR3 = s.CR0|amd64.CR0_ET, s.CR2, s.CR3
	v.storeCR4(c, s.CR4)
	c.EFER = s.EFER&^amd64.EFER_LMA | amd64.EFER_SVME
	if s.EFER&amd64.EFER_LME != 0 && s.CR0&amd64.CR0_PG != 0 {
		c.EFER |= amd64.EFER_LMA
	}
	c.DR6, c.DR7 = s.DR6|dr6Fixed, s.DR7|dr7Fixed
	setSegment(&c.ES, &s.Seg[virt.ES])
	setSegment(&c.CS, &s.Seg[virt.CS])
	setSegment(&c.SS, &s.Seg[virt.SS])
	setSegment(&c.DS, &s.Seg[virt.DS])
	setSegment(&c.FS, &s.Seg[virt.FS])
	setSegment(&c.GS, &s.Seg[virt.GS])
	setSegment(&c.LDTR, &s.Seg[virt.LDTR])
	setSegment(&c.TR, &s.Seg[virt.TR])
	c.GDTR.Base, c.GDTR.Limit = s.GDTR.Base, s.GDTR.Limit
	c.IDTR.Base, c.IDTR.Limit = s.IDTR.Base, s.IDTR.Limit
	switch {
	case s.CR0&amd64.CR0_PE == 0:
		c.CPL = 0
	case s.RFLAGS&flagVM != 0:
		c.CPL = 3
	default:
		c.CPL = uint8(s.Seg[virt.SS].Attr >> 5 & 3)
	}
	c.STAR, c.LSTAR, c.CSTAR, c.SFMASK = s.STAR, s.LSTAR, s.CSTAR, s.SFMASK
	c.KernelGSBase = s.KernelGSBase
	c.SysenterCS, c.SysenterESP, c.SysenterEIP = s.SysenterCS, s.SysenterESP, s.SysenterEIP
	c.GPAT = s.PAT
	c.IntShadow = 0
	if s.Interruptibility&(blockSTI|blockMOVSS) != 0 {
		c.IntShadow = intShadow
	}
	v.event = 0
	v.setNMIMasked(c, s.Interruptibility&blockNMI != 0)
	c.Clean = 0
	v.flush, v.suspect = true, true
	if s.Loaded != 0 {
		v.loadRegisters(s)
	}
}

// Save brings the guest's state into s, all of it but the XSAVE area and Activity and XCR0, which
// are the caller's own.
func (v *VCPU) Save(s *virt.State) {
	c := v.vmcb()
	s.GPR[virt.RAX], s.GPR[virt.RSP] = c.RAX, c.RSP
	s.RIP, s.RFLAGS = c.RIP, c.RFLAGS
	s.CR0, s.CR2, s.CR3, s.CR4 = c.CR0, c.CR2, c.CR3, v.CR4()
	s.EFER = c.EFER &^ amd64.EFER_SVME
	s.DR6, s.DR7 = c.DR6, c.DR7
	segment(&s.Seg[virt.ES], &c.ES)
	segment(&s.Seg[virt.CS], &c.CS)
	segment(&s.Seg[virt.SS], &c.SS)
	segment(&s.Seg[virt.DS], &c.DS)
	segment(&s.Seg[virt.FS], &c.FS)
	segment(&s.Seg[virt.GS], &c.GS)
	segment(&s.Seg[virt.LDTR], &c.LDTR)
	segment(&s.Seg[virt.TR], &c.TR)
	// The processor keeps the privilege level apart from SS, and TR's type needn't be a busy one.
	s.Seg[virt.SS].Attr = s.Seg[virt.SS].Attr&^(3<<5) | uint32(c.CPL&3)<<5
	s.Seg[virt.TR].Attr |= 1 << 1
	s.GDTR.Base, s.GDTR.Limit = c.GDTR.Base, c.GDTR.Limit
	s.IDTR.Base, s.IDTR.Limit = c.IDTR.Base, c.IDTR.Limit
	s.STAR, s.LSTAR, s.CSTAR, s.SFMASK = c.STAR, c.LSTAR, c.CSTAR, c.SFMASK
	s.KernelGSBase = c.KernelGSBase
	s.SysenterCS, s.SysenterESP, s.SysenterEIP = c.SysenterCS, c.SysenterESP, c.SysenterEIP
	s.PAT = c.GPAT
	s.Interruptibility = 0
	if c.IntShadow&intShadow != 0 {
		s.Interruptibility = blockSTI
	}
	if v.nmi.masked {
		s.Interruptibility |= blockNMI
	}
	if s.Loaded != 0 {
		saveDebug(s)
	}
}

// setSegment converts from the format of VT-x: its bits 15:12 are bits 11:8 here, and an unusable
// segment is one that isn't present.
func setSegment(to *Segment, from *virt.Segment) {
	to.Selector, to.Limit, to.Base = from.Selector, from.Limit, from.Base
	to.Attrib = uint16(from.Attr&0xFF | from.Attr>>4&0xF00)
	if from.Attr&attrUnusable != 0 {
		to.Attrib &^= attribP
	}
}

// segment converts to the format of VT-x. The granularity bit follows from the limit, since
// processors needn't keep it.
func segment(to *virt.Segment, from *Segment) {
	to.Selector, to.Limit, to.Base = from.Selector, from.Limit, from.Base
	a := uint32(from.Attrib)
	a = a&0xFF | a&0x700<<4
	if from.Limit > 0xFFFFF {
		a |= attribG << 4
	}
	if a&attribP == 0 {
		a |= attrUnusable
	}
	to.Attr = a
}
