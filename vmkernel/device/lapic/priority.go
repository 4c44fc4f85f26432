package lapic

import (
	"math/bits"
	"sync/atomic"
)

// Requested is the highest vector in IRR, or -1. The owner may compute VT-x's TPR threshold from it.
func (a *APIC) Requested() int {
	s := atomic.LoadUint32(&a.signals) & uint32(signalIRR)
	for s != 0 {
		w := uint32(bits.Len32(s)-1) & 7
		if v := a.get(regIRR + w); v != 0 {
			return int(w)<<5 + bits.Len32(v) - 1
		}
		s &^= 1 << w
		a.quiet(w)
	}
	return -1
}

// quiet withdraws the signal of IRR's word w if the word is zero.
func (a *APIC) quiet(w uint32) {
	atomic.AndUint32(&a.signals, ^(uint32(1) << w))
	if a.get(regIRR+w) != 0 { // a request has come meanwhile
		a.raise(1 << w)
	}
}

// Pending is the vector to inject next, or -1: the highest in IRR whose class is above PPR's, while the APIC is enabled.
// While it is software-disabled the requests are held.
func (a *APIC) Pending() int {
	if a.Signals()&signalIRR == 0 || !a.Enabled() {
		return -1
	}
	v := a.Requested()
	if v < 0 || uint32(v)>>4 <= a.ppr()>>4 {
		return -1
	}
	return v
}

// Ack moves vector, which Pending returned, from IRR to ISR: it has been injected.
func (a *APIC) Ack(vector uint8) {
	word, bit := uint32(vector>>5), uint32(1)<<(vector&31)
	atomic.AndUint32(&a.Regs[(regIRR+word)<<2], ^bit)
	if a.get(regIRR+word) == 0 {
		a.quiet(word)
	}
	a.set(regISR+word, a.get(regISR+word)|bit)
	a.inService |= 1 << word
	a.updatePPR()
}

// Return takes Ack back: the guest hasn't seen the interrupt, which competes with what has come since. It says whether vector was
// in service. The owner alone may call it, before the guest executes an instruction.
func (a *APIC) Return(vector uint8) bool {
	word, bit := uint32(vector>>5), uint32(1)<<(vector&31)
	if a.get(regISR+word)&bit == 0 {
		return false
	}
	a.finish(word, bit)
	atomic.OrUint32(&a.Regs[(regIRR+word)<<2], bit)
	a.raise(1 << word)
	return true
}

// finish takes a vector out of ISR.
func (a *APIC) finish(word, bit uint32) {
	left := a.get(regISR+word) &^ bit
	a.set(regISR+word, left)
	if left == 0 {
		a.inService &^= 1 << word
	}
	a.updatePPR()
}

// serving is the highest vector in ISR, or -1.
func (a *APIC) serving() int {
	w := bits.Len32(a.inService) - 1
	if w < 0 {
		return -1
	}
	return w<<5 + bits.Len32(a.get(regISR+uint32(w))) - 1
}

// ppr is the processor priority (SDM 3A 11.8.3.1).
func (a *APIC) ppr() uint32 {
	tpr := a.get(regTPR) & 0xFF
	v := a.serving()
	if v < 0 || tpr>>4 >= uint32(v)>>4 {
		return tpr
	}
	return uint32(v) &^ 15
}

func (a *APIC) updatePPR() { a.set(regPPR, a.ppr()) }

// TPR is the task priority; CR8 is its upper four bits.
func (a *APIC) TPR() uint8 { return uint8(a.get(regTPR)) }

// SetTPR sets the task priority: a write of CR8 with v<<4.
func (a *APIC) SetTPR(v uint8) {
	a.set(regTPR, uint32(v))
	a.updatePPR()
}

// eoi ends the most important interrupt in service (SDM 3A 11.8.5).
func (a *APIC) eoi() Effect {
	v := a.serving()
	if v < 0 {
		return EffectNone
	}
	word, bit := uint32(v)>>5, uint32(1)<<(v&31)
	a.finish(word, bit)
	if a.get(regTMR+word)&bit == 0 {
		return EffectNone
	}
	a.lintEOI(uint32(v))
	return EffectEOI | Effect(v)<<8
}
