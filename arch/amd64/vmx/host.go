package vmx

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// Host is one processor's view of the registers that VM entry and exit don't switch: the MSRs of
// SYSCALL and SWAPGS, TSC_AUX, and DR0 to DR3 and DR6. core keeps one a processor, in page frames.
//
// The host needs its own STAR, LSTAR and SFMASK as soon as anything executes SYSCALL; the others it
// must not depend on, so a guest's stay until another guest's replace them. (VM exit sets DR7 to
// 0x400: no breakpoint is armed in the host.)
type Host struct {
	WRMSRs uint64 // how many SwitchIn and SwitchOut have executed

	star, lstar, sfmask uint64    // the host's
	msr                 [6]uint64 // what the processor has, in the order of the constants below
	aux                 bool      // TSC_AUX exists
}

const (
	hostSTAR = iota
	hostLSTAR
	hostCSTAR
	hostSFMASK
	hostKernelGS
	hostTSCAux
)

// Capture takes the calling processor's present values as the host's. core calls it once a
// processor, after it has set its MSRs up.
func (h *Host) Capture() {
	h.star = amd64.RDMSR(amd64.MSR_STAR)
	h.lstar = amd64.RDMSR(amd64.MSR_LSTAR)
	h.sfmask = amd64.RDMSR(amd64.MSR_SFMASK)
	h.msr[hostSTAR], h.msr[hostLSTAR], h.msr[hostSFMASK] = h.star, h.lstar, h.sfmask
	h.msr[hostCSTAR] = amd64.RDMSR(amd64.MSR_CSTAR)
	h.msr[hostKernelGS] = amd64.RDMSR(amd64.MSR_KERNEL_GS_BASE)
	_, _, _, edx := amd64.CPUID(0x8000_0001, 0)
	h.aux = edx&(1<<27) != 0 // RDTSCP
	if h.aux {
		h.msr[hostTSCAux] = amd64.RDMSR(amd64.MSR_TSC_AUX)
	}
}

// SwitchIn loads the guest's values on the calling processor, which is h's, where they differ from
// what it has. From then until SwitchOut nothing may execute SYSCALL. It does nothing where s is
// loaded already.
func (h *Host) SwitchIn(s *virt.State) {
	if s.Loaded != 0 {
		return
	}
	s.Loaded = 1
	h.set(hostSTAR, amd64.MSR_STAR, s.STAR)
	h.set(hostLSTAR, amd64.MSR_LSTAR, s.LSTAR)
	h.set(hostCSTAR, amd64.MSR_CSTAR, s.CSTAR)
	h.set(hostSFMASK, amd64.MSR_SFMASK, s.SFMASK)
	h.set(hostKernelGS, amd64.MSR_KERNEL_GS_BASE, s.KernelGSBase)
	if h.aux {
		h.set(hostTSCAux, amd64.MSR_TSC_AUX, s.TSCAux)
	}
	writeDebug(s)
}

// SwitchOut saves the guest's values in s and loads those that the host needs, on the processor that
// SwitchIn ran on. It does nothing where s isn't loaded.
func (h *Host) SwitchOut(s *virt.State) {
	if s.Loaded == 0 {
		return
	}
	s.Loaded = 0
	s.KernelGSBase = amd64.RDMSR(amd64.MSR_KERNEL_GS_BASE)
	readDebug(s)
	h.msr[hostSTAR], h.msr[hostLSTAR] = s.STAR, s.LSTAR // SetMSR kept s current
	h.msr[hostCSTAR], h.msr[hostSFMASK] = s.CSTAR, s.SFMASK
	h.msr[hostKernelGS], h.msr[hostTSCAux] = s.KernelGSBase, s.TSCAux
	h.set(hostSTAR, amd64.MSR_STAR, h.star)
	h.set(hostLSTAR, amd64.MSR_LSTAR, h.lstar)
	h.set(hostSFMASK, amd64.MSR_SFMASK, h.sfmask)
}

func (h *Host) set(i int, msr uint32, x uint64) {
	if h.msr[i] != x {
		h.msr[i] = x
		h.WRMSRs++
		amd64.WRMSR(msr, x)
	}
}
