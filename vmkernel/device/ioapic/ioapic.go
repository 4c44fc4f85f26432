package ioapic

import "keel/vmkernel/device/lapic"

// Pins is the number of inputs.
const Pins = 24

// BaseAddress is the physical address of the first IOAPIC's registers in a PC.
const BaseAddress = 0xFEC00000

// version is 20H with the highest pin in bits 23-16: the first that has an EOI register.
const version = 0x20 | (Pins-1)<<16

// Offsets of the memory-mapped registers.
const (
	offSelect = 0x00
	offWindow = 0x10
	offEOI    = 0x40 // write only
)

// Indexes of the registers behind the window.
const (
	indexID          = 0
	indexVersion     = 1
	indexArbitration = 2
	indexTable       = 0x10 // two for each pin
)

// Bits of a redirection entry; vector, delivery mode and destination mode lie as in a Message.
const (
	entryVector    = 0xFF
	entryMode      = 8
	entryLogical   = 1 << 11
	entryRemoteIRR = 1 << 14 // read only: a level-triggered interrupt waits for its EOI
	entryLevel     = 1 << 15
	entryMasked    = 1 << 16
	entryDest      = 56

	// entryWritable is all but delivery status (never pending), remote IRR and the reserved bits.
	entryWritable = 0xFF<<entryDest | 0x1AFFF
)

// IOAPIC is one IOAPIC. Zeroed memory is one before its first Reset: no entry is valid, so it sends nothing.
type IOAPIC struct {
	entries [Pins]uint64
	wires   uint32 // bit n: pin n is asserted
	id      uint8  // 4 bits
	index   uint8
	ready   bool
}

// Reset is the state after power-on: all pins masked. id (0 to 15) is what software finds until it writes another. The wires
// keep their levels.
func (a *IOAPIC) Reset(id uint8) {
	for n := 0; n < Pins; n++ {
		a.entries[n] = entryMasked
	}
	a.id, a.index, a.ready = id&15, 0, true
}

// SetLine drives pin's wire to level, and returns the message to send, if any. Pins that don't exist are ignored.
func (a *IOAPIC) SetLine(pin uint8, level bool) lapic.Message {
	if pin >= Pins {
		return 0
	}
	bit := uint32(1) << pin
	if !level {
		a.wires &^= bit
		return 0
	}
	rose := a.wires&bit == 0
	a.wires |= bit
	e := a.entries[pin]
	if !leveled(e) {
		if rose && a.ready && e&entryMasked == 0 {
			return message(e)
		}
		return 0
	}
	return a.Service(pin)
}

// leveled says whether an entry works level-triggered: its mode bit counts in the fixed and lowest-priority delivery modes,
// the others are edge-triggered (data sheet 3.2.4, delivery mode).
func leveled(e uint64) bool {
	return e&entryLevel != 0 && e>>entryMode&7 <= lapic.LowestPriority
}

// waiting says whether level-triggered pin n has a message to send.
func (a *IOAPIC) waiting(n uint8) bool {
	e := a.entries[n]
	return leveled(e) && a.ready && e&(entryMasked|entryRemoteIRR) == 0 && a.wires>>n&1 != 0
}

// Service returns the message of a level-triggered pin that is asserted and not masked, and has none outstanding; its remote
// IRR is set then. The owner calls it for each pin that Write and EOI return.
func (a *IOAPIC) Service(pin uint8) lapic.Message {
	if pin >= Pins || !a.waiting(pin) {
		return 0
	}
	a.entries[pin] |= entryRemoteIRR
	return message(a.entries[pin])
}

// Refused tells that no local APIC accepted pin's level-triggered message: it is sent again at the next occasion, a write of
// the entry or SetLine with the wire asserted.
func (a *IOAPIC) Refused(pin uint8) {
	if pin < Pins {
		a.entries[pin] &^= entryRemoteIRR
	}
}

// EOI is the end of the level-triggered interrupt vector, from a local APIC's broadcast. It returns the pins to Service, a
// bit each: those that are still asserted.
func (a *IOAPIC) EOI(vector uint8) (pins uint32) {
	for n := uint8(0); n < Pins; n++ {
		e := a.entries[n]
		if e&entryRemoteIRR == 0 || uint8(e&entryVector) != vector {
			continue
		}
		a.entries[n] = e &^ entryRemoteIRR
		if a.waiting(n) {
			pins |= 1 << n
		}
	}
	return pins
}

// message is what entry e sends.
func message(e uint64) lapic.Message {
	dest := lapic.Widen(uint8(e >> entryDest))
	return lapic.NewMessage(uint8(e&entryVector), uint8(e>>entryMode)&7, dest, e&entryLogical != 0, leveled(e))
}

// Read is a 32-bit read at offset off from the base address. What isn't a register reads as zero.
func (a *IOAPIC) Read(off uint32) uint32 {
	switch off {
	case offSelect:
		return uint32(a.index)
	case offWindow:
		return a.readIndex()
	}
	return 0
}

func (a *IOAPIC) readIndex() uint32 {
	switch a.index {
	case indexID, indexArbitration:
		return uint32(a.id) << 24
	case indexVersion:
		return version
	}
	n := a.index - indexTable
	if a.index < indexTable || n >= 2*Pins {
		return 0
	}
	return uint32(a.entries[n/2] >> (n % 2 * 32))
}

// Write is a 32-bit write at offset off from the base address. It returns the pins to Service, a bit each: one that has been
// unmasked while asserted, or those whose interrupt the EOI register ended.
func (a *IOAPIC) Write(off, v uint32) (pins uint32) {
	switch off {
	case offSelect:
		a.index = uint8(v)
	case offWindow:
		return a.writeIndex(v)
	case offEOI:
		return a.EOI(uint8(v))
	}
	return 0
}

func (a *IOAPIC) writeIndex(v uint32) (pins uint32) {
	if a.index == indexID {
		a.id = uint8(v>>24) & 15
		return 0
	}
	n := a.index - indexTable
	if a.index < indexTable || n >= 2*Pins {
		return 0
	}
	shift := n % 2 * 32
	n /= 2
	old := a.entries[n]
	e := old&^(0xFFFFFFFF<<shift) | uint64(v)<<shift
	e = e&entryWritable | old&entryRemoteIRR
	if e&entryLevel == 0 {
		e &^= entryRemoteIRR // software without the EOI register clears a stuck one by making the pin edge-triggered
	}
	a.entries[n] = e
	if a.waiting(n) {
		return 1 << n
	}
	return 0
}
