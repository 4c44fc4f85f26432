package vmx

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// Control-register bits that the guest doesn't set in the processor itself: those that VMX operation
// fixes, CD and NW, which VM entry doesn't switch, MCE, which is the host's, and every bit of CR4
// that the model doesn't have. A MOV that would change one as the guest sees it exits.
const (
	cr0HostOwned = amd64.CR0_NE | amd64.CR0_CD | amd64.CR0_NW
	cr4HostOwned = ^uint64(cr4Model) | amd64.CR4_MCE

	cr0Defined = amd64.CR0_PE | amd64.CR0_MP | amd64.CR0_EM | amd64.CR0_TS | amd64.CR0_ET |
		amd64.CR0_NE | amd64.CR0_WP | amd64.CR0_AM | amd64.CR0_NW | amd64.CR0_CD | amd64.CR0_PG

	cr4VME = 1 << 0
	cr4PVI = 1 << 1
	cr4TSD = 1 << 2
	cr4PCE = 1 << 8

	cr4Model = cr4VME | cr4PVI | cr4TSD | amd64.CR4_DE | amd64.CR4_PSE | amd64.CR4_PAE |
		amd64.CR4_MCE | amd64.CR4_PGE | cr4PCE | amd64.CR4_OSFXSR | amd64.CR4_OSXMMEXCPT |
		amd64.CR4_UMIP | amd64.CR4_FSGSBASE | amd64.CR4_PCIDE | amd64.CR4_OSXSAVE |
		amd64.CR4_SMEP | amd64.CR4_SMAP

	// A change of these drops cached translations or reloads the PDPTEs.
	cr4Paging = amd64.CR4_PSE | amd64.CR4_PAE | amd64.CR4_PGE | amd64.CR4_PCIDE | amd64.CR4_SMEP | amd64.CR4_SMAP
)

// Access types of a control-register exit (SDM 3C table 28-3).
const (
	crMovTo   = 0
	crMovFrom = 1
	crCLTS    = 2
	crLMSW    = 3
)

// realCR0 is the CR0 that the processor has while the guest sees cr0.
func realCR0(cr0 uint64) uint64 {
	return cr0&^(amd64.CR0_CD|amd64.CR0_NW) | amd64.CR0_NE | amd64.CR0_ET
}

// realCR4 is the CR4 that the processor has while the guest sees cr4. A machine check while MCE is
// clear would reset the machine, so MCE is the host's.
func realCR4(cr4 uint64) uint64 {
	return cr4&^amd64.CR4_MCE | amd64.ReadCR4()&amd64.CR4_MCE | amd64.CR4_VMXE
}

// HandleCR executes the access of a KindCR exit, without Skip. It returns false where the value is
// one that the model refuses: the caller injects #GP(0) instead.
func (v *VCPU) HandleCR(s *virt.State) (ok bool) {
	q := s.Exit.Qual
	reg := int(q>>8) & 15
	switch q >> 4 & 3 {
	case crMovTo:
		x := s.GPR[reg]
		if reg == virt.RSP {
			x = v.rN(GUEST_RSP)
		}
		switch q & 15 {
		case 0:
			return v.setCR0(x)
		case 4:
			return v.setCR4(x)
		}
	case crCLTS:
		return v.setCR0(v.CR0() &^ amd64.CR0_TS)
	case crLMSW: // can set PE but not clear it
		const low = amd64.CR0_PE | amd64.CR0_MP | amd64.CR0_EM | amd64.CR0_TS
		old := v.CR0()
		return v.setCR0(old&^(low&^amd64.CR0_PE) | q>>16&low)
	}
	return false // nothing else exits
}

// setCR0 is MOV to CR0 (SDM 2B MOV control registers, SDM 3A 10.8.5 and 4.4.1).
func (v *VCPU) setCR0(cr0 uint64) (ok bool) {
	if cr0>>32 != 0 {
		return false
	}
	cr0 = cr0&cr0Defined | amd64.CR0_ET
	old, cr4, efer := v.CR0(), v.rN(GUEST_CR4), v.r64(GUEST_IA32_EFER)
	if !validCR0(old, cr0, cr4, efer, v.r32(GUEST_CS_ACCESS_RIGHTS)) {
		return false
	}
	changed := old ^ cr0
	long := efer&amd64.EFER_LME != 0 && cr0&amd64.CR0_PG != 0
	if cr0&amd64.CR0_PG != 0 && cr4&amd64.CR4_PAE != 0 && !long &&
		changed&(amd64.CR0_PG|amd64.CR0_CD|amd64.CR0_NW) != 0 {
		if !v.loadPDPTEs(v.rN(GUEST_CR3)) {
			return false
		}
	}
	if changed&amd64.CR0_PG != 0 {
		v.setLongMode(efer&^amd64.EFER_LMA, long)
	}
	v.wN(GUEST_CR0, realCR0(cr0))
	v.wN(CR0_READ_SHADOW, cr0)
	if changed&(amd64.CR0_PG|amd64.CR0_WP|amd64.CR0_PE) != 0 {
		v.forget()
	}
	return true
}

// validCR0 says whether CR0 may go from old to cr0, whose reserved bits are dealt with.
func validCR0(old, cr0, cr4, efer uint64, csRights uint32) bool {
	pg, wasPG := cr0&amd64.CR0_PG != 0, old&amd64.CR0_PG != 0
	switch {
	case pg && cr0&amd64.CR0_PE == 0:
		return false
	case cr0&amd64.CR0_NW != 0 && cr0&amd64.CR0_CD == 0:
		return false
	case pg && !wasPG && efer&amd64.EFER_LME != 0:
		return cr4&amd64.CR4_PAE != 0 && csRights&segLong == 0
	case !pg && wasPG && efer&amd64.EFER_LMA != 0:
		return cr4&amd64.CR4_PCIDE == 0 && csRights&segLong == 0
	}
	return true
}

// setCR4 is MOV to CR4.
func (v *VCPU) setCR4(cr4 uint64) (ok bool) {
	old, cr0, cr3, efer := v.CR4(), v.rN(GUEST_CR0), v.rN(GUEST_CR3), v.r64(GUEST_IA32_EFER)
	if cr4&^caps.cr4May != 0 || !validCR4(old, cr4, cr3, efer) {
		return false
	}
	changed := old ^ cr4
	if cr0&amd64.CR0_PG != 0 && cr4&amd64.CR4_PAE != 0 && efer&amd64.EFER_LMA == 0 &&
		changed&cr4Paging != 0 {
		if !v.loadPDPTEs(cr3) {
			return false
		}
	}
	v.wN(GUEST_CR4, realCR4(cr4))
	v.wN(CR4_READ_SHADOW, cr4)
	if changed&cr4Paging != 0 {
		v.forget()
	}
	return true
}

// validCR4 says whether CR4 may go from old to cr4.
func validCR4(old, cr4, cr3, efer uint64) bool {
	switch {
	case cr4&^cr4Model != 0:
		return false
	case efer&amd64.EFER_LMA != 0 && cr4&amd64.CR4_PAE == 0:
		return false
	case cr4&amd64.CR4_PCIDE != 0 && old&amd64.CR4_PCIDE == 0:
		return efer&amd64.EFER_LMA != 0 && cr3&0xFFF == 0
	}
	return true
}

// loadPDPTEs reads the four entries of a PAE guest's top table, at CR3 in its memory, into the VMCS,
// as the processor does at a MOV to CR3 (SDM 3A 4.4.1). It returns false, and changes nothing, where
// one is invalid or CR3 points at no memory.
func (v *VCPU) loadPDPTEs(cr3 uint64) (ok bool) {
	pa, ok := v.HostPhys(cr3 & 0xFFFF_FFE0)
	if !ok {
		return false
	}
	for i := uint64(0); i < 4; i++ {
		if !validPDPTE(peek64(pa+8*i), caps.physicalBits) {
			return false
		}
	}
	for i := uint64(0); i < 4; i++ {
		v.w64(GUEST_PDPTE0+Field64(2*i), peek64(pa+8*i))
	}
	return true
}

// validPDPTE says whether no reserved bit of a present PDPTE is set (SDM 3A table 4-8).
func validPDPTE(e uint64, physicalBits uint32) bool {
	return e&amd64.PTE_P == 0 || e&0x1E6 == 0 && e>>(physicalBits&63) == 0
}
