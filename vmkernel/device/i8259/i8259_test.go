package i8259

import (
	"testing"

	"keel/vmkernel/device/internal/lowercheck"
)

func TestLowerHalf(t *testing.T) { lowercheck.Check(t) }

// initialised is a pair set up as Linux does it, vectors 0x30 and 0x38, nothing masked; icw4 is for both.
func initialised(icw4 uint8) *Pair {
	p := new(Pair)
	for _, w := range []struct {
		port uint16
		v    uint8
	}{
		{PortMasterCommand, 0x11}, {PortMasterData, 0x30}, {PortMasterData, 1 << 2}, {PortMasterData, icw4},
		{PortSlaveCommand, 0x11}, {PortSlaveData, 0x38}, {PortSlaveData, 2}, {PortSlaveData, icw4},
	} {
		p.Out(w.port, w.v)
	}
	return p
}

func pulse(p *Pair, irqs ...uint8) {
	for _, irq := range irqs {
		p.SetLine(irq, true)
		p.SetLine(irq, false)
	}
}

// expect acknowledges once for each vector, and then wants silence.
func expect(t *testing.T, p *Pair, vectors ...uint8) {
	t.Helper()
	for _, want := range vectors {
		if !p.Output() {
			t.Fatalf("no interrupt, want vector %#x", want)
		}
		if got := p.Ack(); got != want {
			t.Fatalf("vector %#x, want %#x", got, want)
		}
	}
	if p.Output() {
		t.Fatalf("an interrupt too many: %#x", p.Ack())
	}
}

const (
	eoi           = 0x20
	rotateEOI     = 0xA0
	specificEOI   = 0x60
	rotateLevel   = 0xE0
	setPriority   = 0xC0
	rotateAuto    = 0x80
	readIRR       = 0x0A
	readISR       = 0x0B
	pollCommand   = 0x0C
	setMaskMode   = 0x68
	clearMaskMode = 0x48
)

func TestPriorities(t *testing.T) {
	p := initialised(1)
	pulse(p, 5, 1, 12, 8)
	expect(t, p, 0x31) // 1 outranks all and blocks them
	p.Out(PortMasterCommand, eoi)
	expect(t, p, 0x38)
	pulse(p, 0)
	expect(t, p, 0x30) // nested
	p.Out(PortMasterCommand, eoi)
	p.Out(PortSlaveCommand, eoi)
	p.Out(PortMasterCommand, eoi)
	expect(t, p, 0x3C)
	p.Out(PortSlaveCommand, eoi)
	p.Out(PortMasterCommand, eoi)
	expect(t, p, 0x35)
	p.Out(PortMasterCommand, specificEOI|5)
	expect(t, p)
}

func TestMask(t *testing.T) {
	p := initialised(1)
	p.Out(PortMasterData, 1<<4)
	p.Out(PortSlaveData, 1<<1)
	pulse(p, 4, 9)
	expect(t, p)
	if got := p.In(PortMasterData); got != 1<<4 {
		t.Errorf("IMR = %#x", got)
	}
	p.Out(PortSlaveData, 0)
	expect(t, p, 0x39)
	p.Out(PortSlaveCommand, eoi)
	p.Out(PortMasterCommand, eoi)
	p.Out(PortMasterData, 0)
	expect(t, p, 0x34) // a masked edge isn't lost
}

func TestEdgeNeedsARisingWire(t *testing.T) {
	p := initialised(1)
	p.SetLine(4, true)
	p.SetLine(4, true)
	expect(t, p, 0x34)
	p.Out(PortMasterCommand, eoi)
	expect(t, p)
	p.SetLine(4, false)
	p.SetLine(4, true)
	expect(t, p, 0x34)
}

func TestLevelRequestsAgainUntilWithdrawn(t *testing.T) {
	p := initialised(1)
	p.Out(PortSlaveELCR, 0xFF)
	p.Out(PortMasterELCR, 0xFF)
	if m, s := p.In(PortMasterELCR), p.In(PortSlaveELCR); m != 0xF8 || s != 0xDE {
		t.Errorf("ELCR = %#x, %#x: want f8, de", m, s)
	}
	p.SetLine(11, true)
	for range 3 {
		expect(t, p, 0x3B)
		p.Out(PortSlaveCommand, eoi)
		p.Out(PortMasterCommand, eoi)
	}
	p.SetLine(11, false)
	pulse(p, 5) // a level that is gone leaves nothing behind
	p.Out(PortMasterCommand, readIRR)
	if got := p.In(PortMasterCommand) &^ (1 << cascade); got != 0 {
		t.Errorf("IRR = %#x, want 0", got)
	}
}

func TestSpurious(t *testing.T) {
	p := initialised(1)
	if got := p.Ack(); got != 0x37 {
		t.Errorf("acknowledged nothing: vector %#x, want 0x37", got)
	}
	p.Out(PortMasterCommand, readISR)
	if got := p.In(PortMasterCommand); got != 0 {
		t.Errorf("ISR after a spurious interrupt = %#x, want 0", got)
	}
	// The slave's request is masked between its edge and the acknowledgement: the master has the cascade in service.
	pulse(p, 12)
	p.Out(PortSlaveData, 1<<4)
	if got := p.Ack(); got != 0x3F {
		t.Errorf("slave's spurious vector %#x, want 0x3f", got)
	}
	p.Out(PortSlaveCommand, readISR)
	if m, s := p.In(PortMasterCommand), p.In(PortSlaveCommand); m != 1<<cascade || s != 0 {
		t.Errorf("ISR = %#x, %#x: want 4, 0", m, s)
	}
}

func TestRotation(t *testing.T) {
	p := initialised(1)
	pulse(p, 3, 4)
	expect(t, p, 0x33)
	p.Out(PortMasterCommand, rotateEOI) // 3 is the lowest now
	pulse(p, 3)
	expect(t, p, 0x34)
	p.Out(PortMasterCommand, rotateLevel|4) // 4 is the lowest
	pulse(p, 4)
	expect(t, p, 0x33)
	p.Out(PortMasterCommand, eoi)
	expect(t, p, 0x34)
	p.Out(PortMasterCommand, eoi)
	p.Out(PortMasterCommand, setPriority|5) // 6 is the highest
	pulse(p, 0, 6)
	expect(t, p, 0x36)
	p.Out(PortMasterCommand, eoi)
	expect(t, p, 0x30)
}

func TestAutoEOI(t *testing.T) {
	p := initialised(3)
	pulse(p, 1, 3, 9, 10)
	expect(t, p, 0x31, 0x39, 0x3A, 0x33) // nothing stays in service
	p.Out(PortMasterCommand, rotateAuto)
	pulse(p, 1)
	expect(t, p, 0x31)
	pulse(p, 1, 3)
	expect(t, p, 0x33, 0x31) // 1 was served last, so it comes last
	pulse(p, 0, 1, 3)
	p.SetLine(4, true)
	expect(t, p, 0x33, 0x34, 0x30, 0x31) // and so again: 1 was served last, so it comes last
}

func TestSpecialMask(t *testing.T) {
	p := initialised(1)
	pulse(p, 1)
	expect(t, p, 0x31)
	pulse(p, 5)
	expect(t, p)
	p.Out(PortMasterData, 1<<1)
	p.Out(PortMasterCommand, setMaskMode)
	expect(t, p, 0x35) // 1 is in service, masked, and blocks nobody
	p.Out(PortMasterCommand, eoi)
	p.Out(PortMasterCommand, readISR)
	if got := p.In(PortMasterCommand); got != 1<<1 {
		t.Errorf("ISR = %#x: a non-specific EOI must leave the masked level", got)
	}
	pulse(p, 6)
	p.Out(PortMasterCommand, clearMaskMode)
	expect(t, p)
	p.Out(PortMasterCommand, specificEOI|1)
	expect(t, p, 0x36)
}

func TestSpecialFullyNested(t *testing.T) {
	for _, c := range []struct {
		icw4   uint8
		nested bool
	}{{1, false}, {0x11, true}} {
		p := initialised(c.icw4)
		pulse(p, 12)
		expect(t, p, 0x3C)
		pulse(p, 8)
		if got := p.Output(); got != c.nested {
			t.Errorf("ICW4 %#x: the slave's more important input interrupts its own handler: %v", c.icw4, got)
		}
	}
}

func TestPoll(t *testing.T) {
	p := initialised(1)
	pulse(p, 5)
	p.Out(PortMasterCommand, pollCommand)
	if got := p.In(PortMasterCommand); got != 0x85 {
		t.Errorf("poll = %#x, want 0x85", got)
	}
	p.Out(PortMasterCommand, readISR)
	p.Out(PortMasterCommand, pollCommand)
	if got := p.In(PortMasterCommand); got != 0 {
		t.Errorf("poll while the only request is in service = %#x, want 0", got)
	}
	if got := p.In(PortMasterCommand); got != 1<<5 {
		t.Errorf("ISR after a poll = %#x", got)
	}
	p.Out(PortMasterCommand, pollCommand)
	if got := p.In(PortMasterData); got != 0 {
		t.Errorf("poll without a request = %#x, want 0", got)
	}
	pulse(p, 14)
	p.Out(PortSlaveCommand, pollCommand)
	if got := p.In(PortSlaveCommand); got != 0x86 {
		t.Errorf("poll of the slave = %#x, want 0x86", got)
	}
}

func TestInitialisation(t *testing.T) {
	p := new(Pair)
	pulse(p, 0, 8)
	expect(t, p) // not initialised
	p.Out(PortMasterData, 0xFB)
	if got := p.In(PortMasterData); got != 0xFB {
		t.Errorf("IMR before initialisation = %#x: Linux probes for the chip by it", got)
	}
	p.Out(PortMasterCommand, 0x12) // single, no ICW4
	p.Out(PortMasterData, 0x47)    // the low three bits are the chip's
	pulse(p, 0)
	expect(t, p, 0x40)

	p = initialised(1)
	pulse(p, 3)
	p.SetLine(4, true)
	p.Out(PortMasterCommand, 0x11)
	if p.Output() {
		t.Error("requests during initialisation")
	}
	for _, v := range []uint8{0x50, 4, 1} {
		p.Out(PortMasterData, v)
	}
	expect(t, p) // edges before ICW1 are forgotten, also of a wire that is still up
	p.SetLine(4, false)
	p.SetLine(4, true)
	expect(t, p, 0x54)
}

func TestForeignPortsAndLines(t *testing.T) {
	p := initialised(1)
	if got := p.In(0x22); got != 0xFF {
		t.Errorf("In(0x22) = %#x", got)
	}
	before := *p
	p.Out(0x22, 0x11)
	p.SetLine(2, true)
	p.SetLine(16, true)
	if *p != before {
		t.Error("a port or line that isn't there changed something")
	}
}

func TestResetEqualsZeroedMemory(t *testing.T) {
	p := initialised(0x13)
	p.Out(PortSlaveELCR, 0xFF)
	pulse(p, 3, 9)
	p.Ack()
	p.Reset()
	if *p != (Pair{}) {
		t.Errorf("after Reset: %+v", *p)
	}
}

// FuzzPorts drives ports and wires at random: nothing panics; an acknowledged vector is the one of a controller; what is
// offered is neither masked nor outranked.
func FuzzPorts(f *testing.F) {
	f.Add([]byte{0x20, 0x11, 0x21, 0x30, 0x21, 4, 0x21, 1, 0x05, 1, 0x40, 0, 0x20, 0x20})
	f.Add([]byte{0xA0, 0x11, 0xA1, 0x38, 0xA1, 2, 0xA1, 3, 0x20, 0x13, 0x21, 0x30, 0x21, 0x13, 0x09, 1, 0x40, 0, 0x20, 0x0C, 0x60, 0})
	ports := [...]uint16{PortMasterCommand, PortMasterData, PortSlaveCommand, PortSlaveData, PortMasterELCR, PortSlaveELCR, 0x1F}
	f.Fuzz(func(t *testing.T, ops []byte) {
		var p Pair
		for i := 0; i+1 < len(ops); i += 2 {
			op, v := ops[i], ops[i+1]
			port := ports[(int(op)&0x81+int(op>>5))%len(ports)]
			switch {
			case op < 0x20:
				p.SetLine(op, v&1 != 0)
			case op >= 0x60 && op < 0x80:
				p.In(port)
			case op >= 0x40 && op < 0x60:
				requested := p.Output()
				irr := p.master.irr()
				vector := p.Ack()
				if vector&^7 != p.master.base && vector&^7 != p.slave.base {
					t.Fatalf("vector %#x of bases %#x, %#x", vector, p.master.base, p.slave.base)
				}
				if requested && irr&^p.master.imr == 0 {
					t.Fatalf("INTR with IRR %#x, IMR %#x", irr, p.master.imr)
				}
			default:
				p.Out(port, v)
			}
			if n, ok := p.master.request(); ok && !p.master.specialMask && !p.master.fullyNested && p.master.isr>>n&1 != 0 {
				t.Fatalf("level %d requests while it is in service", n)
			}
			if p.master.highest > 7 || p.slave.highest > 7 {
				t.Fatalf("highest priorities %d, %d", p.master.highest, p.slave.highest)
			}
		}
	})
}
