package ioapic

import (
	"math/bits"
	"testing"

	"keel/vmkernel/device/internal/lowercheck"
	"keel/vmkernel/device/lapic"
)

func TestLowerHalf(t *testing.T) { lowercheck.Check(t) }

func fresh() *IOAPIC {
	a := new(IOAPIC)
	a.Reset(2)
	return a
}

// write writes register index, and returns the pins to service.
func write(a *IOAPIC, index uint8, v uint32) uint32 {
	a.Write(0, uint32(index))
	return a.Write(0x10, v)
}

func read(a *IOAPIC, index uint8) uint32 {
	a.Write(0, uint32(index))
	return a.Read(0x10)
}

// program sets pin's entry, the upper half first.
func program(a *IOAPIC, pin uint8, e uint64) uint32 {
	write(a, 0x11+2*pin, uint32(e>>32))
	return write(a, 0x10+2*pin, uint32(e))
}

const level, masked = 1 << 15, 1 << 16

func TestRegisters(t *testing.T) {
	a := fresh()
	for _, c := range []struct {
		name             string
		index            uint8
		before, v, after uint32
	}{
		{"ID", 0, 2 << 24, 0xFFFFFFFF, 0xF << 24},
		{"version", 1, 0x170020, 0xFFFFFFFF, 0x170020},
		{"arbitration ID", 2, 0xF << 24, 0, 0xF << 24},
		{"reserved", 3, 0, 0xFFFFFFFF, 0},
		{"first entry", 0x10, masked, 0xFFFFFFFF, 0x1AFFF},
		{"first entry, upper half", 0x11, 0, 0xFFFFFFFF, 0xFF000000},
		{"last entry", 0x3E, masked, 0x1A9FF, 0x1A9FF},
		{"last entry, upper half", 0x3F, 0, 0x12345678, 0x12000000},
		{"behind the last", 0x40, 0, 0xFFFFFFFF, 0},
		{"last index", 0xFF, 0, 0xFFFFFFFF, 0},
	} {
		if got := read(a, c.index); got != c.before {
			t.Errorf("%s reads %#x, want %#x", c.name, got, c.before)
		}
		write(a, c.index, c.v)
		if got := read(a, c.index); got != c.after {
			t.Errorf("%s reads %#x after a write of %#x, want %#x", c.name, got, c.v, c.after)
		}
	}
	a.Write(0, 0x1FF)
	if got := a.Read(0); got != 0xFF {
		t.Errorf("index reads %#x", got)
	}
	if a.Read(0x20) != 0 || a.Read(0x40) != 0 || a.Read(0xFFFFFFFF) != 0 || a.Write(0x20, 1) != 0 {
		t.Error("there is something at other offsets")
	}
}

func TestMessages(t *testing.T) {
	for _, c := range []struct {
		name  string
		entry uint64
		want  lapic.Message
	}{
		{"fixed, edge, physical", 3<<56 | 0x31, lapic.NewMessage(0x31, lapic.Fixed, 3, false, false)},
		{"fixed, level, logical", 0xF<<56 | level | 1<<11 | 0x51, lapic.NewMessage(0x51, lapic.Fixed, 0xF, true, true)},
		{"lowest priority", 0xFF<<56 | 1<<11 | 1<<8 | 0x41, lapic.NewMessage(0x41, lapic.LowestPriority, lapic.Broadcast, true, false)},
		{"active low", 3<<56 | 1<<13 | 0x31, lapic.NewMessage(0x31, lapic.Fixed, 3, false, false)},
		{"NMI is an edge", level | 4<<8, lapic.NewMessage(0, lapic.NMI, 0, false, false)},
		{"ExtINT", 7 << 8, lapic.NewMessage(0, lapic.ExtINT, 0, false, false)},
		{"masked", masked | 0x31, 0},
	} {
		a := fresh()
		program(a, 7, c.entry)
		if got := a.SetLine(7, true); got != c.want {
			t.Errorf("%s: message %#x, want %#x", c.name, got, c.want)
		}
		if got := a.SetLine(8, true); got != 0 {
			t.Errorf("%s: another pin sends %#x", c.name, got)
		}
	}
}

func TestEdge(t *testing.T) {
	a := fresh()
	program(a, 4, 0x34)
	sent := 0
	for _, level := range []bool{true, true, false, false, true, false} {
		if a.SetLine(4, level).Valid() {
			sent++
		}
	}
	if sent != 2 {
		t.Errorf("%d messages for two edges", sent)
	}
	program(a, 4, masked|0x34)
	a.SetLine(4, true)
	if pins := program(a, 4, 0x34); pins != 0 || a.Service(4).Valid() {
		t.Error("an edge on a masked pin isn't lost")
	}
}

func TestLevel(t *testing.T) {
	a := fresh()
	program(a, 16, level|0x60)
	if !a.SetLine(16, true).Valid() {
		t.Fatal("no message")
	}
	if read(a, 0x10+32)&entryRemoteIRR == 0 {
		t.Error("remote IRR isn't set")
	}
	a.SetLine(16, false)
	if a.SetLine(16, true).Valid() {
		t.Error("a second message before the EOI")
	}
	if pins := a.EOI(0x61); pins != 0 {
		t.Errorf("another vector's EOI: pins %#x", pins)
	}
	if pins := a.EOI(0x60); pins != 1<<16 {
		t.Errorf("EOI while asserted: pins %#x", pins)
	}
	if !a.Service(16).Valid() || a.Service(16).Valid() {
		t.Error("not one message after the EOI")
	}
	a.SetLine(16, false)
	if pins := a.EOI(0x60); pins != 0 || read(a, 0x10+32)&entryRemoteIRR != 0 {
		t.Errorf("EOI while not asserted: pins %#x", pins)
	}
}

func TestLevelUnderTheMask(t *testing.T) {
	a := fresh()
	program(a, 16, masked|level|0x60)
	if a.SetLine(16, true).Valid() {
		t.Error("a masked pin sends")
	}
	if pins := program(a, 16, level|0x60); pins != 1<<16 {
		t.Errorf("unmasked while asserted: pins %#x", pins)
	}
	m := a.Service(16)
	if !m.Valid() || !m.Level() {
		t.Errorf("message %#x", m)
	}
	program(a, 16, masked|level|0x60) // as Linux does around an EOI
	if read(a, 0x10+32)&entryRemoteIRR == 0 {
		t.Error("masking clears remote IRR")
	}
	if pins := a.EOI(0x60); pins != 0 {
		t.Errorf("EOI under the mask: pins %#x", pins)
	}
	if pins := program(a, 16, level|0x60); pins != 1<<16 {
		t.Errorf("unmasked after the EOI: pins %#x", pins)
	}
}

func TestSharedVectorEndsOnAllItsPins(t *testing.T) {
	a := fresh()
	for pin := uint8(10); pin < 13; pin++ {
		program(a, pin, level|0x60)
		a.SetLine(pin, true)
	}
	a.SetLine(11, false)
	if pins := a.Write(0x40, 0x60); pins != 1<<10|1<<12 {
		t.Errorf("EOI register: pins %#x", pins)
	}
}

func TestStuckRemoteIRR(t *testing.T) {
	a := fresh()
	program(a, 5, level|0x60)
	a.SetLine(5, true)
	program(a, 5, masked|0x60)
	if pins := program(a, 5, level|0x60); pins != 1<<5 {
		t.Error("making the pin edge-triggered doesn't clear remote IRR")
	}
	a.Service(5)
	a.Refused(5)
	if !a.SetLine(5, true).Valid() {
		t.Error("a refused message isn't sent again")
	}
}

func TestPinsThatDoNotExist(t *testing.T) {
	a := fresh()
	before := *a
	for _, pin := range []uint8{24, 31, 32, 255} {
		if a.SetLine(pin, true) != 0 || a.Service(pin) != 0 {
			t.Errorf("pin %d sends", pin)
		}
		a.Refused(pin)
	}
	if *a != before {
		t.Error("state changed")
	}
}

func TestZeroedMemorySendsNothing(t *testing.T) {
	var a IOAPIC
	for pin := uint8(0); pin < Pins; pin++ {
		if a.SetLine(pin, true) != 0 || a.Service(pin) != 0 {
			t.Fatalf("pin %d sends before Reset", pin)
		}
	}
}

// FuzzRegisters accesses registers and wires at random: nothing panics, an outstanding message is a level-triggered one, a
// pin that is to be serviced has a message, and none is held back.
func FuzzRegisters(f *testing.F) {
	f.Add([]byte{0, 0x10, 0, 0, 1, 0x31, 0x80, 0, 3, 0, 1, 0, 2, 0x31, 0, 0})
	f.Add([]byte{0, 0x3E, 0, 0, 1, 0x60, 0x80, 1, 3, 23, 1, 0, 1, 0x60, 0x80, 0, 4, 0x60, 0, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		a := fresh()
		for ; len(ops) >= 4; ops = ops[4:] {
			r, v := ops[1], uint32(ops[1])|uint32(ops[2])<<8|uint32(ops[3])<<16
			var pins uint32
			switch ops[0] & 7 {
			case 0:
				a.Write(0, uint32(r))
			case 1:
				pins = a.Write(0x10, v|v<<24)
			case 2:
				pins = a.Write(0x40, v)
			case 3:
				a.SetLine(r, v>>8&1 != 0)
			case 4:
				pins = a.EOI(r)
			case 5:
				a.Service(r)
			case 6:
				a.Read(v)
				a.Read(0x10)
			}
			for pins != 0 {
				n := uint8(bits.TrailingZeros32(pins))
				pins &^= 1 << n
				if !a.Service(n).Valid() {
					t.Fatalf("pin %d has nothing to send", n)
				}
			}
			for n, e := range a.entries {
				if e&entryRemoteIRR != 0 && e&entryLevel == 0 {
					t.Fatalf("pin %d: entry %#x: an edge waits for an EOI", n, e)
				}
				if e&^(entryWritable|entryRemoteIRR) != 0 {
					t.Fatalf("pin %d: entry %#x has reserved bits", n, e)
				}
				if a.waiting(uint8(n)) {
					t.Fatalf("pin %d is asserted and forgotten: entry %#x", n, e)
				}
			}
		}
	})
}
