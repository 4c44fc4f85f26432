package vmx

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// Bits of interruption information, for exits, vectoring and entries alike (SDM 3C 25.8.3, 25.9.2).
const (
	infoError      = 1 << 11
	infoUnblocked  = 1 << 12 // NMIs were unblocked by the IRET that exited
	infoValid      = 1 << 31
	infoInjectable = infoValid | infoError | 0x7FF
)

// Exceptions by name.
const (
	excDebug          = 1
	excDoubleFault    = 8
	excAlignmentCheck = 17
	excMachineCheck   = 18
)

// Enter runs the guest until it exits, and returns false where the processor refused to: then
// Decode makes the exit KindFailedEntry and Check says why. Interrupts are off; v is Loaded here,
// s's guest switched in. Afterwards s.GPR (but for RSP), X14, X15 and Exit.Reason are the guest's and
// the caller's own are what they were. The host must not change CR2 before SwitchOut.
func (v *VCPU) Enter(s *virt.State) bool {
	enter(v, s)
	return s.Exit.Reason < entryFailure
}

// Inject makes ev happen at the next Enter, before the guest's next instruction, in place of any
// event that was to. The caller has asked Interruptible or NMIPossible before an interrupt or an
// NMI. A software interrupt has the length of s.Exit.Len that vectoring picked up.
func (v *VCPU) Inject(ev virt.Event) {
	info := uint32(ev) & infoInjectable
	if ev.Type() == virt.TypeException {
		if info&infoError != 0 && v.rN(GUEST_CR0)&amd64.CR0_PE == 0 {
			info &^= infoError // exceptions push no error code in real mode
		}
		if isFault(ev.Vector()) {
			v.learn()
			if v.rflags&rflagsRF == 0 {
				v.rflags |= rflagsRF
				v.wN(GUEST_RFLAGS, v.rflags)
			}
		}
	}
	if info&infoError != 0 {
		v.w32(VM_ENTRY_EXCEPTION_ERROR_CODE, uint32(ev>>32))
	}
	v.w32(VM_ENTRY_INTERRUPTION_INFO, info)
	v.injecting = info&infoValid != 0
}

// isFault says whether exception vector is a fault, which pushes RFLAGS with RF set so that the
// instruction is not caught by its breakpoint again (SDM 3B 18.3.1.1).
func isFault(vector uint8) bool {
	switch vector {
	case excDebug, 3, 4, excDoubleFault, excMachineCheck:
		return false
	}
	return true
}

// learn reads, once an exit, what says whether the guest can be interrupted.
func (v *VCPU) learn() {
	if v.known&knownInterruptible != 0 {
		return
	}
	v.known |= knownInterruptible
	rflags, interruptibility := vmread2(uint32(GUEST_RFLAGS), uint32(GUEST_INTERRUPTIBILITY_STATE))
	v.rflags, v.interruptibility = rflags, uint32(interruptibility)
}

// Pending says whether an event will be injected at the next Enter.
func (v *VCPU) Pending() bool { return v.injecting }

// Interruptible says whether an interrupt may be injected now: RFLAGS.IF is set, neither STI nor
// MOV SS blocks, and nothing else is being injected.
func (v *VCPU) Interruptible() bool {
	if v.injecting {
		return false
	}
	v.learn()
	return v.rflags&rflagsIF != 0 && v.interruptibility&(blockedBySTI|blockedByMovSS) == 0
}

// NMIPossible says whether an NMI may be injected now.
func (v *VCPU) NMIPossible() bool {
	if v.injecting {
		return false
	}
	v.learn()
	return v.interruptibility&(blockedBySTI|blockedByMovSS|blockedByNMI) == 0
}

// WantInterruptWindow asks for a KindInterruptWindow exit as soon as an interrupt may be injected,
// or for none.
func (v *VCPU) WantInterruptWindow(on bool) { v.setProc(procInterruptWindow, on) }

// WantNMIWindow asks for a KindNMIWindow exit as soon as an NMI may be injected, or for none.
func (v *VCPU) WantNMIWindow(on bool) { v.setProc(procNMIWindow, on) }

func (v *VCPU) setProc(bit uint32, on bool) {
	proc := v.proc &^ bit
	if on {
		proc |= bit
	}
	if proc != v.proc {
		v.proc = proc
		v.w32(PROCESSOR_BASED_CONTROLS, proc)
	}
}

// vectoring makes the event whose delivery the exit cut short happen at the next entry (SDM 3C
// 28.2.4). unblocked says that the exit came from an IRET that had unblocked NMIs: it will execute
// again, so they must be blocked again (SDM 3C 28.2.3), unless an event was being delivered.
func (v *VCPU) vectoring(unblocked bool) {
	info := v.r32(IDT_VECTORING_INFO)
	if info&infoValid == 0 {
		if unblocked {
			v.learn()
			v.setInterruptibility(v.interruptibility | blockedByNMI)
		}
		return
	}
	switch info >> 8 & 7 {
	case virt.TypeNMI:
		v.learn()
		v.setInterruptibility(v.interruptibility &^ blockedByNMI)
	case virt.TypeSoftInt, virt.TypePrivSoft, virt.TypeSoftExc:
		v.w32(VM_ENTRY_INSTRUCTION_LENGTH, v.r32(VM_EXIT_INSTRUCTION_LENGTH))
	}
	if info&infoError != 0 {
		v.w32(VM_ENTRY_EXCEPTION_ERROR_CODE, v.r32(IDT_VECTORING_ERROR))
	}
	v.w32(VM_ENTRY_INTERRUPTION_INFO, info&infoInjectable)
	v.injecting = true
}

// timerOff is a VMX-preemption timer that won't expire for as long as it can. Once used the timer
// stays active, so that switching it costs one VMWRITE; an exit for it that nobody asked for is
// harmless.
const timerOff = 0xFFFF_FFFF

// HasTimer says whether the processor has a VMX-preemption timer that exits preserve.
func HasTimer() bool { return caps.pin>>32&pinTimer != 0 && caps.exit>>32&exitSaveTimer != 0 }

// SetTimer makes the guest exit with KindTimer after it has run for ticks of the TSC more, rounded
// up to the timer's unit, counting in guest mode only; 0 exits before its first instruction. on
// false stops the timer. Without HasTimer it does nothing.
func (v *VCPU) SetTimer(ticks uint64, on bool) {
	if v.pin&pinTimer == 0 {
		if !on || !HasTimer() {
			return
		}
		v.pin |= pinTimer
		v.w32(PIN_BASED_CONTROLS, v.pin)
		v.w32(VM_EXIT_CONTROLS, v.r32(VM_EXIT_CONTROLS)|exitSaveTimer)
	}
	value := uint32(timerOff)
	if on {
		value = timerUnits(ticks, uint(caps.misc&miscTimerRate))
	}
	v.w32(VMX_PREEMPTION_TIMER_VALUE, value)
}

// timerUnits is ticks of the TSC in units of 2^rate of them, rounded up, at most timerOff-1.
func timerUnits(ticks uint64, rate uint) uint32 {
	units := ticks >> (rate & 31)
	if units<<(rate&31) != ticks {
		units++
	}
	return uint32(min(units, timerOff-1))
}

// SetTSCOffset sets what is added to the processor's TSC to make the guest's.
func (v *VCPU) SetTSCOffset(offset uint64) {
	if offset != v.tscOffset {
		v.tscOffset = offset
		v.w64(TSC_OFFSET, offset)
	}
}

// TSCOffset is the offset last set.
func (v *VCPU) TSCOffset() uint64 { return v.tscOffset }
