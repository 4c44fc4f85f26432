package vmx

import "keel/arch/amd64/virt"

// image is a copy of those fields of a VMCS that VM entry checks, so that the checker is a pure
// function of it and of the processor's capabilities.
type image struct {
	pin, proc, sec, exit, entry                        uint32
	cr3Targets                                         uint32
	ioA, ioB, msrBitmap, virtualAPIC, apicAccess, eptp uint64
	tprThreshold, vtpr                                 uint32
	vpid                                               uint16
	exitStores, exitLoads, entryLoads                  uint32
	injection, injectionError, injectionLength         uint32

	hostCR0, hostCR3, hostCR4                                    uint64
	hostPAT, hostEFER, hostSysenterESP, hostSysenterEIP, hostRIP uint64
	hostFS, hostGS, hostTR, hostGDTR, hostIDTR                   uint64
	hostSelectors                                                [7]uint16 // ES, CS, SS, DS, FS, GS, TR

	cr0, cr3, cr4, dr7, debugctl, efer, pat uint64
	sysenterESP, sysenterEIP                uint64
	selector                                [8]uint16 // by virt's segment indices, like the next three
	base                                    [8]uint64
	limit, rights                           [8]uint32
	gdtr, idtr                              uint64
	gdtrLimit, idtrLimit                    uint32
	rip, rflags, pendingDebug, link         uint64
	activity, interruptibility              uint32
	pdpte                                   [4]uint64
}

// copyVMCS fills m in from the current VMCS.
func (v *VCPU) copyVMCS(m *image) {
	m.pin, m.proc, m.sec = v.r32(PIN_BASED_CONTROLS), v.r32(PROCESSOR_BASED_CONTROLS), v.r32(SECONDARY_CONTROLS)
	m.exit, m.entry = v.r32(VM_EXIT_CONTROLS), v.r32(VM_ENTRY_CONTROLS)
	m.cr3Targets = v.r32(CR3_TARGET_COUNT)
	m.ioA, m.ioB, m.msrBitmap = v.r64(IO_BITMAP_A), v.r64(IO_BITMAP_B), v.r64(MSR_BITMAPS)
	m.virtualAPIC, m.apicAccess = v.r64(VIRTUAL_APIC_ADDRESS), v.r64(APIC_ACCESS_ADDRESS)
	m.eptp, m.vpid = v.r64(EPT_POINTER), v.r16(VIRTUAL_PROCESSOR_ID)
	m.tprThreshold = v.r32(TPR_THRESHOLD)
	if m.proc&procTPRShadow != 0 && m.virtualAPIC&0xFFF == 0 {
		m.vtpr = uint32(peek64(m.virtualAPIC+0x80)) & 0xFF
	}
	m.exitStores, m.exitLoads = v.r32(VM_EXIT_MSR_STORE_COUNT), v.r32(VM_EXIT_MSR_LOAD_COUNT)
	m.entryLoads = v.r32(VM_ENTRY_MSR_LOAD_COUNT)
	m.injection = v.r32(VM_ENTRY_INTERRUPTION_INFO)
	m.injectionError, m.injectionLength = v.r32(VM_ENTRY_EXCEPTION_ERROR_CODE), v.r32(VM_ENTRY_INSTRUCTION_LENGTH)
	v.copyHost(m)
	v.copyGuest(m)
}

func (v *VCPU) copyHost(m *image) {
	m.hostCR0, m.hostCR3, m.hostCR4 = v.rN(HOST_CR0), v.rN(HOST_CR3), v.rN(HOST_CR4)
	m.hostPAT, m.hostEFER = v.r64(HOST_IA32_PAT), v.r64(HOST_IA32_EFER)
	m.hostSysenterESP, m.hostSysenterEIP = v.rN(HOST_IA32_SYSENTER_ESP), v.rN(HOST_IA32_SYSENTER_EIP)
	m.hostRIP = v.rN(HOST_RIP)
	m.hostFS, m.hostGS, m.hostTR = v.rN(HOST_FS_BASE), v.rN(HOST_GS_BASE), v.rN(HOST_TR_BASE)
	m.hostGDTR, m.hostIDTR = v.rN(HOST_GDTR_BASE), v.rN(HOST_IDTR_BASE)
	for i := range uint32(7) {
		m.hostSelectors[i] = v.r16(HOST_ES_SELECTOR + Field16(2*i))
	}
}

func (v *VCPU) copyGuest(m *image) {
	m.cr0, m.cr3, m.cr4 = v.rN(GUEST_CR0), v.rN(GUEST_CR3), v.rN(GUEST_CR4)
	m.dr7, m.debugctl = v.rN(GUEST_DR7), v.r64(GUEST_IA32_DEBUGCTL)
	m.efer, m.pat = v.r64(GUEST_IA32_EFER), v.r64(GUEST_IA32_PAT)
	m.sysenterESP, m.sysenterEIP = v.rN(GUEST_IA32_SYSENTER_ESP), v.rN(GUEST_IA32_SYSENTER_EIP)
	for i := range uint32(virt.TR + 1) {
		m.selector[i] = v.r16(GUEST_ES_SELECTOR + Field16(2*i))
		m.base[i] = v.rN(GUEST_ES_BASE + FieldNatural(2*i))
		m.limit[i] = v.r32(GUEST_ES_LIMIT + Field32(2*i))
		m.rights[i] = v.r32(GUEST_ES_ACCESS_RIGHTS + Field32(2*i))
	}
	m.gdtr, m.gdtrLimit = v.rN(GUEST_GDTR_BASE), v.r32(GUEST_GDTR_LIMIT)
	m.idtr, m.idtrLimit = v.rN(GUEST_IDTR_BASE), v.r32(GUEST_IDTR_LIMIT)
	m.rip, m.rflags = v.rN(GUEST_RIP), v.rN(GUEST_RFLAGS)
	m.pendingDebug, m.link = v.rN(GUEST_PENDING_DEBUG_EXCEPTIONS), v.r64(VMCS_LINK_POINTER)
	m.activity, m.interruptibility = v.r32(GUEST_ACTIVITY_STATE), v.r32(GUEST_INTERRUPTIBILITY_STATE)
	for i := range uint32(4) {
		m.pdpte[i] = v.r64(GUEST_PDPTE0 + Field64(2*i))
	}
}
