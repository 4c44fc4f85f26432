package vmx

// The encodings of VMCS fields (SDM 3D appendix B), by width so that a field can't be read or
// written as what it is not.
type (
	Field16      uint32
	Field32      uint32
	Field64      uint32
	FieldNatural uint32
)

// 16-bit fields. The guest's segments are in the order of virt.Segment's indices, 2 apart.
const (
	VIRTUAL_PROCESSOR_ID   Field16 = 0x0000
	GUEST_ES_SELECTOR      Field16 = 0x0800
	GUEST_CS_SELECTOR      Field16 = 0x0802
	GUEST_INTERRUPT_STATUS Field16 = 0x0810
	HOST_ES_SELECTOR       Field16 = 0x0C00
	HOST_CS_SELECTOR       Field16 = 0x0C02
	HOST_SS_SELECTOR       Field16 = 0x0C04
	HOST_DS_SELECTOR       Field16 = 0x0C06
	HOST_FS_SELECTOR       Field16 = 0x0C08
	HOST_GS_SELECTOR       Field16 = 0x0C0A
	HOST_TR_SELECTOR       Field16 = 0x0C0C
)

// 64-bit fields.
const (
	IO_BITMAP_A               Field64 = 0x2000
	IO_BITMAP_B               Field64 = 0x2002
	MSR_BITMAPS               Field64 = 0x2004
	VM_EXIT_MSR_STORE_ADDRESS Field64 = 0x2006
	VM_EXIT_MSR_LOAD_ADDRESS  Field64 = 0x2008
	VM_ENTRY_MSR_LOAD_ADDRESS Field64 = 0x200A
	TSC_OFFSET                Field64 = 0x2010
	VIRTUAL_APIC_ADDRESS      Field64 = 0x2012
	APIC_ACCESS_ADDRESS       Field64 = 0x2014
	EPT_POINTER               Field64 = 0x201A
	EOI_EXIT_BITMAP_0         Field64 = 0x201C // 1, 2 and 3 follow, 2 apart
	ENCLS_EXITING_BITMAP      Field64 = 0x202E
	ENCLV_EXITING_BITMAP      Field64 = 0x2036
	GUEST_PHYSICAL_ADDRESS    Field64 = 0x2400
	VMCS_LINK_POINTER         Field64 = 0x2800
	GUEST_IA32_DEBUGCTL       Field64 = 0x2802
	GUEST_IA32_PAT            Field64 = 0x2804
	GUEST_IA32_EFER           Field64 = 0x2806
	GUEST_PDPTE0              Field64 = 0x280A // 1, 2 and 3 follow, 2 apart
	HOST_IA32_PAT             Field64 = 0x2C00
	HOST_IA32_EFER            Field64 = 0x2C02
)

// 32-bit fields.
const (
	PIN_BASED_CONTROLS            Field32 = 0x4000
	PROCESSOR_BASED_CONTROLS      Field32 = 0x4002
	EXCEPTION_BITMAP              Field32 = 0x4004
	PAGE_FAULT_ERROR_CODE_MASK    Field32 = 0x4006
	PAGE_FAULT_ERROR_CODE_MATCH   Field32 = 0x4008
	CR3_TARGET_COUNT              Field32 = 0x400A
	VM_EXIT_CONTROLS              Field32 = 0x400C
	VM_EXIT_MSR_STORE_COUNT       Field32 = 0x400E
	VM_EXIT_MSR_LOAD_COUNT        Field32 = 0x4010
	VM_ENTRY_CONTROLS             Field32 = 0x4012
	VM_ENTRY_MSR_LOAD_COUNT       Field32 = 0x4014
	VM_ENTRY_INTERRUPTION_INFO    Field32 = 0x4016
	VM_ENTRY_EXCEPTION_ERROR_CODE Field32 = 0x4018
	VM_ENTRY_INSTRUCTION_LENGTH   Field32 = 0x401A
	TPR_THRESHOLD                 Field32 = 0x401C
	SECONDARY_CONTROLS            Field32 = 0x401E
	PLE_GAP                       Field32 = 0x4020
	PLE_WINDOW                    Field32 = 0x4022
	VM_INSTRUCTION_ERROR          Field32 = 0x4400
	EXIT_REASON                   Field32 = 0x4402
	VM_EXIT_INTERRUPTION_INFO     Field32 = 0x4404
	VM_EXIT_INTERRUPTION_ERROR    Field32 = 0x4406
	IDT_VECTORING_INFO            Field32 = 0x4408
	IDT_VECTORING_ERROR           Field32 = 0x440A
	VM_EXIT_INSTRUCTION_LENGTH    Field32 = 0x440C
	VM_EXIT_INSTRUCTION_INFO      Field32 = 0x440E
	GUEST_ES_LIMIT                Field32 = 0x4800
	GUEST_GDTR_LIMIT              Field32 = 0x4810
	GUEST_IDTR_LIMIT              Field32 = 0x4812
	GUEST_ES_ACCESS_RIGHTS        Field32 = 0x4814
	GUEST_CS_ACCESS_RIGHTS        Field32 = 0x4816
	GUEST_TR_ACCESS_RIGHTS        Field32 = 0x4822
	GUEST_INTERRUPTIBILITY_STATE  Field32 = 0x4824
	GUEST_ACTIVITY_STATE          Field32 = 0x4826
	GUEST_SMBASE                  Field32 = 0x4828
	GUEST_IA32_SYSENTER_CS        Field32 = 0x482A
	VMX_PREEMPTION_TIMER_VALUE    Field32 = 0x482E
	HOST_IA32_SYSENTER_CS         Field32 = 0x4C00
)

// Fields of natural width, 64 bits here.
const (
	CR0_GUEST_HOST_MASK            FieldNatural = 0x6000
	CR4_GUEST_HOST_MASK            FieldNatural = 0x6002
	CR0_READ_SHADOW                FieldNatural = 0x6004
	CR4_READ_SHADOW                FieldNatural = 0x6006
	EXIT_QUALIFICATION             FieldNatural = 0x6400
	GUEST_LINEAR_ADDRESS           FieldNatural = 0x640A
	GUEST_CR0                      FieldNatural = 0x6800
	GUEST_CR3                      FieldNatural = 0x6802
	GUEST_CR4                      FieldNatural = 0x6804
	GUEST_ES_BASE                  FieldNatural = 0x6806
	GUEST_FS_BASE                  FieldNatural = 0x680E
	GUEST_GS_BASE                  FieldNatural = 0x6810
	GUEST_GDTR_BASE                FieldNatural = 0x6816
	GUEST_IDTR_BASE                FieldNatural = 0x6818
	GUEST_DR7                      FieldNatural = 0x681A
	GUEST_RSP                      FieldNatural = 0x681C
	GUEST_RIP                      FieldNatural = 0x681E
	GUEST_RFLAGS                   FieldNatural = 0x6820
	GUEST_PENDING_DEBUG_EXCEPTIONS FieldNatural = 0x6822
	GUEST_IA32_SYSENTER_ESP        FieldNatural = 0x6824
	GUEST_IA32_SYSENTER_EIP        FieldNatural = 0x6826
	HOST_CR0                       FieldNatural = 0x6C00
	HOST_CR3                       FieldNatural = 0x6C02
	HOST_CR4                       FieldNatural = 0x6C04
	HOST_FS_BASE                   FieldNatural = 0x6C06
	HOST_GS_BASE                   FieldNatural = 0x6C08
	HOST_TR_BASE                   FieldNatural = 0x6C0A
	HOST_GDTR_BASE                 FieldNatural = 0x6C0C
	HOST_IDTR_BASE                 FieldNatural = 0x6C0E
	HOST_IA32_SYSENTER_ESP         FieldNatural = 0x6C10
	HOST_IA32_SYSENTER_EIP         FieldNatural = 0x6C12
	HOST_RSP                       FieldNatural = 0x6C14
	HOST_RIP                       FieldNatural = 0x6C16
)

// The accessors of the current VMCS. Reading a field that the processor doesn't have gives 0; a refused write is kept in
// Refused.

func (v *VCPU) r16(f Field16) uint16        { return uint16(v.read(uint32(f))) }
func (v *VCPU) r32(f Field32) uint32        { return uint32(v.read(uint32(f))) }
func (v *VCPU) r64(f Field64) uint64        { return v.read(uint32(f)) }
func (v *VCPU) rN(f FieldNatural) uint64    { return v.read(uint32(f)) }
func (v *VCPU) w16(f Field16, x uint16)     { v.write(uint32(f), uint64(x)) }
func (v *VCPU) w32(f Field32, x uint32)     { v.write(uint32(f), uint64(x)) }
func (v *VCPU) w64(f Field64, x uint64)     { v.write(uint32(f), x) }
func (v *VCPU) wN(f FieldNatural, x uint64) { v.write(uint32(f), x) }

func (v *VCPU) read(field uint32) uint64 { return vmread(field) }

func (v *VCPU) write(field uint32, x uint64) {
	if !vmwrite(field, x) {
		v.Refused = field
	}
}
