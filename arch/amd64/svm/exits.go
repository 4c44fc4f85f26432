package svm

// Exit codes (APM 2 app. C). Codes of control and debug registers and of exceptions are the base
// plus the number.
const (
	exitReadCR       = 0x00
	exitWriteCR      = 0x10
	exitReadDR       = 0x20
	exitWriteDR      = 0x30
	exitException    = 0x40
	exitINTR         = 0x60
	exitNMI          = 0x61
	exitSMI          = 0x62
	exitINIT         = 0x63
	exitVINTR        = 0x64
	exitCR0SelWrite  = 0x65
	exitIDTRRead     = 0x66
	exitGDTRRead     = 0x67
	exitLDTRRead     = 0x68
	exitTRRead       = 0x69
	exitIDTRWrite    = 0x6A
	exitGDTRWrite    = 0x6B
	exitLDTRWrite    = 0x6C
	exitTRWrite      = 0x6D
	exitRDTSC        = 0x6E
	exitRDPMC        = 0x6F
	exitPUSHF        = 0x70
	exitPOPF         = 0x71
	exitCPUID        = 0x72
	exitRSM          = 0x73
	exitIRET         = 0x74
	exitSWINT        = 0x75
	exitINVD         = 0x76
	exitPAUSE        = 0x77
	exitHLT          = 0x78
	exitINVLPG       = 0x79
	exitINVLPGA      = 0x7A
	exitIOIO         = 0x7B
	exitMSR          = 0x7C
	exitTaskSwitch   = 0x7D
	exitFERRFreeze   = 0x7E
	exitShutdown     = 0x7F
	exitVMRUN        = 0x80
	exitVMMCALL      = 0x81
	exitVMLOAD       = 0x82
	exitVMSAVE       = 0x83
	exitSTGI         = 0x84
	exitCLGI         = 0x85
	exitSKINIT       = 0x86
	exitRDTSCP       = 0x87
	exitICEBP        = 0x88
	exitWBINVD       = 0x89
	exitMONITOR      = 0x8A
	exitMWAIT        = 0x8B
	exitMWAITArmed   = 0x8C
	exitXSETBV       = 0x8D
	exitRDPRU        = 0x8E
	exitEFERTrap     = 0x8F
	exitCRTrap       = 0x90
	exitINVLPGB      = 0xA0
	exitINVLPGBIll   = 0xA1
	exitINVPCID      = 0xA2
	exitMCOMMIT      = 0xA3
	exitTLBSYNC      = 0xA4
	exitBusLock      = 0xA5
	exitIdleHLT      = 0xA6
	exitNPF          = 0x400
	exitAVICIPI      = 0x401
	exitAVICNoAccel  = 0x402
	exitVMGEXIT      = 0x403
	exitInvalid      = 0xFFFF_FFFF // VMEXIT_INVALID is -1; 32 bits of it are compared
	exitBusy         = 0xFFFF_FFFE
	reasonsTableSize = 0xA7
)

var reasons = [reasonsTableSize]string{
	exitReadCR: "CR0_READ", 2: "CR2_READ", 3: "CR3_READ", 4: "CR4_READ", 8: "CR8_READ",
	exitWriteCR: "CR0_WRITE", 0x12: "CR2_WRITE", 0x13: "CR3_WRITE", 0x14: "CR4_WRITE", 0x18: "CR8_WRITE",
	exitReadDR: "DR0_READ", "DR1_READ", "DR2_READ", "DR3_READ", "DR4_READ", "DR5_READ", "DR6_READ", "DR7_READ",
	exitWriteDR: "DR0_WRITE", "DR1_WRITE", "DR2_WRITE", "DR3_WRITE", "DR4_WRITE", "DR5_WRITE", "DR6_WRITE", "DR7_WRITE",
	exitException: "EXCP_DE", "EXCP_DB", "EXCP_NMI", "EXCP_BP", "EXCP_OF", "EXCP_BR", "EXCP_UD", "EXCP_NM",
	0x48: "EXCP_DF", 0x4A: "EXCP_TS", 0x4B: "EXCP_NP", 0x4C: "EXCP_SS", 0x4D: "EXCP_GP", 0x4E: "EXCP_PF",
	0x50: "EXCP_MF", 0x51: "EXCP_AC", 0x52: "EXCP_MC", 0x53: "EXCP_XF", 0x55: "EXCP_CP",
	0x5C: "EXCP_HV", 0x5D: "EXCP_VC", 0x5E: "EXCP_SX",
	exitINTR: "INTR", "NMI", "SMI", "INIT", "VINTR", "CR0_SEL_WRITE",
	exitIDTRRead: "IDTR_READ", "GDTR_READ", "LDTR_READ", "TR_READ", "IDTR_WRITE", "GDTR_WRITE", "LDTR_WRITE", "TR_WRITE",
	exitRDTSC: "RDTSC", "RDPMC", "PUSHF", "POPF", "CPUID", "RSM", "IRET", "SWINT", "INVD", "PAUSE", "HLT",
	exitINVLPG: "INVLPG", "INVLPGA", "IOIO", "MSR", "TASK_SWITCH", "FERR_FREEZE", "SHUTDOWN",
	exitVMRUN: "VMRUN", "VMMCALL", "VMLOAD", "VMSAVE", "STGI", "CLGI", "SKINIT", "RDTSCP", "ICEBP", "WBINVD",
	exitMONITOR: "MONITOR", "MWAIT", "MWAIT_CONDITIONAL", "XSETBV", "RDPRU", "EFER_WRITE_TRAP",
	exitCRTrap: "CR0_WRITE_TRAP", 0x93: "CR3_WRITE_TRAP", 0x94: "CR4_WRITE_TRAP", 0x98: "CR8_WRITE_TRAP",
	exitINVLPGB: "INVLPGB", "INVLPGB_ILLEGAL", "INVPCID", "MCOMMIT", "TLBSYNC", "BUSLOCK", "IDLE_HLT",
}

// Reason names an exit code as APM 2 app. C does, without VMEXIT_; "unknown" where it has no name.
func Reason(n uint32) string {
	if n < reasonsTableSize && reasons[n] != "" {
		return reasons[n]
	}
	switch n {
	case exitNPF:
		return "NPF"
	case exitAVICIPI:
		return "AVIC_INCOMPLETE_IPI"
	case exitAVICNoAccel:
		return "AVIC_NOACCEL"
	case exitVMGEXIT:
		return "VMGEXIT"
	case exitInvalid:
		return "INVALID"
	case exitBusy:
		return "BUSY"
	}
	return "unknown"
}
