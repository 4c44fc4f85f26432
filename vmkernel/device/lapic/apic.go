package lapic

import "sync/atomic"

// BaseAddress is the physical address of the xAPIC page. It can't be moved.
const BaseAddress = 0xFEE00000

// version says: APIC of version 14H, highest local vector table entry 5.
const version = 0x50014

// Registers, numbered as in the x2APIC: 16 times that is the offset in the page, 800H plus it the MSR.
const (
	regID       = 0x02
	regVersion  = 0x03
	regTPR      = 0x08
	regAPR      = 0x09 // reads as zero
	regPPR      = 0x0A
	regEOI      = 0x0B
	regRRD      = 0x0C // reads as zero
	regLDR      = 0x0D
	regDFR      = 0x0E
	regSVR      = 0x0F
	regISR      = 0x10 // eight of each
	regTMR      = 0x18
	regIRR      = 0x20
	regESR      = 0x28
	regICR      = 0x30
	regICRHigh  = 0x31
	regTimer    = 0x32
	regThermal  = 0x33
	regPerf     = 0x34
	regLINT0    = 0x35
	regLINT1    = 0x36
	regError    = 0x37
	regInitial  = 0x38
	regCurrent  = 0x39
	regDivide   = 0x3E
	regSelfIPI  = 0x3F // x2APIC only
	wordsOfRegs = 0x100
)

// x2ICRHigh is where the page holds the upper half of the x2APIC's 64-bit ICR, as VT-x has it (SDM 3C 30.5): right behind
// the lower half, as an index of Regs.
const x2ICRHigh = regICR<<2 + 1

// Bits of IA32_APIC_BASE (SDM 3A 11.4.4, 11.12.1).
const (
	baseBSP      = 1 << 8
	baseExtended = 1 << 10
	baseEnabled  = 1 << 11
)

const svrEnabled = 1 << 8

// Mode is the mode of operation that IA32_APIC_BASE selects.
type Mode uint8

// Modes. ModeDisabled is also that of zeroed memory.
const (
	ModeDisabled Mode = iota // CPUID.1:EDX.APIC is clear, and nothing answers at BaseAddress
	ModeXAPIC                // registers in memory at BaseAddress
	ModeX2APIC               // registers in MSRs
)

// APIC is one local APIC. Zeroed memory is one before its first Reset, disabled and safe to call. It holds no pointers.
type APIC struct {
	// Regs is the register page: the register at offset o is Regs[o/4]. The owner aligns it to a page.
	Regs [1024]uint32

	base      uint64 // IA32_APIC_BASE
	expiry    uint64 // when the timer expires: ns, or guest TSC in TSC-deadline mode; 0 is disarmed
	id        uint32
	signals   uint32 // Signal
	errors    uint32 // what ESR will show after it is written
	inService uint32 // bit w: the ISR's word w isn't zero
}

// get and set access a register atomically: other processors look at those that route their messages.
func (a *APIC) get(r uint32) uint32 { return atomic.LoadUint32(&a.Regs[r<<2&1023]) }

func (a *APIC) set(r, v uint32) { atomic.StoreUint32(&a.Regs[r<<2&1023], v) }

// Reset is the state after power-on: xAPIC mode, software-disabled. id is the x2APIC ID; the xAPIC ID is its low byte. bsp
// is the bootstrap processor's flag in IA32_APIC_BASE. The LINT wires are low.
func (a *APIC) Reset(id uint32, bsp bool) {
	base := uint64(BaseAddress | baseEnabled)
	if bsp {
		base |= baseBSP
	}
	a.id = id
	atomic.StoreUint64(&a.base, base)
	atomic.StoreUint32(&a.signals, 0)
	a.initialise()
}

// INIT is the effect of an INIT message on the APIC (SDM 3A 11.4.7.3): the registers but the ID are reset, the mode stays.
// A start-up message that has arrived after the INIT stays pending.
func (a *APIC) INIT() {
	// The signals go first: an interrupt that arrives meanwhile may then leave a signal without a bit in IRR, which is
	// harmless, but never a bit without its signal.
	atomic.AndUint32(&a.signals, uint32(SignalSIPI|signalVector|signalLINT0|signalLINT1))
	a.initialise()
}

// initialise gives the registers their values after reset (SDM 3A 11.4.7.1) and disarms the timer. Those that an ID stands in have it
// throughout: a message that comes meanwhile, such as the start-up after an INIT, matches.
func (a *APIC) initialise() {
	a.identify()
	for i := 0; i < wordsOfRegs; i++ {
		if i != regID<<2 && (i != regLDR<<2 || a.Mode() != ModeX2APIC) {
			atomic.StoreUint32(&a.Regs[i], 0)
		}
	}
	a.expiry, a.inService = 0, 0
	atomic.StoreUint32(&a.errors, 0)
	a.set(regVersion, version)
	a.set(regDFR, 0xFFFFFFFF)
	a.set(regSVR, 0xFF)
	for r := uint32(regTimer); r <= regError; r++ {
		a.set(r, lvtMasked)
	}
}

// identify sets the registers that follow from the mode: ID and, in x2APIC mode, the logical ID (SDM 3A 11.12.10.2).
func (a *APIC) identify() {
	if a.Mode() == ModeX2APIC {
		a.set(regID, a.id)
		a.set(regLDR, a.id>>4<<16|1<<(a.id&15))
		return
	}
	a.set(regID, a.id<<24)
}

// Mode is the mode of operation. Any processor may ask.
func (a *APIC) Mode() Mode {
	switch atomic.LoadUint64(&a.base) & (baseEnabled | baseExtended) {
	case baseEnabled:
		return ModeXAPIC
	case baseEnabled | baseExtended:
		return ModeX2APIC
	}
	return ModeDisabled
}

// Enabled says whether the APIC takes interrupts: it is in a mode and SVR's software-enable flag is set. Any processor may
// ask.
func (a *APIC) Enabled() bool { return a.Mode() != ModeDisabled && a.get(regSVR)&svrEnabled != 0 }

// writeBase is a write of IA32_APIC_BASE; ok is false for a #GP: reserved bits, an address other than BaseAddress, and the
// transitions that SDM 3A figure 11-27 forbids. The BSP flag keeps its value.
func (a *APIC) writeBase(v uint64) (e Effect, ok bool) {
	const mode = baseEnabled | baseExtended
	if v&^(baseBSP|mode) != BaseAddress {
		return EffectNone, false
	}
	old, next := a.base&mode, v&mode
	switch {
	case next == old:
		return EffectNone, true
	case next == baseExtended, // extended but disabled
		next == mode && old == 0,        // x2APIC only from xAPIC
		next == baseEnabled && old != 0: // and back only through disabled
		return EffectNone, false
	}
	atomic.StoreUint64(&a.base, a.base&^mode|next)
	if next == 0 { // the registers are lost
		atomic.AndUint32(&a.signals, ^uint32(signalIRR|SignalExtINT))
		a.initialise()
		return EffectMode, true
	}
	a.set(regICRHigh, 0)
	a.identify()
	return EffectMode, true
}
