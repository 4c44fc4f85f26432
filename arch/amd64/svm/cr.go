package svm

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// HandleCR executes the access of a KindCR exit, without Skip. It returns false where the value is
// one that the model refuses: the caller injects #GP(0) instead.
func (v *VCPU) HandleCR(s *virt.State) (ok bool) {
	c, e := v.vmcb(), &s.Exit
	if e.Len == 0 {
		return false // another instruction by now
	}
	reg := &s.GPR[e.Vector&0xF]
	if !e.Write {
		*reg = v.CR4()
		return true
	}
	val := *reg
	if !c.long() {
		val &= 0xFFFF_FFFF
	}
	if e.Reason == exitCR0SelWrite {
		return v.setCR0(c, val)
	}
	return v.setCR4(c, val)
}

// CR0 is the guest's CR0.
func (v *VCPU) CR0() uint64 { return v.vmcb().CR0 }

// CR4 is the guest's CR4 as the guest sees it.
func (v *VCPU) CR4() uint64 {
	cr4 := v.vmcb().CR4
	if v.hideMCE {
		cr4 &^= amd64.CR4_MCE
	}
	return cr4
}

// storeCR4 makes cr4 what the guest sees. MCE is the host's, since a machine check while it is clear
// would shut the processor down; while the guest believes it to be, reads of CR4 leave the guest.
func (v *VCPU) storeCR4(c *VMCB, cr4 uint64) {
	c.CR4 = cr4 | amd64.CR4_MCE
	c.Clean &^= cleanCRx
	v.hideMCE = cr4&amd64.CR4_MCE == 0
	v.intercept(c, interceptCR4Read, v.hideMCE)
}

// decodeCR takes the move to or from control register cr apart: Vector is the number of the general
// register. Len stays 0 where the instruction can't be read or is another one.
func (v *VCPU) decodeCR(c *VMCB, e *virt.Exit, cr int, write bool) {
	e.Write = write
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

// writeTPR does a write of CR8 that left the guest because of a threshold.
func (v *VCPU) writeTPR(c *VMCB, s *virt.State) {
	e := &s.Exit
	v.decodeCR(c, e, 8, true)
	val := s.GPR[e.Vector&0xF]
	if e.Len == 0 || val&^vTPR != 0 {
		e.Kind = virt.KindProtection
		return
	}
	c.VIntr = c.VIntr&^vTPR | val
	c.Clean &^= cleanTPR
	v.storeTPR(c)
	v.Skip(s)
	e.Kind, e.Len = virt.KindResume, 0
	if uint8(val) < v.tprLimit {
		e.Kind = virt.KindTPR
	}
}

// interceptCR0 switches the intercept of writes to CR0. It is off until the next exit for LMSW, which
// can make nothing invalid of CR0 (APM 3, LMSW) and is the processor's own to decode.
func (v *VCPU) interceptCR0(c *VMCB, on bool) {
	v.freeCR0 = !on
	c.InterceptMisc1 &^= interceptCR0
	if on {
		c.InterceptMisc1 |= interceptCR0
	}
	c.Clean &^= cleanI
}

// cr0Defined are the bits of CR0 that aren't reserved.
const cr0Defined = amd64.CR0_PE | amd64.CR0_MP | amd64.CR0_EM | amd64.CR0_TS | amd64.CR0_ET |
	amd64.CR0_NE | amd64.CR0_WP | amd64.CR0_AM | amd64.CR0_NW | amd64.CR0_CD | amd64.CR0_PG

// setCR0 sets CR0 as the guest asks, or returns false where the processor would raise #GP
// (APM 2 3.1.1, 14.6.1, 14.7). QEMU doesn't always, and refuses the state at the next VMRUN.
func (v *VCPU) setCR0(c *VMCB, val uint64) bool {
	if val>>32 != 0 {
		return false
	}
	val = val&cr0Defined | amd64.CR0_ET
	changed, code64 := val^c.CR0, c.CS.Attrib&attribL != 0
	efer := c.EFER
	switch {
	case val&amd64.CR0_NW != 0 && val&amd64.CR0_CD == 0:
		return false
	case val&amd64.CR0_PG != 0 && val&amd64.CR0_PE == 0:
		return false
	case changed&val&amd64.CR0_PG != 0 && efer&amd64.EFER_LME != 0:
		if c.CR4&amd64.CR4_PAE == 0 || code64 {
			return false
		}
		efer |= amd64.EFER_LMA
	case changed&^val&amd64.CR0_PG != 0 && efer&amd64.EFER_LMA != 0:
		if code64 || c.CR4&amd64.CR4_PCIDE != 0 {
			return false
		}
		efer &^= amd64.EFER_LMA
	}
	c.CR0, c.EFER = val, efer
	c.Clean &^= cleanCRx
	if changed&(amd64.CR0_PG|amd64.CR0_WP|amd64.CR0_PE) != 0 {
		v.flush = true
	}
	return true
}

// refusedCR3 says of an exit as of a refused entry that the state is good and that the guest's next
// instruction is a MOV to CR3 that must raise #GP for reserved bits: QEMU leaves the guest so instead.
// It is no refused entry unless the guest stands where it was entered, with an event to be injected:
// a #GP that didn't come through.
func (v *VCPU) refusedCR3(c *VMCB, s *virt.State) bool {
	if v.injected && c.RIP == v.entered {
		return false
	}
	if field, _ := v.Check(); field != "" {
		return false
	}
	lo, hi, n := v.Fetch()
	cr, gpr, _, ok := moveCR(lo, hi, n, c.long(), true)
	return ok && cr == 3 && c.CPL == 0 && s.GPR[gpr&0xF]&^v.physMask() != 0
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
	v.storeCR4(c, val)
	return true
}
