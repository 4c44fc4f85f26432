package vmx

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// Bits of a segment's access rights (SDM 3C 25.4.1).
const (
	segPresent  = 1 << 7
	segLong     = 1 << 13
	segUnusable = 1 << 16
)

// SetState makes all of s that the VMCS holds the guest's state, and forgets any event that was to
// be injected. GPR, X14 and X15 are taken at each Enter; what SwitchIn loads is taken there, so a new
// state for that is set while s isn't loaded, but for CR2. s.Activity isn't used: a guest that is not active is not entered.
func (v *VCPU) SetState(s *virt.State) {
	v.wN(GUEST_RSP, s.GPR[virt.RSP])
	v.wN(GUEST_RIP, s.RIP)
	v.wN(GUEST_RFLAGS, s.RFLAGS|2)
	v.wN(GUEST_CR0, realCR0(s.CR0))
	v.wN(CR0_READ_SHADOW, s.CR0)
	v.wN(GUEST_CR3, s.CR3)
	v.wN(GUEST_CR4, realCR4(s.CR4))
	v.wN(CR4_READ_SHADOW, s.CR4)
	efer := s.EFER &^ amd64.EFER_LMA
	long := s.CR0&amd64.CR0_PG != 0 && efer&amd64.EFER_LME != 0
	v.setLongMode(efer, long)
	if s.CR0&amd64.CR0_PG != 0 && s.CR4&amd64.CR4_PAE != 0 && !long {
		v.loadPDPTEs(s.CR3)
	}
	v.wN(GUEST_DR7, s.DR7&0xFFFF_FFFF)
	for i := range uint32(8) {
		g := &s.Seg[i&7]
		attr := g.Attr
		if attr&segPresent == 0 && i != virt.CS && i != virt.TR {
			attr |= segUnusable
		}
		v.w16(GUEST_ES_SELECTOR+Field16(2*i), g.Selector)
		v.wN(GUEST_ES_BASE+FieldNatural(2*i), g.Base)
		v.w32(GUEST_ES_LIMIT+Field32(2*i), g.Limit)
		v.w32(GUEST_ES_ACCESS_RIGHTS+Field32(2*i), attr)
	}
	v.wN(GUEST_GDTR_BASE, s.GDTR.Base)
	v.w32(GUEST_GDTR_LIMIT, s.GDTR.Limit)
	v.wN(GUEST_IDTR_BASE, s.IDTR.Base)
	v.w32(GUEST_IDTR_LIMIT, s.IDTR.Limit)
	v.w32(GUEST_IA32_SYSENTER_CS, uint32(s.SysenterCS))
	v.wN(GUEST_IA32_SYSENTER_ESP, s.SysenterESP)
	v.wN(GUEST_IA32_SYSENTER_EIP, s.SysenterEIP)
	v.w64(GUEST_IA32_PAT, s.PAT)

	if s.Loaded != 0 {
		amd64.WriteCR2(s.CR2)
	}
	v.known |= knownInterruptible
	v.rflags = s.RFLAGS
	v.setInterruptibility(uint32(s.Interruptibility) & (blockedBySTI | blockedByMovSS | blockedByNMI))
	v.w32(GUEST_ACTIVITY_STATE, 0)
	v.wN(GUEST_PENDING_DEBUG_EXCEPTIONS, pendingDebug(v.rflags, v.interruptibility))
	v.w32(VM_ENTRY_INTERRUPTION_INFO, 0)
	v.injecting = false
	v.forget()
}

// Save copies the guest's state from the VMCS to s: everything but what Enter and SwitchOut
// put there, and Activity.
func (v *VCPU) Save(s *virt.State) {
	saveRest(s)
	s.GPR[virt.RSP] = v.rN(GUEST_RSP)
	s.RIP = v.rN(GUEST_RIP)
	s.RFLAGS = v.rN(GUEST_RFLAGS)
	s.CR0 = v.CR0()
	s.CR3 = v.rN(GUEST_CR3)
	s.CR4 = v.CR4()
	s.EFER = v.r64(GUEST_IA32_EFER)
	s.DR7 = v.rN(GUEST_DR7)
	for i := range uint32(8) {
		g := &s.Seg[i&7]
		g.Selector = v.r16(GUEST_ES_SELECTOR + Field16(2*i))
		g.Base = v.rN(GUEST_ES_BASE + FieldNatural(2*i))
		g.Limit = v.r32(GUEST_ES_LIMIT + Field32(2*i))
		g.Attr = v.r32(GUEST_ES_ACCESS_RIGHTS + Field32(2*i))
	}
	s.GDTR.Base = v.rN(GUEST_GDTR_BASE)
	s.GDTR.Limit = v.r32(GUEST_GDTR_LIMIT)
	s.IDTR.Base = v.rN(GUEST_IDTR_BASE)
	s.IDTR.Limit = v.r32(GUEST_IDTR_LIMIT)
	s.SysenterCS = uint64(v.r32(GUEST_IA32_SYSENTER_CS))
	s.SysenterESP = v.rN(GUEST_IA32_SYSENTER_ESP)
	s.SysenterEIP = v.rN(GUEST_IA32_SYSENTER_EIP)
	s.PAT = v.r64(GUEST_IA32_PAT)
	s.Interruptibility = uint64(v.r32(GUEST_INTERRUPTIBILITY_STATE))
}

// CR0 is the guest's CR0 as the guest sees it.
func (v *VCPU) CR0() uint64 {
	return v.rN(GUEST_CR0)&^cr0HostOwned | v.rN(CR0_READ_SHADOW)&cr0HostOwned
}

// CR4 is the guest's CR4 as the guest sees it: CPUID.1:ECX.OSXSAVE shows a bit of it.
func (v *VCPU) CR4() uint64 {
	return v.rN(GUEST_CR4)&^cr4HostOwned | v.rN(CR4_READ_SHADOW)&cr4HostOwned
}

// RIP is the guest's RIP.
func (v *VCPU) RIP() uint64 { return v.rN(GUEST_RIP) }

// SetRIP changes the guest's RIP.
func (v *VCPU) SetRIP(rip uint64) { v.wN(GUEST_RIP, rip) }

// setLongMode writes EFER, whose LMA bit is given apart, and the VM-entry control that must agree
// with it. (The processor itself keeps the control when the guest changes mode: unrestricted guest
// implies that, SDM 3C A.6.)
func (v *VCPU) setLongMode(efer uint64, long bool) {
	entry := v.r32(VM_ENTRY_CONTROLS) &^ entryIA32e
	if long {
		entry |= entryIA32e
		efer |= amd64.EFER_LMA
	}
	v.w64(GUEST_IA32_EFER, efer)
	v.w32(VM_ENTRY_CONTROLS, entry)
}

// pendingDebug is what the pending debug exceptions must be for an entry with RFLAGS.TF set while
// STI or MOV SS blocks (SDM 3C 27.3.1.5): the single-step trap still to come.
func pendingDebug(rflags uint64, interruptibility uint32) uint64 {
	if rflags&rflagsTF != 0 && interruptibility&(blockedBySTI|blockedByMovSS) != 0 {
		return pendingBS
	}
	return 0
}

// Skip moves the guest past the instruction that exited, s.Exit.Len bytes on, as the processor does
// when it retires one: interrupts that STI or MOV SS held off may come, and RFLAGS.TF traps.
// A caller that decoded the instruction itself sets s.Exit.Len first. Of CPUID and of accesses to a
// port but for strings, Enter has done most of that already: they must be skipped, and once.
func (v *VCPU) Skip(s *virt.State) {
	if v.rare != 0 {
		v.skipRest(s)
	}
}

// Unfinished says whether an instruction that exited needs its Skip for anything.
func (v *VCPU) Unfinished() bool { return v.rare != 0 }

func (v *VCPU) skipRest(s *virt.State) {
	rare := v.rare
	if rare == notRetired {
		rare = advance(v, s)
	}
	if rare != 0 {
		v.skipRare(rare)
	}
}

// skipBlocking is what an instruction's end takes back.
const skipBlocking = blockedBySTI | blockedByMovSS

func (v *VCPU) skipRare(rare uint64) {
	if rare>>32 != 0 && (v.r32(VM_ENTRY_CONTROLS)&entryIA32e == 0 || v.r32(GUEST_CS_ACCESS_RIGHTS)&segLong == 0) {
		// Outside 64-bit code RIP has 32 bits, and a VM entry insists on it.
		v.SetRIP(v.RIP() & 0xFFFF_FFFF)
	}
	if rare&skipBlocking != 0 {
		v.setInterruptibility(v.interruptibility &^ skipBlocking)
	}
	if rare&rflagsTF != 0 {
		v.wN(GUEST_PENDING_DEBUG_EXCEPTIONS, v.rN(GUEST_PENDING_DEBUG_EXCEPTIONS)|pendingBS)
	}
}

func (v *VCPU) setInterruptibility(x uint32) {
	v.interruptibility = x
	v.w32(GUEST_INTERRUPTIBILITY_STATE, x)
}
