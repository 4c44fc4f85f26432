package amd64

// PageSize is the size of a page frame and of the smallest mapping, in bytes.
const (
	PageShift = 12
	PageSize  = 1 << PageShift
	HugeShift = 21
	HugeSize  = 1 << HugeShift
)

// DirectMap is the virtual address at which the lower half sees physical address 0; all memory
// follows it, writable and never executable. Devices' registers and firmware tables below 4 GiB
// are reached there too.
const DirectMap = 0xFFFF_8000_0000_0000

// Selectors of the global descriptor table (SDM 3A 3.4.2).
const (
	CodeSelector = 0x08
	DataSelector = 0x10
	TSSSelector  = 0x28 // 16 bytes
)

// Model-specific registers (SDM 4 ch. 2, APM 2 app. A).
const (
	MSR_APIC_BASE      = 0x1B
	MSR_FEATURE_CTL    = 0x3A
	MSR_TSC_DEADLINE   = 0x6E0
	MSR_SYSENTER_CS    = 0x174
	MSR_SYSENTER_ESP   = 0x175
	MSR_SYSENTER_EIP   = 0x176
	MSR_MISC_ENABLE    = 0x1A0
	MSR_DEBUGCTL       = 0x1D9
	MSR_PAT            = 0x277
	MSR_EFER           = 0xC000_0080
	MSR_STAR           = 0xC000_0081
	MSR_LSTAR          = 0xC000_0082
	MSR_CSTAR          = 0xC000_0083
	MSR_SFMASK         = 0xC000_0084
	MSR_FS_BASE        = 0xC000_0100
	MSR_GS_BASE        = 0xC000_0101
	MSR_KERNEL_GS_BASE = 0xC000_0102
	MSR_TSC_AUX        = 0xC000_0103
)

// Control-register and EFER bits.
const (
	CR0_PE = 1 << 0
	CR0_MP = 1 << 1
	CR0_EM = 1 << 2
	CR0_TS = 1 << 3
	CR0_ET = 1 << 4
	CR0_NE = 1 << 5
	CR0_WP = 1 << 16
	CR0_AM = 1 << 18
	CR0_NW = 1 << 29
	CR0_CD = 1 << 30
	CR0_PG = 1 << 31

	CR4_DE         = 1 << 3
	CR4_PSE        = 1 << 4
	CR4_PAE        = 1 << 5
	CR4_MCE        = 1 << 6
	CR4_PGE        = 1 << 7
	CR4_OSFXSR     = 1 << 9
	CR4_OSXMMEXCPT = 1 << 10
	CR4_UMIP       = 1 << 11
	CR4_LA57       = 1 << 12
	CR4_VMXE       = 1 << 13
	CR4_FSGSBASE   = 1 << 16
	CR4_PCIDE      = 1 << 17
	CR4_OSXSAVE    = 1 << 18
	CR4_SMEP       = 1 << 20
	CR4_SMAP       = 1 << 21

	EFER_SCE  = 1 << 0
	EFER_LME  = 1 << 8
	EFER_LMA  = 1 << 10
	EFER_NXE  = 1 << 11
	EFER_SVME = 1 << 12
)

// Bits of a page-table entry (SDM 3A 4.5).
const (
	PTE_P    = 1 << 0
	PTE_W    = 1 << 1
	PTE_U    = 1 << 2
	PTE_PWT  = 1 << 3
	PTE_PCD  = 1 << 4
	PTE_A    = 1 << 5
	PTE_D    = 1 << 6
	PTE_PS   = 1 << 7
	PTE_G    = 1 << 8
	PTE_NX   = 1 << 63
	PTE_ADDR = 0x000F_FFFF_FFFF_F000
)
