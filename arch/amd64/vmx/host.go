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
	star, lstar, sfmask        uint64 // the host's own
	cstar, kernelGS, auxiliary uint64 // what SwitchOut left in the processor
	foreign                    bool   // another VCPU may have replaced these
}

// capture takes the processor's present SYSCALL MSRs as the host's.
func (h *host) capture() {
	h.star = amd64.RDMSR(amd64.MSR_STAR)
	h.lstar = amd64.RDMSR(amd64.MSR_LSTAR)
	h.sfmask = amd64.RDMSR(amd64.MSR_SFMASK)
}

// SwitchIn loads the guest's SYSCALL MSRs, KERNEL_GS_BASE, TSC_AUX and debug registers on the
// processor that v was Loaded on. From then until SwitchOut nothing may execute SYSCALL there, and
// no other VCPU be Loaded. It does nothing where s is loaded already.
func (v *VCPU) SwitchIn(s *virt.State) {
	if s.Loaded != 0 {
		return
	}
	s.Loaded = 1
	switchIn(s)
	v.WRMSRs += 3
	h := &v.host
	if h.foreign {
		h.foreign = false
		h.cstar, h.kernelGS, h.auxiliary = ^s.CSTAR, ^s.KernelGSBase, ^s.TSCAux
	}
	v.wrmsr(amd64.MSR_CSTAR, h.cstar, s.CSTAR)
	v.wrmsr(amd64.MSR_KERNEL_GS_BASE, h.kernelGS, s.KernelGSBase)
	if v.sec&secRDTSCP != 0 {
		v.wrmsr(amd64.MSR_TSC_AUX, h.auxiliary, s.TSCAux)
	}
}

// SwitchOut saves the guest's values in s and loads those that the host needs, on the processor that
// SwitchIn ran on. It does nothing where s isn't loaded.
func (v *VCPU) SwitchOut(s *virt.State) {
	if s.Loaded == 0 {
		return
	}
	s.Loaded = 0
	h := &v.host
	switchOut(h, s)
	v.WRMSRs += 3
	h.cstar, h.kernelGS, h.auxiliary = s.CSTAR, s.KernelGSBase, s.TSCAux
}

// wrmsr writes x to an MSR that holds old. (SetMSR keeps s current, so that SwitchOut reads none but
// KERNEL_GS_BASE.)
func (v *VCPU) wrmsr(msr uint32, old, x uint64) {
	if old != x {
		v.WRMSRs++
		amd64.WRMSR(msr, x)
	}
}
