package svm

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// nmiState follows the masking of NMIs, which the processor doesn't for injected ones: from the
// injection until the guest's IRET has executed. IRET leaves the guest before it executes; that it
// has is seen at the next exit, or by single-stepping it where an NMI waits (APM 2 15.9, 15.20).
type nmiState struct {
	rip      uint64 // of that IRET
	masked   bool   // an NMI handler runs
	atIRET   bool   // its IRET is the next instruction
	wanted   bool   // an NMI waits
	stepping bool   // RFLAGS.TF is ours
	guestTF  bool   // RFLAGS.TF as the guest has it
}

func (n *nmiState) init() {
	n.rip, n.masked, n.atIRET, n.wanted, n.stepping, n.guestTF = 0, false, false, false, false, false
}

// Inject delivers ev at the next Enter. It takes the place of what was to be delivered there, an
// event whose delivery the last exit interrupted included, as an exception that was raised by that
// delivery does. The zero Event takes back what was to be delivered. A window for interrupts that was
// asked for before an interrupt is over: ask again if another waits.
func (v *VCPU) Inject(ev virt.Event) {
	v.event = ev
	if !ev.Valid() {
		return
	}
	c := v.vmcb()
	switch ev.Type() {
	case virt.TypeInterrupt:
		v.WantInterruptWindow(false) // it is open; offer has use for V_IRQ
	case virt.TypeNMI:
		v.nmi.wanted = false
		v.setNMIMasked(c, true)
	case virt.TypeException:
		switch ev.Vector() {
		case vectorDB:
			c.DR7 &^= dr7GD // as delivery by the processor itself does (APM 2 13.1.1.4)
			c.Clean &^= cleanDRx
		case vectorBP, vectorOF, vectorDF, vectorMC:
		default:
			c.RFLAGS |= flagRF // a fault: its instruction isn't caught by its breakpoint again
		}
	}
}

// Pending says whether an event is to be delivered at the next Enter.
func (v *VCPU) Pending() bool { return v.event.Valid() }

// Undelivered is the external interrupt that the last entry ended before, or while it was delivered, -1 where there
// is none.
func (v *VCPU) Undelivered() int {
	if !v.event.Valid() || v.event.Type() != virt.TypeInterrupt {
		return -1
	}
	return int(v.event.Vector())
}

// Interruptible says whether the guest would take an external interrupt now.
func (v *VCPU) Interruptible() bool {
	c := v.vmcb()
	return c.RFLAGS&flagIF != 0 && c.IntShadow&intShadow == 0 && !v.event.Valid()
}

// NMIPossible says whether the guest would take an NMI now.
func (v *VCPU) NMIPossible() bool {
	return !v.nmi.masked && v.vmcb().IntShadow&intShadow == 0 && !v.event.Valid()
}

// WantInterruptWindow asks for an exit of KindInterruptWindow once the guest is interruptible, by
// way of a virtual interrupt that leaves instead of being taken (APM 2 15.21.4).
func (v *VCPU) WantInterruptWindow(on bool) {
	c := v.vmcb()
	if on == (c.InterceptMisc1&interceptVINTR != 0) {
		return
	}
	if on {
		c.VIntr |= vIntrRequest
		c.InterceptMisc1 |= interceptVINTR
	} else {
		c.VIntr &^= vIntrRequest
		c.InterceptMisc1 &^= interceptVINTR
	}
	c.Clean &^= cleanI | cleanTPR
}

// WantNMIWindow asks for an exit of KindNMIWindow once an NMI is possible. Where only an event to be
// injected is in the way there is no such exit: ask again at the next one.
func (v *VCPU) WantNMIWindow(on bool) { v.nmi.wanted = on }

// setNMIMasked notes whether an NMI handler runs, with the intercept that tells of its end.
func (v *VCPU) setNMIMasked(c *VMCB, masked bool) {
	v.nmi.masked, v.nmi.atIRET = masked, false
	v.interceptIRET(c, masked)
}

func (v *VCPU) interceptIRET(c *VMCB, on bool) {
	c.InterceptMisc1 &^= interceptIRET
	if on {
		c.InterceptMisc1 |= interceptIRET
	}
	c.Clean &^= cleanI
}

// armStep single-steps the instruction that is in an NMI's way: the handler's IRET, or the one after
// STI or MOV SS. Not while an event is injected, for that would push our TF on the guest's stack.
func (v *VCPU) armStep(c *VMCB) {
	n := &v.nmi
	if v.event.Valid() || n.masked && !n.atIRET || !n.masked && c.IntShadow&intShadow == 0 {
		return
	}
	n.stepping, n.guestTF = true, c.RFLAGS&flagTF != 0
	c.RFLAGS |= flagTF
}

// followNMI brings nmiState up to date after an exit and says whether it was from a single step.
func (v *VCPU) followNMI(c *VMCB) (stepped bool) {
	n := &v.nmi
	returned := n.atIRET && c.RIP != n.rip
	if returned {
		n.masked, n.atIRET = false, false
	}
	if n.stepping && !n.guestTF && !returned {
		c.RFLAGS &^= flagTF // IRET loads the flags anew
	}
	stepped, n.stepping = n.stepping, false
	return stepped
}

// debugException is an exit by #DB, which is the guest's but for our own single step.
func (v *VCPU) debugException(c *VMCB, stepped bool) virt.Kind {
	n := &v.nmi
	if !stepped {
		v.Inject(virt.Exception(vectorDB))
		return virt.KindResume
	}
	if !n.guestTF {
		c.DR6 &^= dr6BS
		c.Clean &^= cleanDRx
	}
	if n.guestTF || c.DR6&(dr6BD|0xF) != 0 && c.DR7&0xFF != 0 {
		v.Inject(virt.Exception(vectorDB))
		return virt.KindResume
	}
	if n.wanted && v.NMIPossible() {
		n.wanted = false
		return virt.KindNMIWindow
	}
	return virt.KindResume
}

// reinject makes an event whose delivery the exit interrupted (APM 2 15.7.2) the next one. A
// software interrupt, INT3 or INTO isn't: its instruction executes again.
func (v *VCPU) reinject(info uint64) {
	ev := virt.Event(info & eventMask)
	if !ev.Valid() || ev.Type() == virt.TypeSoftInt {
		return
	}
	if ev.Type() == virt.TypeException && (ev.Vector() == vectorBP || ev.Vector() == vectorOF) {
		return
	}
	v.event = ev
}

// offer hands the event, if there is one, to the processor for the entry that follows. An interrupt goes as a virtual
// one (APM 2 15.21.4), which the processor takes before the guest's first instruction: an interrupt
// in EVENTINJ is delivered a second time by QEMU's emulation if that is kicked during VMRUN. Only
// where V_IRQ is in use for a window it is EVENTINJ after all: where the 8259 and the local APIC have
// one each. Of the local APIC's the owner takes one back that is Undelivered when another comes.
func (v *VCPU) offer(c *VMCB) {
	if v.event.Valid() && v.event.Type() == virt.TypeInterrupt && c.InterceptMisc1&interceptVINTR == 0 {
		c.VIntr = c.VIntr&^vIntrVector | vIntrRequest | uint64(v.event.Vector())<<vIntrVectorShift
		c.Clean &^= cleanTPR
		c.EventInj, v.event, v.offered = 0, 0, true
		return
	}
	c.EventInj, v.event = v.eventInj(c), 0
}

// settle finds out after an exit what became of the interrupt that was offered: V_IRQ is still set
// where it wasn't taken, which something of the host's came before, and it is the next event again.
// It is set as well, in QEMU, where its delivery was interrupted: then reinject had it.
func (v *VCPU) settle(c *VMCB) {
	if c.VIntr&vIRQ != 0 && !v.event.Valid() {
		v.event = virt.Interrupt(uint8(c.VIntr >> vIntrVectorShift))
	}
	c.VIntr &^= vIntrVector | vIntrRequest
	c.Clean &^= cleanTPR
	v.offered = false
}

// eventInj is the event to be delivered in the format of EVENTINJ (APM 2 15.20).
func (v *VCPU) eventInj(c *VMCB) uint64 {
	e := uint64(v.event)
	if !v.event.Valid() {
		return 0
	}
	switch v.event.Type() {
	case virt.TypePrivSoft, virt.TypeSoftExc:
		e = e&^eventType | virt.TypeException<<8
	}
	if c.CR0&amd64.CR0_PE == 0 {
		e &^= eventErrorCode // real mode pushes none
	}
	if e&eventErrorCode == 0 {
		e &= 0xFFFF_FFFF
	}
	return e & eventMask
}
