package vmx

import "keel/arch/amd64"

// Capability MSRs (SDM 3D appendix A).
const (
	msrBasic         = 0x480
	msrPinBased      = 0x481
	msrProcBased     = 0x482
	msrExit          = 0x483
	msrEntry         = 0x484
	msrMisc          = 0x485
	msrCR0Fixed0     = 0x486
	msrCR0Fixed1     = 0x487
	msrCR4Fixed0     = 0x488
	msrCR4Fixed1     = 0x489
	msrProcBased2    = 0x48B
	msrEPTVPIDCap    = 0x48C
	msrTruePinBased  = 0x48D
	msrTrueProcBased = 0x48E
	msrTrueExit      = 0x48F
	msrTrueEntry     = 0x490
)

// Bits of IA32_FEATURE_CONTROL.
const (
	featureLocked = 1 << 0
	featureVMX    = 1 << 2 // VMXON outside SMX
)

// Bits of IA32_VMX_BASIC, IA32_VMX_MISC and IA32_VMX_EPT_VPID_CAP.
const (
	basicStringInfo = 1 << 54
	basicTrue       = 1 << 55

	miscTimerRate    = 31
	miscSavesLMA     = 1 << 5
	miscZeroLength   = 1 << 30
	eptWalk4         = 1 << 6
	eptWriteBack     = 1 << 14
	ept2M            = 1 << 16
	ept1G            = 1 << 17
	eptINVEPT        = 1 << 20
	eptAccessedDirty = 1 << 21
	eptINVEPTSingle  = 1 << 25
	eptINVEPTAll     = 1 << 26
	vpidINVVPID      = 1 << 32
	vpidSingle       = 1 << 41
	vpidAll          = 1 << 42
)

// capabilities is what the processor can do. Words of controls are as their MSRs are: what must be
// 1 below, what may be 1 above.
type capabilities struct {
	basic, misc, ept            uint64
	pin, proc, sec, exit, entry uint64
	cr0Must, cr0May             uint64
	cr4Must, cr4May             uint64
	physicalBits                uint32 // MAXPHYADDR
}

// caps is written by Probe and only read after that.
var caps capabilities

// unlock gives VT-x free where firmware left that to the kernel; ok is false where firmware locked
// it off. Each processor has an IA32_FEATURE_CONTROL of its own.
func unlock() (ok bool) {
	f := amd64.RDMSR(amd64.MSR_FEATURE_CTL)
	if f&featureLocked == 0 {
		amd64.WRMSR(amd64.MSR_FEATURE_CTL, f|featureLocked|featureVMX)
		return true
	}
	return f&featureVMX != 0
}

// Probe says whether the processor can run guests as this package does it, and why not. It is
// called once, on the boot processor, before all else.
func Probe() (ok bool, why string) {
	if _, _, ecx, _ := amd64.CPUID(1, 0); ecx&(1<<5) == 0 {
		return false, "VT-x is absent"
	}
	if !unlock() {
		return false, "VT-x is locked off by firmware: enable ‘Intel Virtualization Technology’ in setup"
	}
	c := &caps
	c.basic = amd64.RDMSR(msrBasic)
	c.misc = amd64.RDMSR(msrMisc)
	c.cr0Must, c.cr0May = amd64.RDMSR(msrCR0Fixed0), amd64.RDMSR(msrCR0Fixed1)
	c.cr4Must, c.cr4May = amd64.RDMSR(msrCR4Fixed0), amd64.RDMSR(msrCR4Fixed1)
	if c.basic&basicTrue == 0 {
		return false, "VT-x is of a first generation (no EPT)"
	}
	c.pin, c.proc = amd64.RDMSR(msrTruePinBased), amd64.RDMSR(msrTrueProcBased)
	c.exit, c.entry = amd64.RDMSR(msrTrueExit), amd64.RDMSR(msrTrueEntry)
	if c.proc>>32&procSecondary != 0 {
		c.sec = amd64.RDMSR(msrProcBased2)
	}
	if c.sec>>32&secEPT != 0 {
		c.ept = amd64.RDMSR(msrEPTVPIDCap)
	}
	c.physicalBits = physicalBits()
	why = c.lacks()
	return why == "", why
}

// lacks names the first thing that the package needs and the processor doesn't have, or "".
func (c *capabilities) lacks() string {
	switch {
	case c.sec>>32&secEPT == 0:
		return "no EPT"
	case c.sec>>32&secUnrestricted == 0 || c.misc&miscSavesLMA == 0:
		return "no unrestricted guest"
	case c.ept&eptWalk4 == 0 || c.ept&eptWriteBack == 0:
		return "EPT has no 4-level tables in write-back memory"
	case c.ept&ept2M == 0:
		return "EPT has no 2 MiB pages"
	case c.ept&eptINVEPT == 0 || c.ept&(eptINVEPTSingle|eptINVEPTAll) == 0:
		return "EPT has no INVEPT"
	case pinRequired&^uint32(c.pin>>32) != 0:
		return "VT-x has no virtual NMIs"
	case (procRequired|procWindows)&^uint32(c.proc>>32) != 0:
		return "VT-x lacks a processor-based control that is needed"
	case c.proc&(procCR3Load|procCR3Store) != 0:
		return "VT-x can't leave CR3 to a guest"
	case exitRequired&^uint32(c.exit>>32) != 0 || entryRequired&^uint32(c.entry>>32) != 0:
		return "VT-x can't switch PAT and EFER"
	}
	return ""
}

// physicalBits is MAXPHYADDR, the width of a physical address in bits.
func physicalBits() uint32 {
	if last, _, _, _ := amd64.CPUID(0x8000_0000, 0); last < 0x8000_0008 {
		return 36
	}
	eax, _, _, _ := amd64.CPUID(0x8000_0008, 0)
	return eax & 0xFF
}

// EnableCPU puts the calling processor into VMX operation with the zeroed page frame at physical
// address page as its VMXON region, which stays the processor's until DisableCPU. It returns "",
// or what went wrong.
func EnableCPU(page uint64) string {
	if !unlock() {
		return "VT-x is locked off by firmware on one processor and not on another: update the firmware"
	}
	amd64.WriteCR0((amd64.ReadCR0() | caps.cr0Must) & caps.cr0May)
	amd64.WriteCR4((amd64.ReadCR4() | caps.cr4Must | amd64.CR4_VMXE) & caps.cr4May)
	poke32(page, revision())
	if !vmxon(page) {
		return "VMXON was refused: another hypervisor runs on this processor or firmware left VT-x on"
	}
	if caps.ept&eptINVEPTAll != 0 {
		invept(invAll, 0, 0)
	}
	if caps.ept&vpidINVVPID != 0 && caps.ept&vpidAll != 0 {
		invvpid(invAll, 0, 0)
	}
	return ""
}

// DisableCPU takes the calling processor out of VMX operation, which also unblocks INIT. Every
// VCPU must have been Cleared there.
func DisableCPU() {
	vmxoff()
	amd64.WriteCR4(amd64.ReadCR4() &^ amd64.CR4_VMXE)
}

// revision is the VMCS revision identifier that a VMXON or VMCS region begins with.
func revision() uint32 { return uint32(caps.basic) & 0x7FFF_FFFF }

// bochsRevision is the VMCS revision identifier of Bochs; Intel's processors have small numbers, the last of them 13H.
const bochsRevision = 0x2B

// HoldsInterrupts says whether external interrupts may not cause an exit while the guest goes on with RFLAGS.IF as
// clear as it was entered with. Against the SDM (3C 25.2), Bochs 2.7 does that.
func HoldsInterrupts() bool { return revision() == bochsRevision }
