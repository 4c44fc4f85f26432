package svm

import (
	"sync/atomic"

	"keel/arch/amd64"
)

const (
	msrVMCR    = 0xC001_0114
	msrHSAVEPA = 0xC001_0117
	vmcrSVMDIS = 1 << 4
)

// Features of CPUID 8000_000AH EDX (APM 3 E.4.9).
const (
	featNP            = 1 << 0
	featLBRVirt       = 1 << 1
	featNRIPSave      = 1 << 3
	featVMCBClean     = 1 << 5
	featFlushByASID   = 1 << 6
	featDecodeAssists = 1 << 7
	featPauseFilter   = 1 << 10
	featPauseThresh   = 1 << 12
)

// Instructions of CPUID 8000_0008H EBX that a guest must not execute.
const (
	hasRDPRU   = 1 << 4
	hasMCOMMIT = 1 << 8
)

// Probe says whether this processor can run guests, and if not, why and what to do about it.
func Probe() (ok bool, why string) {
	last, _, _, _ := amd64.CPUID(0x8000_0000, 0)
	if last < 0x8000_000A {
		return false, "AMD-V is absent"
	}
	if _, _, ecx, _ := amd64.CPUID(0x8000_0001, 0); ecx&(1<<2) == 0 {
		return false, "AMD-V is absent"
	}
	if amd64.RDMSR(msrVMCR)&vmcrSVMDIS != 0 {
		return false, "AMD-V is locked off by firmware (VM_CR.SVMDIS): enable ‘SVM Mode’ in setup"
	}
	_, asids, _, features := amd64.CPUID(0x8000_000A, 0)
	if features&featNP == 0 {
		return false, "AMD-V is without nested paging: the processor, or the hypervisor below, is too old"
	}
	if asids < 2 {
		return false, "no address-space identifiers (CPUID 8000_000AH EBX) for guests"
	}
	return true, ""
}

// EnableCPU switches AMD-V on for the calling processor. page is the physical address of a page of
// its own that nobody touches afterwards: VMRUN keeps the host's state there and, in the fields that
// VMRUN leaves alone, Load does. It returns what is wrong, or nothing.
func EnableCPU(page uint64) string {
	if page == 0 || page%amd64.PageSize != 0 {
		return "svm: the host save area isn't a page"
	}
	if amd64.RDMSR(msrVMCR)&vmcrSVMDIS != 0 {
		return "AMD-V is locked off by firmware on one processor and not on another: update the firmware"
	}
	amd64.WRMSR(amd64.MSR_EFER, amd64.RDMSR(amd64.MSR_EFER)|amd64.EFER_SVME)
	if amd64.RDMSR(amd64.MSR_EFER)&amd64.EFER_SVME == 0 {
		return "svm: EFER.SVME can't be set"
	}
	amd64.WRMSR(msrHSAVEPA, page)
	return ""
}

// DisableCPU switches AMD-V off for the calling processor.
func DisableCPU() {
	amd64.WRMSR(msrHSAVEPA, 0)
	amd64.WRMSR(amd64.MSR_EFER, amd64.RDMSR(amd64.MSR_EFER)&^amd64.EFER_SVME)
}

// Has1GPages says whether page tables, nested ones included, may have 1 GiB leaves.
func Has1GPages() bool {
	_, _, _, edx := amd64.CPUID(0x8000_0001, 0)
	return edx&(1<<26) != 0
}

// EPTE is an entry of the nested page table that maps or points at physical address pa: leafLevel
// is 0 for a table, 1, 2 or 3 for a leaf of 4 KiB, 2 MiB or 1 GiB. The guest may read, write and
// execute what it maps, its memory type left to the guest (APM 2 15.25.5, 15.25.8).
func EPTE(pa uint64, leafLevel int) uint64 {
	e := pa&amd64.PTE_ADDR | amd64.PTE_P | amd64.PTE_W | amd64.PTE_U
	if leafLevel > 1 {
		e |= amd64.PTE_PS
	}
	return e
}

// EPTPointer is what Config.NestedRoot holds for a four-level nested page table with its root at
// physical address root.
func EPTPointer(root uint64) uint64 { return root }

// HasAccessedDirty says whether the processor keeps accessed (bit 5) and dirty (bit 6) flags in
// nested page-table entries: under AMD-V it always does.
func HasAccessedDirty() bool { return true }

// narrowed counts the calls of INVEPT.
var narrowed uint32

// INVEPT makes every virtual processor drop its translations when it is entered next, that of the
// VM with its nested page table at root among them: AMD-V drops translations at entry only. Call it
// after an entry was narrowed or removed, and then make the VM's virtual processors leave.
func INVEPT(root uint64) { atomic.AddUint32(&narrowed, 1) }

// cr4Mask is the bits of CR4 that a guest may set: those that this processor has and whose state is
// switched or harmless.
func cr4Mask() uint64 {
	const always = 1<<11 - 1 // VME to OSXMMEXCPT
	m := uint64(always)
	_, _, ecx, _ := amd64.CPUID(1, 0)
	if ecx&(1<<17) != 0 {
		m |= amd64.CR4_PCIDE
	}
	if ecx&(1<<26) != 0 {
		m |= amd64.CR4_OSXSAVE
	}
	if last, _, _, _ := amd64.CPUID(0, 0); last >= 7 {
		_, ebx, ecx, _ := amd64.CPUID(7, 0)
		if ebx&(1<<0) != 0 {
			m |= amd64.CR4_FSGSBASE
		}
		if ebx&(1<<7) != 0 {
			m |= amd64.CR4_SMEP
		}
		if ebx&(1<<20) != 0 {
			m |= amd64.CR4_SMAP
		}
		if ecx&(1<<2) != 0 {
			m |= amd64.CR4_UMIP
		}
	}
	return m
}
