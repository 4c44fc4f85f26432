package vmx

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// Decode fills in s.Exit of the exit that Enter returned with, reading no more of the VMCS than its
// kind needs; fields that the kind doesn't have keep what they held. An event whose delivery the
// exit cut short is injected at the next Enter unless the caller Injects another. Of the guest's
// exceptions only #DB and #AC exit, and Decode arranges for their delivery: they are KindResume. An
// NMI or machine check of the host has been through the host's handler when Decode returns.
func (v *VCPU) Decode(s *virt.State) {
	if s.Exit.Kind >= more {
		v.detail(s)
	}
}

// detail is the part of Decode for exits that are more than a reason and a length.
func (v *VCPU) detail(s *virt.State) {
	e := &s.Exit
	if e.Reason >= kindCount {
		v.unusual(e)
		return
	}
	e.Kind &^= more
	switch e.Reason {
	case reasonTimer:
		v.w32(VMX_PREEMPTION_TIMER_VALUE, timerOff) // it stands at 0 and would expire again at once
		return
	case reasonException:
		v.exception(e)
		return
	}
	e.Qual = v.rN(EXIT_QUALIFICATION)
	switch e.Reason {
	case reasonIO:
		ioQualification(e, e.Qual)
		if e.String {
			e.GVA = v.rN(GUEST_LINEAR_ADDRESS)
			e.AddrSize, e.Segment = 0, virt.DS
			if caps.basic&basicStringInfo != 0 {
				e.AddrSize, e.Segment = stringInfo(v.r32(VM_EXIT_INSTRUCTION_INFO))
			}
		}
	case reasonCR:
		if e.Qual&15 == 8 {
			e.Kind = virt.KindCR8
		}
		e.Vector = uint32(e.Qual>>8) & 15
		e.Write = e.Qual>>4&3 == crMovTo
	case reasonEPTViolation, reasonEPTMisconfig:
		e.GPA = v.r64(GUEST_PHYSICAL_ADDRESS)
		e.GVA = 0
		if e.Qual&(1<<7) != 0 {
			e.GVA = v.rN(GUEST_LINEAR_ADDRESS)
		}
		e.Write = e.Qual&2 != 0
		v.vectoring(e.Reason == reasonEPTViolation && e.Qual&infoUnblocked != 0)
		v.delivery(e)
	case reasonAPICAccess:
		e.GPA = apicBase | e.Qual&0xFFF
		e.GVA = 0
		e.Write = e.Qual>>12&15 == 1
		v.vectoring(e.Qual&(1<<16) != 0)
		v.delivery(e)
	case reasonEOI:
		e.Vector = uint32(e.Qual) & 0xFF
	}
}

// delivery makes the exit one of KindDelivery if the access was for an event: to the IDT, the GDT, a
// TSS or the stack, and not by the instruction at RIP.
func (v *VCPU) delivery(e *virt.Exit) {
	if v.injecting {
		e.Kind, e.Vector = virt.KindDelivery, v.r32(IDT_VECTORING_INFO)&0xFF
	}
}

// apicBase is where a local APIC's registers lie after reset. Exit.GPA of an APIC-access exit has
// its offsets; the guest may have moved its own elsewhere.
const apicBase = 0xFEE0_0000

// unusual is detail for entries that failed and for reasons that the package doesn't know.
func (v *VCPU) unusual(e *virt.Exit) {
	e.Kind = virt.KindUnknown
	if e.Reason == VMfail {
		e.Kind, e.Qual = virt.KindFailedEntry, 0
		e.ErrCode = 0
		if !v.unusable {
			e.ErrCode = v.r32(VM_INSTRUCTION_ERROR)
		}
		return
	}
	e.Qual = v.rN(EXIT_QUALIFICATION)
	if e.Reason >= entryFailure {
		e.Kind, e.ErrCode = virt.KindFailedEntry, 0
		if e.Reason&0xFFFF == 41 {
			e.Kind = virt.KindMachineCheck
			int18()
		}
	}
}

// ioQualification takes the exit qualification of a port access apart (SDM 3C table 28-5).
func ioQualification(e *virt.Exit, q uint64) {
	e.Size = uint8(q)&7 + 1
	e.In = q&(1<<3) != 0
	e.String = q&(1<<4) != 0
	e.Rep = q&(1<<5) != 0
	e.Port = uint16(q >> 16)
}

// stringInfo takes the instruction information of INS and OUTS apart (SDM 3C table 28-10).
func stringInfo(info uint32) (addrSize, segment uint8) {
	return 2 << (info >> 7 & 3), uint8(info>>15) & 7
}

// exception decodes an exit for an exception or NMI (SDM 3C 28.2.2).
func (v *VCPU) exception(e *virt.Exit) {
	info := v.r32(VM_EXIT_INTERRUPTION_INFO)
	e.Vector = info & 0xFF
	if info>>8&7 == virt.TypeNMI {
		e.Kind = virt.KindHostNMI
		int2()
		return
	}
	if e.Vector == excMachineCheck {
		e.Kind = virt.KindMachineCheck
		v.vectoring(false)
		int18()
		return
	}
	e.Kind, e.ErrCode = virt.KindResume, 0
	if info&infoError != 0 {
		e.ErrCode = v.r32(VM_EXIT_INTERRUPTION_ERROR)
		v.w32(VM_ENTRY_EXCEPTION_ERROR_CODE, e.ErrCode)
	}
	if v.r32(IDT_VECTORING_INFO)&infoValid == 0 && info&infoUnblocked != 0 {
		v.learn()
		v.setInterruptibility(v.interruptibility | blockedByNMI)
	}
	if kind := info >> 8 & 7; kind >= virt.TypeSoftInt {
		v.w32(VM_ENTRY_INSTRUCTION_LENGTH, v.r32(VM_EXIT_INSTRUCTION_LENGTH))
	}
	if e.Vector == excDebug {
		v.debugException(e)
	}
	v.w32(VM_ENTRY_INTERRUPTION_INFO, info&infoInjectable)
	v.injecting = true
}

// debugException does to the debug registers what the processor would have, had the #DB not exited
// (SDM 3C 28.1), and keeps VM entry content where MOV SS held the guest's single step back. The
// guest's DR6 is in the processor: exits are decoded before SwitchOut.
func (v *VCPU) debugException(e *virt.Exit) {
	e.Qual = v.rN(EXIT_QUALIFICATION)
	amd64.WriteDR(6, debugStatus(amd64.ReadDR(6), e.Qual))
	if e.Qual&dr6BD != 0 {
		v.wN(GUEST_DR7, v.rN(GUEST_DR7)&^dr7GD)
	}
	v.learn()
	if p := pendingDebug(v.rflags, v.interruptibility); p != 0 {
		v.wN(GUEST_PENDING_DEBUG_EXCEPTIONS, v.rN(GUEST_PENDING_DEBUG_EXCEPTIONS)|p)
	}
}

// Bits of DR6, DR7 and of a #DB's exit qualification.
const (
	dr6Traps = 15
	dr6BD    = 1 << 13
	dr6BS    = 1 << 14
	dr7GD    = 1 << 13
)

// debugStatus is DR6 after a #DB with exit qualification q.
func debugStatus(dr6, q uint64) uint64 {
	return dr6&^dr6Traps | q&(dr6Traps|dr6BD|dr6BS)
}
