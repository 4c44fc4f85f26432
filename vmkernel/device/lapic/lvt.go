package lapic

import "sync/atomic"

// Bits of the local vector table (SDM 3A figure 11-8).
const (
	lvtPending   = 1 << 12 // delivery status, read only: never pending
	lvtRemoteIRR = 1 << 14 // read only
	lvtLevel     = 1 << 15
	lvtMasked    = 1 << 16
	lvtReadOnly  = lvtPending | lvtRemoteIRR
)

// Bits of ESR (SDM 3A figure 11-9).
const (
	esrSendIllegalVector    = 1 << 5
	esrReceiveIllegalVector = 1 << 6
	esrIllegalRegister      = 1 << 7
)

// lvtWritable returns the bits of local vector r that exist and can be written.
func lvtWritable(r uint32) uint32 {
	switch r {
	case regTimer:
		return 0x700FF
	case regThermal, regPerf:
		return 0x107FF
	case regLINT0, regLINT1:
		return 0x1A7FF
	}
	return 0x100FF // regError
}

// writeLVT writes local vector r. While the APIC is software-disabled it stays masked.
func (a *APIC) writeLVT(r, v uint32) {
	v &= lvtWritable(r)
	if a.get(regSVR)&svrEnabled == 0 {
		v |= lvtMasked
	}
	if v&lvtLevel != 0 {
		v |= a.get(r) & lvtRemoteIRR
	}
	a.set(r, v)
}

// fail records an error for ESR and requests the error interrupt. Any processor may call it.
func (a *APIC) fail(bit uint32) {
	atomic.OrUint32(&a.errors, bit)
	lvt := a.get(regError)
	if v := uint8(lvt); lvt&lvtMasked == 0 && v >= 16 {
		a.request(v, false)
	}
}

// LINT drives the wire LINT0 (n = 0: the 8259's output) or LINT1 (n = 1: the platform's NMI) to level. Any processor may
// call it, one at a time for a wire, and then kicks the virtual processor.
func (a *APIC) LINT(n uint8, level bool) {
	wire, edge := signalLINT0, signalLINT0Edge
	if n != 0 {
		wire, edge = signalLINT1, signalLINT1Edge
	}
	if !level {
		atomic.AndUint32(&a.signals, uint32(^wire))
		return
	}
	if Signal(atomic.LoadUint32(&a.signals))&wire == 0 {
		a.raise(wire | edge)
	}
}

// ExtINT says whether the virtual processor must run an acknowledge cycle with the 8259 when it next takes interrupts: its
// INTR wire reaches the processor through LINT0 in ExtINT mode or through a disabled APIC, or an ExtINT message came. The
// owner withdraws the message with Take(SignalExtINT) when it asks the 8259; the wire falls by itself.
func (a *APIC) ExtINT() bool {
	s := Signal(atomic.LoadUint32(&a.signals))
	if s&SignalExtINT != 0 {
		return true
	}
	if s&signalLINT0 == 0 {
		return false
	}
	lvt := a.get(regLINT0)
	return a.Mode() == ModeDisabled || lvt&lvtMasked == 0 && lvt>>8&7 == ExtINT
}

// lintEdges hands the wires' rising edges to the local vector table, and returns the signals after that.
func (a *APIC) lintEdges() Signal {
	s := Signal(atomic.LoadUint32(&a.signals))
	atomic.AndUint32(&a.signals, ^uint32(signalLINT0Edge|signalLINT1Edge))
	if s&signalLINT0Edge != 0 {
		a.lintEdge(regLINT0)
	}
	if s&signalLINT1Edge != 0 {
		a.lintEdge(regLINT1)
	}
	return Signal(atomic.LoadUint32(&a.signals))
}

// lintEdge is a rising edge on the wire of local vector r.
func (a *APIC) lintEdge(r uint32) {
	if a.Mode() == ModeDisabled { // LINT1 is the processor's NMI pin
		if r == regLINT1 {
			a.raise(SignalNMI)
		}
		return
	}
	lvt := a.get(r)
	if lvt&lvtMasked != 0 {
		return
	}
	switch lvt >> 8 & 7 {
	case Fixed:
		if r == regLINT0 && lvt&lvtLevel != 0 {
			a.lint0Level()
		} else {
			a.Accept(uint8(lvt), false)
		}
	case NMI:
		a.raise(SignalNMI)
	case INIT:
		a.raise(SignalINIT)
	}
}

// lint0Level requests LINT0's vector if it is level-triggered, asserted and not requested already. (LINT1 is always
// edge-triggered.)
func (a *APIC) lint0Level() {
	lvt := a.get(regLINT0)
	if lvt&(lvtMasked|lvtLevel|lvtRemoteIRR|0x700) != lvtLevel ||
		Signal(atomic.LoadUint32(&a.signals))&signalLINT0 == 0 {
		return
	}
	if a.Accept(uint8(lvt), true) {
		a.set(regLINT0, lvt|lvtRemoteIRR)
	}
}

// lintEOI ends a level-triggered interrupt of LINT0's vector, which is requested again if the wire is still asserted.
func (a *APIC) lintEOI(vector uint32) {
	lvt := a.get(regLINT0)
	if lvt&lvtRemoteIRR != 0 && lvt&0xFF == vector {
		a.set(regLINT0, lvt&^lvtRemoteIRR)
		a.lint0Level()
	}
}
