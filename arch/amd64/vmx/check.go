package vmx

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// Check names the first field of v's VMCS that VM entry refuses and the rule that it breaks, in the
// processor's own order: controls, host state, guest state (SDM 3C 27.2 and 27.3). It returns "", ""
// where it finds nothing wrong. It is for a failed Enter and takes its time.
func (v *VCPU) Check() (field, rule string) {
	if v.unusable {
		return "VMCS", "VMPTRLD refused it: its page was overwritten"
	}
	var m image
	v.copyVMCS(&m)
	return m.check(&caps)
}

func (m *image) check(c *capabilities) (field, rule string) {
	if field, rule = m.checkWords(c); field != "" {
		return
	}
	if field, rule = m.checkExecution(c); field != "" {
		return
	}
	if field, rule = m.checkInjection(c); field != "" {
		return
	}
	if field, rule = m.checkHost(c); field != "" {
		return
	}
	return m.checkGuest(c)
}

// checkWords checks each word of controls against what must be 1 and what may be.
func (m *image) checkWords(c *capabilities) (field, rule string) {
	const zero, one = "a control that must be 1 is 0", "a control that must be 0 is 1"
	switch {
	case ^m.pin&uint32(c.pin) != 0:
		return "PIN_BASED_CONTROLS", zero
	case m.pin&^uint32(c.pin>>32) != 0:
		return "PIN_BASED_CONTROLS", one
	case ^m.proc&uint32(c.proc) != 0:
		return "PROCESSOR_BASED_CONTROLS", zero
	case m.proc&^uint32(c.proc>>32) != 0:
		return "PROCESSOR_BASED_CONTROLS", one
	case ^m.sec&uint32(c.sec) != 0:
		return "SECONDARY_CONTROLS", zero
	case m.sec&^uint32(c.sec>>32) != 0:
		return "SECONDARY_CONTROLS", one
	case ^m.exit&uint32(c.exit) != 0:
		return "VM_EXIT_CONTROLS", zero
	case m.exit&^uint32(c.exit>>32) != 0:
		return "VM_EXIT_CONTROLS", one
	case ^m.entry&uint32(c.entry) != 0:
		return "VM_ENTRY_CONTROLS", zero
	case m.entry&^uint32(c.entry>>32) != 0:
		return "VM_ENTRY_CONTROLS", one
	}
	return "", ""
}

// checkExecution checks the other execution, exit and entry controls (SDM 3C 27.2.1.1 to 27.2.1.3).
func (m *image) checkExecution(c *capabilities) (field, rule string) {
	const page = "is not the address of a page frame"
	virtual := m.sec & (secX2APIC | secAPICRegisters | secInterruptDeliver)
	switch {
	case m.cr3Targets > 4:
		return "CR3_TARGET_COUNT", "is above 4"
	case m.proc&procIOBitmaps != 0 && !c.frame(m.ioA):
		return "IO_BITMAP_A", page
	case m.proc&procIOBitmaps != 0 && !c.frame(m.ioB):
		return "IO_BITMAP_B", page
	case m.proc&procMSRBitmaps != 0 && !c.frame(m.msrBitmap):
		return "MSR_BITMAPS", page
	case m.proc&procTPRShadow != 0 && !c.frame(m.virtualAPIC):
		return "VIRTUAL_APIC_ADDRESS", page
	case m.proc&procTPRShadow != 0 && m.sec&secInterruptDeliver == 0 && m.tprThreshold > 15:
		return "TPR_THRESHOLD", "is above 15"
	case m.proc&procTPRShadow != 0 && m.sec&(secInterruptDeliver|secAPICAccesses) == 0 && m.tprThreshold > m.vtpr>>4:
		return "TPR_THRESHOLD", "is above bits 7:4 of the virtual TPR"
	case m.pin&pinNMI == 0 && m.pin&pinVirtualNMI != 0:
		return "PIN_BASED_CONTROLS", "virtual NMIs without NMI exiting"
	case m.pin&pinVirtualNMI == 0 && m.proc&procNMIWindow != 0:
		return "PROCESSOR_BASED_CONTROLS", "NMI-window exiting without virtual NMIs"
	case m.sec&secAPICAccesses != 0 && !c.frame(m.apicAccess):
		return "APIC_ACCESS_ADDRESS", page
	case m.proc&procTPRShadow == 0 && virtual != 0:
		return "SECONDARY_CONTROLS", "APIC virtualisation without a TPR shadow"
	case m.sec&secX2APIC != 0 && m.sec&secAPICAccesses != 0:
		return "SECONDARY_CONTROLS", "both kinds of APIC accesses are virtualised"
	case m.sec&secInterruptDeliver != 0 && m.pin&pinExternalInterrupt == 0:
		return "PIN_BASED_CONTROLS", "virtual-interrupt delivery without external-interrupt exiting"
	case m.sec&secVPID != 0 && m.vpid == 0:
		return "VIRTUAL_PROCESSOR_ID", "is 0"
	case m.sec&secEPT != 0 && !c.validEPTP(m.eptp):
		return "EPT_POINTER", "memory type, walk length, reserved bits or address"
	case m.sec&secUnrestricted != 0 && m.sec&secEPT == 0:
		return "SECONDARY_CONTROLS", "unrestricted guest without EPT"
	case m.pin&pinTimer == 0 && m.exit&exitSaveTimer != 0:
		return "VM_EXIT_CONTROLS", "the timer is saved but not active"
	case m.exitStores|m.exitLoads != 0:
		return "VM_EXIT_MSR_STORE_COUNT", "an MSR area is used that was never set up"
	case m.entry&(entrySMM|entryDualOff) != 0:
		return "VM_ENTRY_CONTROLS", "an SMM control outside SMM"
	case m.entryLoads != 0:
		return "VM_ENTRY_MSR_LOAD_COUNT", "an MSR area is used that was never set up"
	}
	return "", ""
}

// checkInjection checks the event to be injected (SDM 3C 27.2.1.3).
func (m *image) checkInjection(c *capabilities) (field, rule string) {
	const info = "VM_ENTRY_INTERRUPTION_INFO"
	if m.injection&infoValid == 0 {
		return "", ""
	}
	vector, kind := m.injection&0xFF, m.injection>>8&7
	pushes := kind == virt.TypeException && pushesError(vector) && m.cr0&amd64.CR0_PE != 0
	soft := kind == virt.TypeSoftInt || kind == virt.TypePrivSoft || kind == virt.TypeSoftExc
	switch {
	case m.injection&^infoInjectable != 0:
		return info, "a reserved bit is set"
	case kind == 1 || kind == 7:
		return info, "the type is reserved"
	case kind == virt.TypeNMI && vector != 2:
		return info, "an NMI whose vector isn't 2"
	case kind == virt.TypeException && vector > 31:
		return info, "an exception with a vector above 31"
	case pushes != (m.injection&infoError != 0):
		return info, "an error code is delivered just where the vector has one, in protected mode"
	case pushes && m.injectionError>>16 != 0:
		return "VM_ENTRY_EXCEPTION_ERROR_CODE", "bits 31:16 are not 0"
	case soft && m.injectionLength == 0 && c.misc&miscZeroLength == 0 || soft && m.injectionLength > 15:
		return "VM_ENTRY_INSTRUCTION_LENGTH", "is not 1 to 15"
	}
	return "", ""
}

// pushesError says whether an exception pushes an error code: #DF, #TS, #NP, #SS, #GP, #PF, #AC.
func pushesError(vector uint32) bool {
	const with = 1<<8 | 1<<10 | 1<<11 | 1<<12 | 1<<13 | 1<<14 | 1<<17
	return vector < 32 && with>>vector&1 != 0
}

// checkHost checks the host-state area (SDM 3C 27.2.2 to 27.2.4).
func (m *image) checkHost(c *capabilities) (field, rule string) {
	const address = "is not canonical"
	switch {
	case m.hostCR0&c.cr0Must != c.cr0Must || m.hostCR0&^c.cr0May != 0:
		return "HOST_CR0", "a bit that VMX operation fixes differs"
	case m.hostCR4&c.cr4Must != c.cr4Must || m.hostCR4&^c.cr4May != 0:
		return "HOST_CR4", "a bit that VMX operation fixes differs"
	case m.hostCR3>>c.physicalBits != 0:
		return "HOST_CR3", "is beyond the physical addresses"
	case !canonical(m.hostSysenterESP):
		return "HOST_IA32_SYSENTER_ESP", address
	case !canonical(m.hostSysenterEIP):
		return "HOST_IA32_SYSENTER_EIP", address
	case m.exit&exitLoadPAT != 0 && !validPAT(m.hostPAT):
		return "HOST_IA32_PAT", "holds a reserved memory type"
	case m.exit&exitLoadEFER != 0 && m.hostEFER&(amd64.EFER_LME|amd64.EFER_LMA) != amd64.EFER_LME|amd64.EFER_LMA:
		return "HOST_IA32_EFER", "is not of long mode"
	case m.exit&exitHost64 == 0:
		return "VM_EXIT_CONTROLS", "the host is not 64-bit"
	case m.hostCR4&amd64.CR4_PAE == 0:
		return "HOST_CR4", "PAE is 0"
	case m.hostSelectors[virt.CS] == 0:
		return "HOST_CS_SELECTOR", "is 0"
	case m.hostSelectors[6] == 0:
		return "HOST_TR_SELECTOR", "is 0"
	case !canonical(m.hostFS):
		return "HOST_FS_BASE", address
	case !canonical(m.hostGS):
		return "HOST_GS_BASE", address
	case !canonical(m.hostTR):
		return "HOST_TR_BASE", address
	case !canonical(m.hostGDTR):
		return "HOST_GDTR_BASE", address
	case !canonical(m.hostIDTR):
		return "HOST_IDTR_BASE", address
	case !canonical(m.hostRIP):
		return "HOST_RIP", address
	}
	for i := range m.hostSelectors {
		if m.hostSelectors[i]&7 != 0 {
			return "host selectors", "TI or RPL of one is not 0"
		}
	}
	return "", ""
}

// frame says whether pa is a page-aligned physical address.
func (c *capabilities) frame(pa uint64) bool { return pa&0xFFF == 0 && pa>>c.physicalBits == 0 }

func (c *capabilities) validEPTP(p uint64) bool {
	return p&7 == eptpWB && p&0x38 == eptpWalk4 && p&0xF80 == 0 && p>>c.physicalBits == 0 &&
		(p&eptpDirties == 0 || c.ept&eptAccessedDirty != 0)
}
