package svm

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

const (
	msrTSC = 0x10

	// patReset is PAT's value after reset (APM 2 7.8.1).
	patReset = 0x0007_0406_0007_0406

	// guestEFER is the bits of EFER that a guest may set.
	guestEFER = amd64.EFER_SCE | amd64.EFER_LME | amd64.EFER_LMA | amd64.EFER_NXE

	// debugCtlBTF makes single-stepping stop at branches.
	debugCtlBTF = 1 << 1
)

// GetMSR reads an MSR of the guest that is processor state; ok is false for any other.
func (v *VCPU) GetMSR(s *virt.State, idx uint32) (val uint64, ok bool) {
	c := v.vmcb()
	switch idx {
	case msrTSC:
		return amd64.RDTSC() + c.TSCOffset, true
	case amd64.MSR_EFER:
		return c.EFER &^ amd64.EFER_SVME, true
	case amd64.MSR_PAT:
		return c.GPAT, true
	case amd64.MSR_TSC_AUX:
		return s.TSCAux, v.hasAux
	case amd64.MSR_DEBUGCTL:
		return c.DebugCtl, true
	}
	if p := c.msr(idx); p != nil {
		return *p, true
	}
	return 0, false
}

// SetMSR writes an MSR of the guest that is processor state. ok is false for any other, and for a
// value that it doesn't take: #GP(0).
func (v *VCPU) SetMSR(s *virt.State, idx uint32, val uint64) (ok bool) {
	c := v.vmcb()
	switch idx {
	case msrTSC:
		v.SetTSCOffset(val - amd64.RDTSC())
		return true
	case amd64.MSR_EFER:
		return v.setEFER(c, val)
	case amd64.MSR_PAT:
		if !validPAT(val) {
			return false
		}
		c.GPAT = val
		c.Clean &^= cleanNP
		return true
	case amd64.MSR_TSC_AUX:
		if !v.hasAux || val>>32 != 0 {
			return false
		}
		s.TSCAux = val
		if s.Loaded != 0 {
			amd64.WRMSR(amd64.MSR_TSC_AUX, val)
		}
		return true
	case amd64.MSR_DEBUGCTL:
		if val != 0 && (val != debugCtlBTF || c.LBRControl&lbrEnable == 0) {
			return false
		}
		c.DebugCtl = val
		c.Clean &^= cleanLBR
		return true
	case amd64.MSR_FS_BASE, amd64.MSR_GS_BASE, amd64.MSR_KERNEL_GS_BASE,
		amd64.MSR_LSTAR, amd64.MSR_CSTAR, amd64.MSR_SYSENTER_ESP, amd64.MSR_SYSENTER_EIP:
		if !canonical(val) {
			return false
		}
	case amd64.MSR_SFMASK, amd64.MSR_SYSENTER_CS:
		val &= 0xFFFF_FFFF
	}
	p := c.msr(idx)
	if p == nil {
		return false
	}
	*p = val // of VMLOAD's fields, that the processor doesn't cache
	return true
}

// msr is where the VMCB holds an MSR that VMLOAD and VMSAVE switch, nil for any other.
func (c *VMCB) msr(idx uint32) *uint64 {
	switch idx {
	case amd64.MSR_STAR:
		return &c.STAR
	case amd64.MSR_LSTAR:
		return &c.LSTAR
	case amd64.MSR_CSTAR:
		return &c.CSTAR
	case amd64.MSR_SFMASK:
		return &c.SFMASK
	case amd64.MSR_FS_BASE:
		return &c.FS.Base
	case amd64.MSR_GS_BASE:
		return &c.GS.Base
	case amd64.MSR_KERNEL_GS_BASE:
		return &c.KernelGSBase
	case amd64.MSR_SYSENTER_CS:
		return &c.SysenterCS
	case amd64.MSR_SYSENTER_ESP:
		return &c.SysenterESP
	case amd64.MSR_SYSENTER_EIP:
		return &c.SysenterEIP
	}
	return nil
}

// setEFER sets EFER as the guest asks: LMA follows from LME and paging, and LME doesn't change while
// paging is on (APM 2 3.1.7).
func (v *VCPU) setEFER(c *VMCB, val uint64) bool {
	if val&^guestEFER != 0 || (val^c.EFER)&amd64.EFER_LME != 0 && c.CR0&amd64.CR0_PG != 0 {
		return false
	}
	val = val&^amd64.EFER_LMA | c.EFER&amd64.EFER_LMA | amd64.EFER_SVME
	if (val^c.EFER)&amd64.EFER_NXE != 0 {
		v.flush = true
	}
	c.EFER = val
	c.Clean &^= cleanCRx
	return true
}

// canonical says whether a linear address of 48 bits is sign-extended.
func canonical(a uint64) bool { return uint64(int64(a<<16)>>16) == a }

// validPAT says whether each of the eight bytes is a memory type: 0, 1, 4, 5, 6 or 7.
func validPAT(p uint64) bool {
	const each = 0x0101_0101_0101_0101
	// Nothing above bit 2, and no bit 1 without bit 2.
	return p&^(7*each) == 0 && p&(2*each)&^(p>>1&(2*each)) == 0
}
