package vmx

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// checkGuest checks the guest-state area, for an unrestricted guest (SDM 3C 27.3.1).
func (m *image) checkGuest(c *capabilities) (field, rule string) {
	if field, rule = m.checkRegisters(c); field != "" {
		return
	}
	if m.rflags&rflagsVM != 0 {
		field, rule = m.checkVirtual8086()
	} else {
		field, rule = m.checkSegments()
	}
	if field != "" {
		return
	}
	if field, rule = m.checkTables(); field != "" {
		return
	}
	return m.checkActivity(c)
}

func (m *image) long() bool { return m.entry&entryIA32e != 0 }

// checkRegisters checks control registers, debug registers and MSRs (SDM 3C 27.3.1.1), RIP and
// RFLAGS (27.3.1.4).
func (m *image) checkRegisters(c *capabilities) (field, rule string) {
	must := c.cr0Must &^ (amd64.CR0_PE | amd64.CR0_PG)
	paging := m.cr0&amd64.CR0_PG != 0
	efer := m.efer & (amd64.EFER_LME | amd64.EFER_LMA)
	switch {
	case m.cr0&must != must || m.cr0&^c.cr0May != 0:
		return "GUEST_CR0", "a bit that VMX operation fixes differs"
	case paging && m.cr0&amd64.CR0_PE == 0:
		return "GUEST_CR0", "PG without PE"
	case m.cr4&c.cr4Must != c.cr4Must || m.cr4&^c.cr4May != 0:
		return "GUEST_CR4", "a bit that VMX operation fixes differs, or the processor doesn't have it"
	case m.debugctl&^0xDFC3 != 0:
		return "GUEST_IA32_DEBUGCTL", "a reserved bit is set"
	case m.long() && !paging:
		return "GUEST_CR0", "long mode without PG"
	case m.long() && m.cr4&amd64.CR4_PAE == 0:
		return "GUEST_CR4", "long mode without PAE"
	case !m.long() && m.cr4&amd64.CR4_PCIDE != 0:
		return "GUEST_CR4", "PCIDE outside long mode"
	case m.cr3>>c.physicalBits != 0:
		return "GUEST_CR3", "is beyond the physical addresses"
	case m.dr7>>32 != 0:
		return "GUEST_DR7", "bits 63:32 are not 0"
	case !canonical(m.sysenterESP):
		return "GUEST_IA32_SYSENTER_ESP", "is not canonical"
	case !canonical(m.sysenterEIP):
		return "GUEST_IA32_SYSENTER_EIP", "is not canonical"
	case !validPAT(m.pat):
		return "GUEST_IA32_PAT", "holds a reserved memory type"
	case m.efer&^eferModel != 0:
		return "GUEST_IA32_EFER", "a reserved bit is set"
	case m.long() != (m.efer&amd64.EFER_LMA != 0):
		return "GUEST_IA32_EFER", "LMA disagrees with the VM-entry control"
	case paging && efer != 0 && efer != amd64.EFER_LME|amd64.EFER_LMA:
		return "GUEST_IA32_EFER", "LMA differs from LME with paging on"
	case (!m.long() || m.rights[virt.CS]&segLong == 0) && m.rip>>32 != 0:
		return "GUEST_RIP", "bits 63:32 are not 0 outside 64-bit code"
	case !canonical(m.rip):
		return "GUEST_RIP", "is not canonical"
	case m.rflags&^0x3F7FD7 != 0 || m.rflags&2 == 0:
		return "GUEST_RFLAGS", "a reserved bit is set, or bit 1 is clear"
	case m.rflags&rflagsVM != 0 && (m.long() || m.cr0&amd64.CR0_PE == 0):
		return "GUEST_RFLAGS", "VM in long or real mode"
	case m.injection&(infoValid|0x700) == infoValid && m.rflags&rflagsIF == 0:
		return "GUEST_RFLAGS", "IF is 0 and an interrupt is injected"
	}
	return "", ""
}

// checkVirtual8086 checks the segments of a virtual-8086 guest.
func (m *image) checkVirtual8086() (field, rule string) {
	for i := 0; i <= virt.GS; i++ {
		switch {
		case m.base[i] != uint64(m.selector[i])<<4:
			return segmentNames[i], "base isn't the selector times 16 in virtual-8086 mode"
		case m.limit[i] != 0xFFFF:
			return segmentNames[i], "limit isn't 0xFFFF in virtual-8086 mode"
		case m.rights[i] != 0xF3:
			return segmentNames[i], "access rights aren't 0xF3 in virtual-8086 mode"
		}
	}
	return "", ""
}

var segmentNames = [8]string{"GUEST_ES", "GUEST_CS", "GUEST_SS", "GUEST_DS", "GUEST_FS", "GUEST_GS", "GUEST_LDTR", "GUEST_TR"}

// checkSegments checks ES to GS (SDM 3C 27.3.1.2).
func (m *image) checkSegments() (field, rule string) {
	cs, ss := m.rights[virt.CS], m.rights[virt.SS]
	csDPL, ssDPL := cs>>5&3, ss>>5&3
	for i := 0; i <= virt.GS; i++ {
		rights, kind := m.rights[i], m.rights[i]&15
		usable := rights&segUnusable == 0
		switch {
		case (i == virt.FS || i == virt.GS) && !canonical(m.base[i]):
			return segmentNames[i], "base is not canonical"
		case i == virt.CS && m.base[i]>>32 != 0:
			return segmentNames[i], "base has bits 63:32 set"
		case i == virt.CS && !usable:
			return segmentNames[i], "is unusable"
		}
		if !usable {
			continue
		}
		switch {
		case i != virt.FS && i != virt.GS && m.base[i]>>32 != 0:
			return segmentNames[i], "base has bits 63:32 set"
		case i == virt.CS && kind != 3 && kind&9 != 9:
			return segmentNames[i], "type is neither accessed code nor, in real mode, data"
		case i == virt.SS && kind != 3 && kind != 7:
			return segmentNames[i], "type is not accessed writable data"
		case i != virt.CS && i != virt.SS && (kind&1 == 0 || kind&8 != 0 && kind&2 == 0):
			return segmentNames[i], "type is not accessed and readable"
		case rights&0x10 == 0:
			return segmentNames[i], "is a system segment"
		case i == virt.CS && kind == 3 && csDPL != 0:
			return segmentNames[i], "a data segment with DPL above 0"
		case i == virt.CS && (kind == 9 || kind == 11) && csDPL != ssDPL:
			return segmentNames[i], "DPL differs from SS's"
		case i == virt.CS && (kind == 13 || kind == 15) && csDPL > ssDPL:
			return segmentNames[i], "conforming code with a DPL above SS's"
		case i == virt.SS && (cs&15 == 3 || m.cr0&amd64.CR0_PE == 0) && ssDPL != 0:
			return segmentNames[i], "DPL is not 0 in real mode"
		case rights&segPresent == 0:
			return segmentNames[i], "is not present"
		case rights&0xFFFE0F00 != 0:
			return segmentNames[i], "a reserved access right is set"
		case i == virt.CS && m.long() && rights&segLong != 0 && rights&(1<<14) != 0:
			return segmentNames[i], "both L and D are set"
		case !granular(m.limit[i], rights):
			return segmentNames[i], "G disagrees with the limit"
		}
	}
	return "", ""
}

// granular says whether a limit is one that a descriptor with these access rights can express.
func granular(limit, rights uint32) bool {
	g := rights&(1<<15) != 0
	return (limit&0xFFF == 0xFFF || !g) && (limit>>20 == 0 || g)
}

// checkTables checks TR, LDTR, GDTR and IDTR (SDM 3C 27.3.1.2, 27.3.1.3).
func (m *image) checkTables() (field, rule string) {
	tr, ldtr := m.rights[virt.TR], m.rights[virt.LDTR]
	kind := tr & 15
	usable := ldtr&segUnusable == 0
	switch {
	case m.selector[virt.TR]&4 != 0:
		return "GUEST_TR", "TI of the selector is set"
	case !canonical(m.base[virt.TR]):
		return "GUEST_TR", "base is not canonical"
	case kind != 11 && (kind != 3 || m.long()):
		return "GUEST_TR", "type is not a busy task-state segment of this mode"
	case tr&0x10 != 0 || tr&segPresent == 0 || tr&0xFFFF0F00 != 0 || !granular(m.limit[virt.TR], tr):
		return "GUEST_TR", "access rights: S, P, G, a reserved bit or unusable"
	case usable && m.selector[virt.LDTR]&4 != 0:
		return "GUEST_LDTR", "TI of the selector is set"
	case usable && !canonical(m.base[virt.LDTR]):
		return "GUEST_LDTR", "base is not canonical"
	case usable && (ldtr&15 != 2 || ldtr&0x10 != 0 || ldtr&segPresent == 0 || ldtr&0xFFFE0F00 != 0 || !granular(m.limit[virt.LDTR], ldtr)):
		return "GUEST_LDTR", "access rights: type, S, P, G or a reserved bit"
	case !canonical(m.gdtr):
		return "GUEST_GDTR_BASE", "is not canonical"
	case !canonical(m.idtr):
		return "GUEST_IDTR_BASE", "is not canonical"
	case m.gdtrLimit>>16 != 0:
		return "GUEST_GDTR_LIMIT", "is above 0xFFFF"
	case m.idtrLimit>>16 != 0:
		return "GUEST_IDTR_LIMIT", "is above 0xFFFF"
	}
	return "", ""
}

// checkActivity checks the non-register state (SDM 3C 27.3.1.5) and the PDPTEs (27.3.1.6).
func (m *image) checkActivity(c *capabilities) (field, rule string) {
	const state = "GUEST_INTERRUPTIBILITY_STATE"
	valid, kind := m.injection&infoValid != 0, m.injection>>8&7
	blocked := m.interruptibility & (blockedBySTI | blockedByMovSS)
	held := blocked != 0 || m.activity == 1
	step := m.rflags&rflagsTF != 0 && m.debugctl&debugctlBTF == 0
	switch {
	case m.activity > 3:
		return "GUEST_ACTIVITY_STATE", "is above 3"
	case m.activity == 1 && m.rights[virt.SS]>>5&3 != 0:
		return "GUEST_ACTIVITY_STATE", "HLT with a CPL above 0"
	case m.activity != 0 && blocked != 0:
		return "GUEST_ACTIVITY_STATE", "not active while STI or MOV SS blocks"
	case m.activity == 3 && valid:
		return "GUEST_ACTIVITY_STATE", "an event is injected while waiting for SIPI"
	case m.interruptibility&^(blockedBySTI|blockedByMovSS|blockedByNMI) != 0:
		return state, "a bit is set that is reserved or of SMM"
	case blocked == blockedBySTI|blockedByMovSS:
		return state, "both STI and MOV SS block"
	case blocked&blockedBySTI != 0 && m.rflags&rflagsIF == 0:
		return state, "STI blocks while RFLAGS.IF is 0"
	case valid && (kind == virt.TypeInterrupt || kind == virt.TypeNMI) && blocked != 0:
		return state, "an interrupt is injected while STI or MOV SS blocks"
	case valid && kind == virt.TypeNMI && m.interruptibility&blockedByNMI != 0:
		return state, "an NMI is injected while NMIs are blocked"
	case m.pendingDebug&^(dr6Traps|pendingEnabled|pendingBS) != 0:
		return "GUEST_PENDING_DEBUG_EXCEPTIONS", "a reserved bit is set"
	case held && step != (m.pendingDebug&pendingBS != 0):
		return "GUEST_PENDING_DEBUG_EXCEPTIONS", "BS disagrees with RFLAGS.TF while interrupts are blocked"
	case m.link != ^uint64(0):
		return "VMCS_LINK_POINTER", "is not all ones"
	}
	if m.cr0&amd64.CR0_PG != 0 && m.cr4&amd64.CR4_PAE != 0 && !m.long() {
		for i := range m.pdpte {
			if !validPDPTE(m.pdpte[i], c.physicalBits) {
				return "GUEST_PDPTE", "a reserved bit of one is set"
			}
		}
	}
	return "", ""
}
