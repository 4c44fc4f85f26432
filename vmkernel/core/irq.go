package core

import (
	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
)

// The host's IOAPICs (Intel 82093AA; registers behind an index and a window) belong to the lower
// half. A driver takes an ISA interrupt by waiting for it, and is given others, see deviceirq.go;
// each has a vector of its own and goes to sys.HostCPU. The scheduler's lock protects all
// of it.
const (
	ioapicWindow  = 0x10
	ioapicVersion = 0x01
	ioapicPins    = 0x10 // first redirection entry, two registers each

	ioapicLow    = 1 << 13
	ioapicLevel  = 1 << 15
	ioapicMasked = 1 << 16
)

// Interrupts that the upper half can have: ISA's, and those that devices are given.
const (
	isaLines  = sys.FirstDeviceIRQ
	hostIRQs  = isaLines + sys.NumDeviceIRQs
	vecIRQEnd = vecDevice + hostIRQs
)

// A hostLine is an interrupt that the upper half has taken.
type hostLine struct {
	taken  bool
	level  bool
	wired  bool // at an IOAPIC's pin; else a message
	ioapic uint8
	pin    uint8
	entry  uint32 // low half of its redirection entry, unmasked
	waiter uint32 // the thread that waits for it, 0 none
	count  uint64
}

var hostLines [hostIRQs]hostLine

func ioapicRead(i uint32, reg uint32) uint32 {
	*phys[uint32](tables.IOAPICs[i].Address) = reg
	return *phys[uint32](tables.IOAPICs[i].Address + ioapicWindow)
}

func ioapicWrite(i uint32, reg, v uint32) {
	*phys[uint32](tables.IOAPICs[i].Address) = reg
	*phys[uint32](tables.IOAPICs[i].Address + ioapicWindow) = v
}

func ioapicPinCount(i uint32) uint32 { return ioapicRead(i, ioapicVersion)>>16&0xFF + 1 }

// initIOAPICs masks all pins, whatever the firmware left.
func initIOAPICs() {
	for i := uint32(0); i < tables.NumIOAPICs; i++ {
		for pin, n := uint32(0), min(ioapicPinCount(i), 120); pin < n; pin++ {
			ioapicWrite(i, ioapicPins+2*pin, ioapicMasked)
		}
	}
}

// take routes ISA interrupt irq to its vector; it says whether an IOAPIC has it. The lock is held.
func (l *hostLine) take(irq uint8) bool {
	gsi, low, level := tables.ISA(irq)
	return l.wire(gsi, vecDevice+uint32(irq), low, level)
}

// wire routes a global system interrupt to a vector; it says whether an IOAPIC has it. The lock is
// held.
func (l *hostLine) wire(gsi, vector uint32, low, level bool) bool {
	i, pin, found := pinOf(gsi)
	if !found {
		return false
	}
	l.taken, l.wired, l.level, l.ioapic, l.pin = true, true, level, i, pin
	l.entry = vector
	if low {
		l.entry |= ioapicLow
	}
	if level {
		l.entry |= ioapicLevel
	}
	ioapicWrite(uint32(i), ioapicPins+2*uint32(l.pin)+1, cpus[sys.HostCPU].apicID<<24)
	l.mask(false)
	return true
}

// pinOf is the IOAPIC's pin that a global system interrupt arrives at.
func pinOf(gsi uint32) (ioapic, pin uint8, found bool) {
	for i := uint32(0); i < tables.NumIOAPICs; i++ {
		base := tables.IOAPICs[i].GSIBase
		if gsi >= base && gsi-base < min(ioapicPinCount(i), 120) {
			return uint8(i), uint8(gsi - base), true
		}
	}
	return 0, 0, false
}

func (l *hostLine) mask(off bool) {
	v := l.entry
	if off {
		v |= ioapicMasked
	}
	ioapicWrite(uint32(l.ioapic), ioapicPins+2*uint32(l.pin), v)
}

// waitIRQ is sys.IRQWait, and where poll is set sys.IRQCount.
func (w *world) waitIRQ(irq, seen uint64, poll bool) int64 {
	if irq >= hostIRQs {
		return -int64(linux.EINVAL)
	}
	l := &hostLines[irq]
	r := int64(resultSet)
	sched.lock()
	switch {
	case !l.taken && (irq >= isaLines || !l.take(uint8(irq))):
		r = -int64(linux.ENODEV)
	case poll || l.count > seen:
		r = int64(l.count)
	case l.waiter != 0:
		r = -int64(linux.EBUSY)
	case w.signalled():
		r = -int64(linux.EINTR)
	default:
		l.waiter = w.id
		if l.level {
			l.mask(false)
		}
		w.block(waitIRQ, 0)
	}
	sched.unlock()
	return r
}

// leaveIRQ takes w off the line that it waits for. The lock is held.
func leaveIRQ(w *world) {
	for i := range hostLines {
		if hostLines[i].waiter == w.id {
			hostLines[i].waiter = 0
		}
	}
}

// deviceInterrupt is called for a vector that isn't the local APIC's own.
func deviceInterrupt(v uint64) {
	if v < vecDevice || v >= vecIRQEnd {
		return
	}
	l := &hostLines[v-vecDevice]
	sched.lock()
	if l.level {
		l.mask(true)
	}
	l.arrived()
	sched.unlock()
}

// arrived counts the interrupt and wakes the thread that waits for it. The lock is held.
func (l *hostLine) arrived() {
	l.count++
	if l.waiter != 0 {
		w := worldAt(l.waiter)
		l.waiter = 0
		w.setResult(int64(l.count))
		wake(w)
	}
}
