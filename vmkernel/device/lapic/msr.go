package lapic

import "sync/atomic"

// MSRs of the local APIC. The owner passes on these and every x2APIC register's, MSRx2APIC to MSRx2APIC+3FH.
const (
	MSRAPICBase    = 0x1B
	MSRTSCDeadline = 0x6E0
	MSRx2APIC      = 0x800
)

// ReadMSR reads an MSR of the APIC at now (ns); ok is false for a #GP.
func (a *APIC) ReadMSR(msr uint32, now uint64) (v uint64, ok bool) {
	switch msr {
	case MSRAPICBase:
		return a.base, true
	case MSRTSCDeadline:
		if a.timerMode() != timerDeadline {
			return 0, true
		}
		return a.expiry, true
	}
	r := msr - MSRx2APIC
	if r >= 64 || a.Mode() != ModeX2APIC || x2Readable>>r&1 == 0 {
		return 0, false
	}
	v = uint64(a.read(r, now))
	if r == regICR {
		v |= uint64(atomic.LoadUint32(&a.Regs[x2ICRHigh])) << 32
	}
	return v, true
}

// WriteMSR writes an MSR of the APIC at now (ns); ok is false for a #GP, and then nothing has changed.
func (a *APIC) WriteMSR(msr uint32, v, now uint64) (e Effect, ok bool) {
	switch msr {
	case MSRAPICBase:
		return a.writeBase(v)
	case MSRTSCDeadline:
		return a.writeDeadline(v), true
	}
	r := msr - MSRx2APIC
	if r >= 64 || a.Mode() != ModeX2APIC || x2Writable>>r&1 == 0 || v&^x2Defined(r) != 0 {
		return EffectNone, false
	}
	switch r {
	case regICR:
		atomic.StoreUint32(&a.Regs[x2ICRHigh], uint32(v>>32))
	case regSelfIPI:
		a.set(regSelfIPI, uint32(v))
		if v < 16 {
			a.fail(esrSendIllegalVector)
		} else {
			a.Accept(uint8(v), false)
		}
		return EffectNone, true
	}
	return a.write(r, uint32(v), now), true
}

// x2Defined returns the bits of writable register r that aren't reserved; setting another is a #GP. Read-only bits may be
// set, and are ignored.
func x2Defined(r uint32) uint64 {
	switch r {
	case regTPR, regSelfIPI:
		return 0xFF
	case regEOI, regESR:
		return 0
	case regSVR:
		return svrWritable
	case regICR:
		return 0xFFFFFFFF<<32 | icrWritable
	case regInitial:
		return 0xFFFFFFFF
	case regDivide:
		return 0xB
	case regLINT0, regLINT1:
		return uint64(lvtWritable(r) | lvtReadOnly)
	}
	return uint64(lvtWritable(r) | lvtPending)
}
