package svm

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// HandleCR does the move to CR4 or CR8 behind an exit of KindCR and skips it. It returns false where
// the guest gets #GP(0) instead.
func (v *VCPU) HandleCR(s *virt.State) bool {
	c := v.vmcb()
	if s.Exit.Len == 0 {
		return false
	}
	val := s.GPR[s.Exit.Vector&0xF]
	if !c.long() {
		val &= 0xFFFF_FFFF
	}
	switch s.Exit.Reason - exitWriteCR {
	case 4:
		if !v.setCR4(c, val) {
			return false
		}
	case 8:
		if val&^vTPR != 0 {
			return false
		}
		c.VIntr = c.VIntr&^vTPR | val
		c.Clean &^= cleanTPR
		if v.apic != 0 {
			v.storeTPR(c)
		}
	default:
		return false
	}
	v.Skip(s)
	return true
}

// decodeCR takes the move to or from a control register apart: Vector is the number of the general
// register. Len stays 0 where the instruction can't be read.
func (v *VCPU) decodeCR(c *VMCB, e *virt.Exit) {
	cr := int(e.Reason & 0xF)
	e.Write = e.Reason >= exitWriteCR
	e.Kind, e.Vector = virt.KindCR, 0
	if cr == 8 && v.apic == 0 {
		e.Kind = virt.KindCR8
	}
	if v.features&featDecodeAssists != 0 && v.features&featNRIPSave != 0 && c.NRIP != 0 && c.ExitInfo1>>63 != 0 {
		e.Vector, e.Len = uint32(c.ExitInfo1&0xF), uint32(c.NRIP-c.RIP)&0xF
		return
	}
	lo, hi, n := v.Fetch()
	found, gpr, length, ok := moveCR(lo, hi, n, c.long(), e.Write)
	if ok && found == cr {
		e.Vector, e.Len = uint32(gpr), length
	} else if e.Kind == virt.KindCR8 {
		e.Kind = virt.KindProtection // HandleCR says the same of KindCR
	}
}

// tlbBits are the bits of CR4 whose change invalidates translations (APM 2 5.5.2).
const tlbBits = amd64.CR4_PSE | amd64.CR4_PAE | amd64.CR4_PGE | amd64.CR4_PCIDE | amd64.CR4_SMEP | amd64.CR4_SMAP

// setCR4 sets CR4 as the guest asks, or returns false where the processor would raise #GP
// (APM 2 3.1.3, 5.5.1).
func (v *VCPU) setCR4(c *VMCB, val uint64) bool {
	long := c.EFER&amd64.EFER_LMA != 0
	switch {
	case val&^v.cr4 != 0,
		long && val&amd64.CR4_PAE == 0,
		val&^c.CR4&amd64.CR4_PCIDE != 0 && (!long || c.CR3&0xFFF != 0):
		return false
	}
	if (val^c.CR4)&tlbBits != 0 {
		v.flush = true
	}
	c.CR4 = val
	c.Clean &^= cleanCRx
	return true
}
