package vmx

// Pin-based VM-execution controls (SDM 3C 25.6.1).
const (
	pinExternalInterrupt = 1 << 0
	pinNMI               = 1 << 3
	pinVirtualNMI        = 1 << 5
	pinTimer             = 1 << 6

	pinRequired = pinExternalInterrupt | pinNMI | pinVirtualNMI
)

// Primary processor-based VM-execution controls (SDM 3C 25.6.2).
const (
	procInterruptWindow = 1 << 2
	procTSCOffset       = 1 << 3
	procHLT             = 1 << 7
	procMWAIT           = 1 << 10
	procRDPMC           = 1 << 11
	procCR3Load         = 1 << 15
	procCR3Store        = 1 << 16
	procCR8Load         = 1 << 19
	procCR8Store        = 1 << 20
	procTPRShadow       = 1 << 21
	procNMIWindow       = 1 << 22
	procIOBitmaps       = 1 << 25
	procMSRBitmaps      = 1 << 28
	procMONITOR         = 1 << 29
	procSecondary       = 1 << 31

	procRequired = procTSCOffset | procHLT | procMWAIT | procRDPMC | procIOBitmaps |
		procMSRBitmaps | procMONITOR | procSecondary
	// Set at times, so a processor must allow them too.
	procWindows = procInterruptWindow | procNMIWindow
)

// Secondary processor-based VM-execution controls (SDM 3C 25.6.2). Whatever of the instruction
// set needs a control that isn't here raises #UD in the guest: the model doesn't have it.
const (
	secAPICAccesses     = 1 << 0
	secEPT              = 1 << 1
	secRDTSCP           = 1 << 3
	secX2APIC           = 1 << 4
	secVPID             = 1 << 5
	secWBINVD           = 1 << 6
	secUnrestricted     = 1 << 7
	secAPICRegisters    = 1 << 8
	secInterruptDeliver = 1 << 9
	secPLE              = 1 << 10
	secINVPCID          = 1 << 12
	secENCLS            = 1 << 15
	secENCLV            = 1 << 28

	secRequired = secEPT | secUnrestricted
	secOptional = secRDTSCP | secVPID | secWBINVD | secPLE | secINVPCID | secENCLS | secENCLV
	secAPICv    = secAPICAccesses | secAPICRegisters | secInterruptDeliver
)

// VM-exit controls (SDM 3C 25.7.1).
const (
	exitSaveDebug = 1 << 2
	exitHost64    = 1 << 9
	exitSavePAT   = 1 << 18
	exitLoadPAT   = 1 << 19
	exitSaveEFER  = 1 << 20
	exitLoadEFER  = 1 << 21
	exitSaveTimer = 1 << 22
	exitRequired  = exitSaveDebug | exitHost64 | exitSavePAT | exitLoadPAT | exitSaveEFER | exitLoadEFER
)

// VM-entry controls (SDM 3C 25.8.1).
const (
	entryLoadDebug = 1 << 2
	entryIA32e     = 1 << 9
	entrySMM       = 1 << 10
	entryDualOff   = 1 << 11
	entryLoadPAT   = 1 << 14
	entryLoadEFER  = 1 << 15
	entryRequired  = entryLoadDebug | entryLoadPAT | entryLoadEFER
)

// Interruptibility state (SDM 3C table 25-3), RFLAGS bits and pending debug exceptions that the
// package looks at.
const (
	blockedBySTI   = 1 << 0
	blockedByMovSS = 1 << 1
	blockedBySMI   = 1 << 2
	blockedByNMI   = 1 << 3

	rflagsTF = 1 << 8
	rflagsIF = 1 << 9
	rflagsRF = 1 << 16
	rflagsVM = 1 << 17

	pendingBS      = 1 << 14
	pendingEnabled = 1 << 12
)

// adjust returns the setting of a word of controls: all of required, what the processor allows of
// optional, and what it insists on. A capability MSR says in bits 31:0 which controls must be 1 and
// in bits 63:32 which may be (SDM 3D A.2). ok is false where it refuses a required one.
func adjust(required, optional uint32, capability uint64) (value uint32, ok bool) {
	must, may := uint32(capability), uint32(capability>>32)
	return required | optional&may | must, required&^may == 0
}
