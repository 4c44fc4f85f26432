package lapic

import "sync/atomic"

// Signal is a set of what waits for the virtual processor.
type Signal uint32

// Signals. Those that aren't exported are for the package: any of them only says that Pending or ExtINT is worth a call.
const (
	signalIRR Signal = 0xFF // bit w: IRR's word w isn't zero

	SignalNMI    Signal = 1 << 8
	SignalINIT   Signal = 1 << 9
	SignalSIPI   Signal = 1 << 10 // StartUp
	SignalExtINT Signal = 1 << 11 // an ExtINT message: acknowledge at the 8259

	signalLINT0     Signal = 1 << 12 // levels of the wires
	signalLINT1     Signal = 1 << 13
	signalLINT0Edge Signal = 1 << 14 // rising edges that the local vector table hasn't seen
	signalLINT1Edge Signal = 1 << 15

	// The last start-up message's vector, 0 where SignalSIPI isn't there. In the same word, so that a message that arrives while one is
	// taken isn't taken for that one.
	signalVector      Signal = 0xFF << signalVectorShift
	signalVectorShift        = 16
)

// Quiet says that Signals is zero; it may be wrong where it says no.
func (a *APIC) Quiet() bool { return atomic.LoadUint32(&a.signals) == 0 }

// Signals is what is pending; zero means that there is nothing to do before the VM entry.
func (a *APIC) Signals() Signal {
	s := Signal(atomic.LoadUint32(&a.signals))
	if s&(signalLINT0Edge|signalLINT1Edge) == 0 {
		return s
	}
	return a.lintEdges()
}

// Take withdraws s, SignalNMI, SignalINIT or SignalExtINT, and says whether it was pending.
func (a *APIC) Take(s Signal) bool {
	s &= SignalNMI | SignalINIT | SignalExtINT
	if Signal(atomic.LoadUint32(&a.signals))&s == 0 {
		return false
	}
	atomic.AndUint32(&a.signals, uint32(^s))
	return true
}

// StartUp withdraws the start-up message that SignalSIPI tells of and returns its vector: execution begins at vector<<12. It is -1 where
// there is none, or an INIT is pending, which came before it.
func (a *APIC) StartUp() int {
	for {
		s := Signal(atomic.LoadUint32(&a.signals))
		if s&(SignalINIT|SignalSIPI) != SignalSIPI {
			return -1
		}
		if atomic.CompareAndSwapUint32(&a.signals, uint32(s), uint32(s&^(SignalSIPI|signalVector))) {
			return int(s & signalVector >> signalVectorShift)
		}
	}
}

func (a *APIC) raise(s Signal) { atomic.OrUint32(&a.signals, uint32(s)) }

// Match says whether m is for this APIC; self that this APIC sent it. Any processor may ask.
func (a *APIC) Match(m Message, self bool) bool {
	mode := a.Mode()
	if mode == ModeDisabled {
		return false
	}
	switch m.shorthand() {
	case shorthandSelf:
		return self
	case shorthandAll:
		return true
	case shorthandAllButSelf:
		return !self
	}
	dest := m.Dest()
	switch {
	case dest == Broadcast:
		return true
	case !m.Logical() && mode == ModeX2APIC:
		return dest == a.get(regID)
	case !m.Logical():
		return dest == a.get(regID)>>24
	}
	ldr := a.get(regLDR)
	if mode == ModeX2APIC { // SDM 3A 11.12.10.1
		return dest>>16 == ldr>>16 && dest&ldr&0xFFFF != 0
	}
	ldr >>= 24
	switch a.get(regDFR) >> 28 { // SDM 3A 11.6.2.2
	case 0xF: // flat
		return dest&ldr != 0 && dest <= 0xFF
	case 0: // cluster
		return dest>>4 == ldr>>4 && dest&ldr&0xF != 0
	}
	return false
}

// NoBid is the bid of an APIC that can't take an interrupt.
const NoBid = ^uint32(0)

// Bid is for arbitration of a LowestPriority message among the APICs that Match: the owner delivers to the lowest bid, whose
// low byte is index. Equal priorities go round: turn is the index after the last winner's. Any processor may ask.
func (a *APIC) Bid(index, turn uint8) uint32 {
	if !a.Enabled() {
		return NoBid
	}
	return a.get(regPPR)<<16 | uint32(index-turn)<<8 | uint32(index)
}

// Deliver takes message m, whose destination has been matched already, and says whether it was accepted; one that wasn't is
// dropped. Any processor may call it, and then kicks the virtual processor.
func (a *APIC) Deliver(m Message) bool {
	if !m.Valid() || a.Mode() == ModeDisabled {
		return false
	}
	switch m.Mode() {
	case Fixed, LowestPriority:
		return a.Accept(m.Vector(), m.Level())
	case NMI:
		a.raise(SignalNMI)
	case INIT:
		// A start-up message before the INIT was for nobody.
		atomic.AndUint32(&a.signals, ^uint32(SignalSIPI|signalVector))
		a.raise(SignalINIT)
	case StartUp:
		v := uint32(SignalSIPI) | uint32(m.Vector())<<signalVectorShift
		for {
			s := atomic.LoadUint32(&a.signals)
			if atomic.CompareAndSwapUint32(&a.signals, s, s&^uint32(signalVector)|v) {
				break
			}
		}
	case ExtINT:
		if !a.Enabled() {
			return false
		}
		a.raise(SignalExtINT)
	default:
		return false
	}
	return true
}

// Accept requests vector, edge- or level-triggered, and says whether the APIC took it: it doesn't while it is disabled, nor
// vectors below 16, which is an error that ESR tells. Any processor may call it, and then kicks the virtual processor.
func (a *APIC) Accept(vector uint8, level bool) bool {
	if !a.Enabled() {
		return false
	}
	if vector < 16 {
		a.fail(esrReceiveIllegalVector)
		return false
	}
	a.request(vector, level)
	return true
}

// request sets vector's bits in TMR and IRR, and then the signal that leads to them.
func (a *APIC) request(vector uint8, level bool) {
	word, bit := uint32(vector>>5), uint32(1)<<(vector&31)
	trigger := &a.Regs[(regTMR+word)<<2]
	if level {
		atomic.OrUint32(trigger, bit)
	} else {
		atomic.AndUint32(trigger, ^bit)
	}
	atomic.OrUint32(&a.Regs[(regIRR+word)<<2], bit)
	a.raise(1 << word)
}
