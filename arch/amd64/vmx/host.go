package vmx

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// host is what a VCPU knows of those registers of its processor that VM entry and exit don't switch.
//
// The host needs its own STAR, LSTAR and SFMASK as soon as anything executes SYSCALL. On CSTAR,
// KERNEL_GS_BASE, TSC_AUX, DR0 to DR3 and DR6 it must not depend: a guest's stay until another
// guest's replace them. (VM exit sets DR7 to 0x400, so no breakpoint is armed in the host.)
type host struct {
	star, lstar, sfmask uint64 // the host's own
	foreign             bool   // the rest may not be what SwitchOut left
}

// capture takes the processor's present SYSCALL MSRs as the host's.
func (h *host) capture() {
	h.star = amd64.RDMSR(amd64.MSR_STAR)
	h.lstar = amd64.RDMSR(amd64.MSR_LSTAR)
	h.sfmask = amd64.RDMSR(amd64.MSR_SFMASK)
}

// Changed says, before SwitchIn, that s is no longer what SwitchOut left there.
func (v *VCPU) Changed() { v.host.foreign = true }

// SwitchIn loads the guest's SYSCALL MSRs, CR2, KERNEL_GS_BASE, TSC_AUX and debug registers on the
// processor that v was Loaded on. From then until SwitchOut nothing may execute SYSCALL there, and
// no other VCPU be Loaded. The vector registers come from the XSAVE area at area, and XCR0 becomes
// s's. It does nothing where s is loaded already.
//
//go:nosplit
func (v *VCPU) SwitchIn(s *virt.State, area uintptr) {
	if s.Loaded != 0 {
		return
	}
	v.SwitchInAgain(s, area)
	if v.host.foreign {
		v.switchInRest(s)
	}
}

// SwitchInAgain is SwitchIn where s isn't loaded, on the processor that has held the rest for s ever since
// SwitchIn loaded it, and s has not Changed.
//
//go:nosplit
func (v *VCPU) SwitchInAgain(s *virt.State, area uintptr) {
	s.Loaded = 1
	switchIn(s, area)
}

// SaveRest brings s up to date with the registers that the processor keeps after SwitchOut:
// KERNEL_GS_BASE, DR0 to DR3 and DR6. It must run on the processor that SwitchIn ran on, before
// another VCPU's SwitchIn there. Save does it too.
func (v *VCPU) SaveRest(s *virt.State) { saveRest(s) }

// switchInRest loads what is still in the processor where the same guest ran last.
func (v *VCPU) switchInRest(s *virt.State) {
	v.host.foreign = false
	amd64.WRMSR(amd64.MSR_CSTAR, s.CSTAR)
	amd64.WRMSR(amd64.MSR_KERNEL_GS_BASE, s.KernelGSBase)
	if v.sec&secRDTSCP != 0 {
		amd64.WRMSR(amd64.MSR_TSC_AUX, s.TSCAux)
	}
	for i := range s.DR {
		amd64.WriteDR(i, s.DR[i])
	}
	amd64.WriteDR(6, s.DR6&0xFFFF_FFFF)
}

// SwitchOut saves the guest's values in s, but for those of SaveRest, and loads those that the host needs,
// on the processor that SwitchIn ran on. XCR0 becomes the host's, the vector registers go to the XSAVE area at area, and
// those of the one at clean replace them. It does nothing where s isn't loaded. (SetMSR keeps s current, so that of the
// MSRs only KERNEL_GS_BASE must be read.)
//
//go:nosplit
func (v *VCPU) SwitchOut(s *virt.State, area, clean uintptr) {
	if s.Loaded == 0 {
		return
	}
	s.Loaded = 0
	switchOut(&v.host, s, area, clean)
}
