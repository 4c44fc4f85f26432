package vmx

import "keel/arch/amd64/virt"

// Exit reasons (SDM 3D appendix C) that the package acts on.
const (
	reasonException    = 0
	reasonCPUID        = 10
	reasonCR           = 28
	reasonIO           = 30
	reasonAPICAccess   = 44
	reasonEOI          = 45
	reasonEPTViolation = 48
	reasonEPTMisconfig = 49
	reasonTimer        = 52
	reasonAPICWrite    = 56

	entryFailure = 1 << 31

	// VMfail is the Exit.Reason of an entry that failed before it began (SDM 3C 31.2); no exit
	// has it.
	VMfail = entryFailure | 0xFFFF
)

// lengthReasons are the reasons below 64 whose instruction the caller may Skip: enter reads its
// length. CPUID, HLT, INVD, VMCALL, control registers, ports, MSRs, PAUSE, WBINVD and XSETBV.
const lengthReasons = 1<<10 | 1<<12 | 1<<13 | 1<<18 | 1<<28 | 1<<30 | 1<<31 | 1<<32 | 1<<40 | 1<<54 | 1<<55

// more marks a kind whose Exit needs more than Reason and Len.
const more = 0x80

// kinds gives each exit reason its kind, and whether detail has something to fill in; enter reads it.
var kinds = [...]uint8{
	0:  uint8(virt.KindException) | more,
	1:  uint8(virt.KindHostInterrupt),
	2:  uint8(virt.KindTripleFault),
	3:  uint8(virt.KindINIT),
	4:  uint8(virt.KindSIPI) | more,
	7:  uint8(virt.KindInterruptWindow),
	8:  uint8(virt.KindNMIWindow),
	9:  uint8(virt.KindTaskSwitch) | more,
	10: uint8(virt.KindCPUID),
	11: uint8(virt.KindUndefined),
	12: uint8(virt.KindHLT),
	13: uint8(virt.KindNop),
	15: uint8(virt.KindProtection),
	17: uint8(virt.KindUndefined),
	18: uint8(virt.KindUndefined),
	19: uint8(virt.KindUndefined),
	20: uint8(virt.KindUndefined),
	21: uint8(virt.KindUndefined),
	22: uint8(virt.KindUndefined),
	23: uint8(virt.KindUndefined),
	24: uint8(virt.KindUndefined),
	25: uint8(virt.KindUndefined),
	26: uint8(virt.KindUndefined),
	27: uint8(virt.KindUndefined),
	28: uint8(virt.KindCR) | more,
	30: uint8(virt.KindIO) | more,
	31: uint8(virt.KindRDMSR),
	32: uint8(virt.KindWRMSR),
	36: uint8(virt.KindUndefined),
	39: uint8(virt.KindUndefined),
	40: uint8(virt.KindPause),
	41: uint8(virt.KindMachineCheck),
	43: uint8(virt.KindTPR),
	44: uint8(virt.KindAPICRead) | more,
	45: uint8(virt.KindEOI) | more,
	48: uint8(virt.KindMMIO) | more,
	49: uint8(virt.KindUnknown) | more,
	50: uint8(virt.KindUndefined),
	52: uint8(virt.KindTimer) | more,
	53: uint8(virt.KindUndefined),
	54: uint8(virt.KindNop),
	55: uint8(virt.KindXSETBV),
	56: uint8(virt.KindAPICWrite) | more,
	59: uint8(virt.KindUndefined),
	60: uint8(virt.KindUndefined),
	63: uint8(virt.KindUndefined),
	64: uint8(virt.KindUndefined),
	65: uint8(virt.KindUndefined),
	67: uint8(virt.KindUndefined),
	68: uint8(virt.KindUndefined),
	69: uint8(virt.KindUndefined),
	70: uint8(virt.KindUndefined),
}

// kindCount is one more than the highest exit reason that the package knows.
const kindCount = uint32(len(kinds))

// Reasons is one more than the highest exit reason that Reason names.
const Reasons = uint32(len(reasons))

var reasons = [...]string{
	0: "exception or NMI", 1: "external interrupt", 2: "triple fault", 3: "INIT", 4: "SIPI",
	5: "I/O SMI", 6: "other SMI", 7: "interrupt window", 8: "NMI window", 9: "task switch",
	10: "CPUID", 11: "GETSEC", 12: "HLT", 13: "INVD", 14: "INVLPG", 15: "RDPMC", 16: "RDTSC",
	17: "RSM", 18: "VMCALL", 19: "VMCLEAR", 20: "VMLAUNCH", 21: "VMPTRLD", 22: "VMPTRST",
	23: "VMREAD", 24: "VMRESUME", 25: "VMWRITE", 26: "VMXOFF", 27: "VMXON",
	28: "control-register access", 29: "MOV DR", 30: "I/O instruction", 31: "RDMSR", 32: "WRMSR",
	33: "entry failure: invalid guest state", 34: "entry failure: MSR loading", 36: "MWAIT",
	37: "monitor trap flag", 39: "MONITOR", 40: "PAUSE", 41: "entry failure: machine check",
	43: "TPR below threshold", 44: "APIC access", 45: "virtualised EOI",
	46: "access to GDTR or IDTR", 47: "access to LDTR or TR", 48: "EPT violation",
	49: "EPT misconfiguration", 50: "INVEPT", 51: "RDTSCP", 52: "VMX-preemption timer",
	53: "INVVPID", 54: "WBINVD", 55: "XSETBV", 56: "APIC write", 57: "RDRAND", 58: "INVPCID",
	59: "VMFUNC", 60: "ENCLS", 61: "RDSEED", 62: "page-modification log full", 63: "XSAVES",
	64: "XRSTORS", 65: "PCONFIG", 66: "SPP-related event", 67: "UMWAIT", 68: "TPAUSE",
	69: "LOADIWKEY", 70: "ENCLV", 72: "ENQCMD PASID translation", 73: "ENQCMDS PASID translation",
	74: "bus lock", 75: "instruction timeout",
}

// Reason is the name of exit reason n, the value of Exit.Reason.
func Reason(n uint32) string {
	if n == VMfail {
		return "entry refused"
	}
	if n &= 0xFFFF; n < Reasons && reasons[n] != "" {
		return reasons[n]
	}
	return "unknown exit"
}
