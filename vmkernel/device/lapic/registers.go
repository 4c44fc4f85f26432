package lapic

import "sync/atomic"

// Effect is what a write wants of the owner: a kind in the low byte.
type Effect uint32

// Kinds of effects.
const (
	EffectNone  Effect = iota
	EffectIPI          // send ICR() to every APIC that it matches
	EffectEOI          // tell the IOAPICs of the end of the level-triggered interrupt Vector()
	EffectTimer        // Deadline has changed
	EffectMode         // Mode and Deadline have changed
)

// Kind is the effect without its vector.
func (e Effect) Kind() Effect { return e & 0xFF }

// Vector is the vector of an EffectEOI.
func (e Effect) Vector() uint8 { return uint8(e >> 8) }

// Sets of registers, a bit each.
const (
	local uint64 = 0x3F<<regTimer | 1<<regInitial | 1<<regDivide

	// xRegisters are those of the xAPIC; others are reserved, and touching them is an error that ESR tells.
	xRegisters uint64 = 1<<regID | 1<<regVersion | 1<<regTPR | 1<<regAPR | 1<<regPPR | 1<<regEOI | 1<<regRRD | 1<<regLDR | 1<<regDFR |
		1<<regSVR | 0xFFFFFF<<regISR | 1<<regESR | 1<<regICR | 1<<regICRHigh | local | 1<<regCurrent

	// x2Readable and x2Writable are those of the x2APIC (SDM 3A table 11-6); others raise #GP.
	x2Readable uint64 = 1<<regID | 1<<regVersion | 1<<regTPR | 1<<regPPR | 1<<regLDR | 1<<regSVR | 0xFFFFFF<<regISR | 1<<regESR |
		1<<regICR | local | 1<<regCurrent
	x2Writable uint64 = 1<<regTPR | 1<<regEOI | 1<<regSVR | 1<<regESR | 1<<regICR | local | 1<<regSelfIPI
)

const (
	icrWritable = 0xCCFFF // all but the delivery status, which is never pending
	svrWritable = 0x3FF
)

// ReadMMIO is a 32-bit read at offset off of the page, at now (ns). Offsets that aren't multiples of 16 read as zero, and
// everything as ones outside xAPIC mode.
func (a *APIC) ReadMMIO(off uint32, now uint64) uint32 {
	if a.Mode() != ModeXAPIC {
		return 0xFFFFFFFF
	}
	r := off >> 4
	if r >= 64 || xRegisters>>r&1 == 0 {
		a.fail(esrIllegalRegister)
		return 0
	}
	if off&15 != 0 {
		return 0
	}
	return a.read(r, now)
}

// WriteMMIO is a 32-bit write at offset off of the page, at now (ns).
func (a *APIC) WriteMMIO(off, v uint32, now uint64) Effect {
	if a.Mode() != ModeXAPIC {
		return EffectNone
	}
	r := off >> 4
	if r >= 64 || xRegisters>>r&1 == 0 {
		a.fail(esrIllegalRegister)
		return EffectNone
	}
	if off&15 != 0 {
		return EffectNone
	}
	switch r {
	case regLDR:
		a.set(regLDR, v&0xFF000000)
	case regDFR:
		a.set(regDFR, v|0x0FFFFFFF)
	case regICRHigh:
		a.set(regICRHigh, v&0xFF000000)
	default:
		return a.write(r, v, now)
	}
	return EffectNone
}

// read reads a register that exists in the present mode.
func (a *APIC) read(r uint32, now uint64) uint32 {
	switch r {
	case regCurrent:
		return a.current(now)
	case regPPR:
		return a.ppr()
	}
	return a.get(r)
}

// write writes a register that is the same in both modes; a read-only one is left alone.
func (a *APIC) write(r, v uint32, now uint64) Effect {
	switch r {
	case regTPR:
		a.SetTPR(uint8(v))
	case regEOI:
		return a.eoi()
	case regSVR:
		return a.writeSVR(v)
	case regESR:
		a.set(regESR, atomic.SwapUint32(&a.errors, 0))
	case regICR:
		a.set(regICR, v&icrWritable)
		return a.send()
	case regTimer:
		return a.writeTimer(v, now)
	case regLINT0:
		a.writeLVT(r, v)
		a.lint0Level()
	case regThermal, regPerf, regLINT1, regError:
		a.writeLVT(r, v)
	case regInitial:
		return a.writeInitial(v, now)
	case regDivide:
		return a.writeDivide(v, now)
	}
	return EffectNone
}

// writeSVR writes the spurious-interrupt vector register. Clearing its enable flag masks the local vectors (SDM 3A
// 11.4.7.2).
func (a *APIC) writeSVR(v uint32) Effect {
	a.set(regSVR, v&svrWritable)
	if v&svrEnabled != 0 {
		return EffectNone
	}
	for r := uint32(regTimer); r <= regError; r++ {
		a.set(r, a.get(r)|lvtMasked)
	}
	return EffectTimer
}

// ICR is the message in the interrupt command register, for the owner after an EffectIPI. IPIs are edge-triggered.
func (a *APIC) ICR() Message {
	v := a.get(regICR)
	dest := Widen(uint8(a.get(regICRHigh) >> 24))
	if a.Mode() == ModeX2APIC {
		dest = atomic.LoadUint32(&a.Regs[x2ICRHigh])
	}
	m := NewMessage(uint8(v), uint8(v>>8), dest, v&messageLogical != 0, false)
	return m | Message(v>>messageShorthand&3)<<messageShorthand
}

// send looks at the command in ICR (SDM 3A 11.6.1). What is for this APIC alone is delivered at once.
func (a *APIC) send() Effect {
	m := a.ICR()
	switch m.Mode() {
	case Fixed, LowestPriority:
		if m.Vector() < 16 {
			a.fail(esrSendIllegalVector)
			return EffectNone
		}
		if m.shorthand() == shorthandSelf {
			a.Accept(m.Vector(), false)
			return EffectNone
		}
	case INIT:
		const level, trigger = 1 << 14, 1 << 15
		if a.get(regICR)&(level|trigger) == trigger { // de-assert: for the arbitration of old buses
			return EffectNone
		}
	case NMI, StartUp:
	default:
		return EffectNone
	}
	return EffectIPI
}
