package vmx

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// More MSRs of the processor's state.
const msrTSC = 0x10

// debugctlBTF is the one bit of IA32_DEBUGCTL in the model: single-step on branches.
const debugctlBTF = 1 << 1

// eferModel is what EFER has in the model.
const eferModel = amd64.EFER_SCE | amd64.EFER_LME | amd64.EFER_LMA | amd64.EFER_NXE

// initMSRBitmap lets the guest at the MSRs that are its own while it runs (SDM 3C 25.6.9); all
// others exit. Those that SwitchIn loads are read freely but written through SetMSR, so that
// SwitchOut need not read them back. KERNEL_GS_BASE changes without notice at every SWAPGS.
func (v *VCPU) initMSRBitmap() {
	fill(v.msrBitmap, ^uint64(0), amd64.PageSize/8)
	v.passMSR(msrTSC, true, false)
	v.passMSR(amd64.MSR_SYSENTER_CS, true, true)
	v.passMSR(amd64.MSR_SYSENTER_ESP, true, true)
	v.passMSR(amd64.MSR_SYSENTER_EIP, true, true)
	v.passMSR(amd64.MSR_PAT, true, true)
	v.passMSR(amd64.MSR_EFER, true, false)
	v.passMSR(amd64.MSR_STAR, true, false)
	v.passMSR(amd64.MSR_LSTAR, true, false)
	v.passMSR(amd64.MSR_CSTAR, true, false)
	v.passMSR(amd64.MSR_SFMASK, true, false)
	v.passMSR(amd64.MSR_FS_BASE, true, true)
	v.passMSR(amd64.MSR_GS_BASE, true, true)
	v.passMSR(amd64.MSR_KERNEL_GS_BASE, true, true)
	if v.sec&secRDTSCP != 0 {
		v.passMSR(amd64.MSR_TSC_AUX, true, false)
	}
}

// passMSR says which accesses to an MSR don't exit.
func (v *VCPU) passMSR(msr uint32, read, write bool) {
	word, bit := bitmapBit(msr)
	v.setBitmap(word, bit, !read)
	v.setBitmap(word+0x800, bit, !write)
}

// bitmapBit is the place of an MSR's read bit in the MSR bitmap: the offset of a quadword in bytes,
// and a bit in that. Its write bit is 0x800 bytes further on.
func bitmapBit(msr uint32) (offset uint64, bit uint) {
	if msr >= 0xC000_0000 {
		offset = 0x400
	}
	n := uint64(msr & 0x1FFF)
	return offset + n/64*8, uint(n % 64)
}

func (v *VCPU) setBitmap(offset uint64, bit uint, on bool) {
	pa := v.msrBitmap + offset
	x := peek64(pa) &^ (1 << bit)
	if on {
		x |= 1 << bit
	}
	poke64(pa, x)
}

// GetMSR reads an MSR that is processor state in the VMCS or in s; ok is false for any other.
func (v *VCPU) GetMSR(s *virt.State, idx uint32) (x uint64, ok bool) {
	switch idx {
	case msrTSC:
		return amd64.RDTSC() + v.tscOffset, true
	case amd64.MSR_SYSENTER_CS:
		return uint64(v.r32(GUEST_IA32_SYSENTER_CS)), true
	case amd64.MSR_SYSENTER_ESP:
		return v.rN(GUEST_IA32_SYSENTER_ESP), true
	case amd64.MSR_SYSENTER_EIP:
		return v.rN(GUEST_IA32_SYSENTER_EIP), true
	case amd64.MSR_DEBUGCTL:
		return v.r64(GUEST_IA32_DEBUGCTL), true
	case amd64.MSR_PAT:
		return v.r64(GUEST_IA32_PAT), true
	case amd64.MSR_EFER:
		return v.r64(GUEST_IA32_EFER), true
	case amd64.MSR_STAR:
		return s.STAR, true
	case amd64.MSR_LSTAR:
		return s.LSTAR, true
	case amd64.MSR_CSTAR:
		return s.CSTAR, true
	case amd64.MSR_SFMASK:
		return s.SFMASK, true
	case amd64.MSR_FS_BASE:
		return v.rN(GUEST_FS_BASE), true
	case amd64.MSR_GS_BASE:
		return v.rN(GUEST_GS_BASE), true
	case amd64.MSR_KERNEL_GS_BASE:
		if s.Loaded != 0 {
			return amd64.RDMSR(idx), true
		}
		return s.KernelGSBase, true
	case amd64.MSR_TSC_AUX:
		return s.TSCAux, v.sec&secRDTSCP != 0
	}
	return 0, false
}

// SetMSR writes an MSR that is processor state in the VMCS or in s, and in the processor as well
// while the guest's values are loaded. ok is false for any other MSR and for a value that the
// processor would refuse: the caller injects #GP(0).
func (v *VCPU) SetMSR(s *virt.State, idx uint32, x uint64) (ok bool) {
	switch idx {
	case msrTSC:
		v.SetTSCOffset(x - amd64.RDTSC())
		return true
	case amd64.MSR_EFER:
		return v.setEFER(x)
	}
	if !validMSR(idx, x) || idx == amd64.MSR_TSC_AUX && v.sec&secRDTSCP == 0 {
		return false
	}
	switch idx {
	case amd64.MSR_SYSENTER_CS:
		v.w32(GUEST_IA32_SYSENTER_CS, uint32(x))
		return true
	case amd64.MSR_SYSENTER_ESP:
		v.wN(GUEST_IA32_SYSENTER_ESP, x)
		return true
	case amd64.MSR_SYSENTER_EIP:
		v.wN(GUEST_IA32_SYSENTER_EIP, x)
		return true
	case amd64.MSR_DEBUGCTL:
		v.w64(GUEST_IA32_DEBUGCTL, x)
		return true
	case amd64.MSR_PAT:
		v.w64(GUEST_IA32_PAT, x)
		return true
	case amd64.MSR_FS_BASE:
		v.wN(GUEST_FS_BASE, x)
		return true
	case amd64.MSR_GS_BASE:
		v.wN(GUEST_GS_BASE, x)
		return true
	case amd64.MSR_STAR:
		s.STAR = x
	case amd64.MSR_LSTAR:
		s.LSTAR = x
	case amd64.MSR_CSTAR:
		s.CSTAR = x
	case amd64.MSR_SFMASK:
		s.SFMASK = x
	case amd64.MSR_KERNEL_GS_BASE:
		s.KernelGSBase = x
	case amd64.MSR_TSC_AUX:
		s.TSCAux = x
	default:
		return false
	}
	if s.Loaded != 0 {
		amd64.WRMSR(idx, x)
	}
	return true
}

// validMSR says whether the processor takes x as the value of MSR idx, which is not EFER.
func validMSR(idx uint32, x uint64) bool {
	switch idx {
	case amd64.MSR_SYSENTER_ESP, amd64.MSR_SYSENTER_EIP, amd64.MSR_LSTAR, amd64.MSR_CSTAR,
		amd64.MSR_FS_BASE, amd64.MSR_GS_BASE, amd64.MSR_KERNEL_GS_BASE:
		return canonical(x)
	case amd64.MSR_SYSENTER_CS, amd64.MSR_SFMASK, amd64.MSR_TSC_AUX:
		return x>>32 == 0
	case amd64.MSR_DEBUGCTL:
		return x&^debugctlBTF == 0
	case amd64.MSR_PAT:
		return validPAT(x)
	}
	return true
}

// setEFER is WRMSR to EFER: LMA is not written, and LME doesn't change while paging is on.
func (v *VCPU) setEFER(x uint64) (ok bool) {
	old := v.r64(GUEST_IA32_EFER)
	if x&^eferModel != 0 || (old^x)&amd64.EFER_LME != 0 && v.rN(GUEST_CR0)&amd64.CR0_PG != 0 {
		return false
	}
	v.w64(GUEST_IA32_EFER, x&^amd64.EFER_LMA|old&amd64.EFER_LMA)
	if (old^x)&amd64.EFER_NXE != 0 {
		v.forget()
	}
	return true
}

// canonical says whether bits 63:47 of a linear address are equal.
func canonical(x uint64) bool { return uint64(int64(x)<<16>>16) == x }

// validPAT says whether each byte is a memory type that the PAT may hold: 0, 1, 4, 5, 6 or 7.
func validPAT(x uint64) bool {
	const ones = 0x0101_0101_0101_0101
	twoOrThree := x >> 1 &^ (x >> 2) & ones
	return x&^(7*ones) == 0 && twoOrThree == 0
}
