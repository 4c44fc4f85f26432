package uart

import (
	"fmt"
	"strings"
	"testing"

	"keel/vmkernel/device"
)

// line is an interrupt line that counts its rising edges.
type line struct {
	level bool
	edges int
}

func (l *line) Set(level bool) {
	if level && !l.level {
		l.edges++
	}
	l.level = level
}

type bench struct {
	*UART
	sent []byte
	rest []byte // to be received
	irq  line
}

func newBench() *bench {
	b := new(bench)
	b.UART = New(func(c byte) { b.sent = append(b.sent, c) }, func(p []byte) int {
		n := copy(p, b.rest)
		b.rest = b.rest[n:]
		return n
	}, &b.irq)
	return b
}

// Receive offers p, and nothing later: it returns how many bytes were taken at once.
func (b *bench) Receive(p []byte) int {
	b.rest = p
	b.Poke()
	n := len(p) - len(b.rest)
	b.rest = nil
	return n
}

func (b *bench) in(reg uint16) uint8     { return uint8(b.In(reg, 1)) }
func (b *bench) out(reg uint16, v uint8) { b.Out(reg, 1, uint32(v)) }

func (b *bench) expect(t *testing.T, what string, got, want uint8) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %#02x, want %#02x", what, got, want)
	}
}

// TestProbeFinds16550A goes the way of Linux's 8250 autoconfig.
func TestProbeFinds16550A(t *testing.T) {
	b := newBench()
	b.out(regIER, 0)
	b.expect(t, "IER after 0", b.in(regIER)&0x0f, 0)
	b.out(regIER, 0x0f)
	b.expect(t, "IER after 0f", b.in(regIER)&0x0f, 0x0f)
	b.out(regIER, 0)

	b.out(regMCR, mcrLoop|mcrOUT2|mcrRTS)
	b.expect(t, "MSR in loopback", b.in(regMSR)&0xf0, msrDCD|msrCTS)
	b.out(regMCR, 0)
	b.expect(t, "MSR lines", b.in(regMSR)&0xf0, msrDCD|msrDSR|msrCTS)

	b.out(regLCR, 0xbf) // a 16650 or better would show its EFR at 2
	b.out(regIIR, 0)
	b.out(regLCR, 0)
	b.out(regIIR, fcrEnable)
	b.expect(t, "IIR with FIFO", b.in(regIIR), iirFIFO|iirNone)
	for _, lcr := range []uint8{0x80, 0xbf, 0xe0} {
		b.out(regLCR, lcr)
		if b.in(regIIR) == 0 {
			t.Errorf("IIR with LCR %#x reads 0: Linux takes it for a 16650's EFR", lcr)
		}
	}
	b.out(regLCR, 0x80) // a 16750 would show its 64-byte FIFO
	b.out(regIIR, fcrEnable|0x20)
	b.expect(t, "IIR with FIFO64", b.in(regIIR)&0xe0, 0xc0)
	b.out(regLCR, 0)
	b.out(regIER, 0x40) // an XScale would keep UUE
	b.expect(t, "IER UUE", b.in(regIER), 0)

	b.out(regSCR, 0xa5)
	b.expect(t, "scratch", b.in(regSCR), 0xa5)
	b.out(regIIR, 0)
	b.expect(t, "IIR without FIFO", b.in(regIIR), iirNone)
}

func TestDivisorLatchHidesDataAndInterruptEnable(t *testing.T) {
	b := newBench()
	b.out(regIER, 5)
	b.out(regLCR, lcrDLAB|3)
	b.out(regData, 0x0c)
	b.out(regIER, 0x01)
	b.expect(t, "DLL", b.in(regData), 0x0c)
	b.expect(t, "DLM", b.in(regIER), 0x01)
	b.out(regLCR, 3)
	b.expect(t, "IER", b.in(regIER), 5)
	b.expect(t, "LCR", b.in(regLCR), 3)
	if len(b.sent) != 0 {
		t.Errorf("divisor was sent: %q", b.sent)
	}
}

// TestTransmitInterruptsDriveADriver sends 100 bytes as Linux's interrupt
// handler does, 16 at each THRE interrupt, woken by edges only.
func TestTransmitInterruptsDriveADriver(t *testing.T) {
	b := newBench()
	b.out(regIIR, fcrEnable)
	want := strings.Repeat("0123456789", 10)
	rest := want
	b.out(regIER, ierTHRE)
	handled := 0
	for seen := 0; b.irq.edges != seen && handled < 1000; handled++ {
		seen = b.irq.edges
		for b.in(regIIR)&1 == 0 {
			if b.in(regLSR)&lsrTHRE == 0 {
				t.Fatal("THRE interrupt without THRE")
			}
			for i := 0; i < 16 && rest != ""; i++ {
				b.out(regData, rest[0])
				rest = rest[1:]
			}
			if rest == "" {
				b.out(regIER, 0)
			}
		}
	}
	if string(b.sent) != want {
		t.Errorf("sent %d bytes of 100 after %d interrupts", len(b.sent), handled)
	}
	if b.irq.level {
		t.Error("interrupt still asserted")
	}
}

func TestTransmitterEmptyInterrupt(t *testing.T) {
	b := newBench()
	b.out(regIER, ierTHRE)
	if !b.irq.level {
		t.Error("no interrupt when enabled with an empty transmitter")
	}
	b.expect(t, "IIR", b.in(regIIR), iirTHRE)
	if b.irq.level {
		t.Error("reading IIR did not clear the interrupt")
	}
	b.expect(t, "IIR again", b.in(regIIR), iirNone)
	b.out(regIER, ierTHRE)
	if b.irq.level {
		t.Error("writing the same IER raised the interrupt again")
	}
	b.out(regIER, 0)
	b.out(regIER, ierTHRE)
	b.expect(t, "IIR after enabling again", b.in(regIIR), iirTHRE)
	b.out(regData, 'x')
	edges := b.irq.edges
	b.out(regData, 'y')
	if b.irq.edges != edges+1 || !b.irq.level {
		t.Errorf("a write while pending gave %d edges, want 1", b.irq.edges-edges)
	}
	// A source of higher priority in IIR leaves THRE pending.
	b.out(regIER, ierTHRE|ierRDA)
	b.Receive([]byte{'r'})
	b.expect(t, "IIR with data", b.in(regIIR), iirRDA)
	b.in(regData)
	b.expect(t, "IIR after data", b.in(regIIR), iirTHRE)
}

func TestReceive(t *testing.T) {
	for _, tc := range []struct {
		fcr  uint8
		give int
		took int
		iir  uint8
	}{
		{0, 1, 1, iirRDA},
		{0, 5, 1, iirRDA},
		{fcrEnable, 5, 5, iirRDA | iirFIFO},
		{fcrEnable | 0x40, 3, 3, iirCTI | iirFIFO},
		{fcrEnable | 0x40, 4, 4, iirRDA | iirFIFO},
		{fcrEnable | 0x80, 7, 7, iirCTI | iirFIFO},
		{fcrEnable | 0x80, 8, 8, iirRDA | iirFIFO},
		{fcrEnable | 0xc0, 13, 13, iirCTI | iirFIFO},
		{fcrEnable | 0xc0, 40, 16, iirRDA | iirFIFO},
		{fcrEnable, 0, 0, iirNone | iirFIFO},
	} {
		b := newBench()
		b.out(regIIR, tc.fcr)
		b.out(regIER, ierRDA)
		data := []byte("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH")[:tc.give]
		if n := b.Receive(data); n != tc.took {
			t.Errorf("FCR %#x: Receive took %d of %d, want %d", tc.fcr, n, tc.give, tc.took)
		}
		b.expect(t, fmt.Sprintf("FCR %#x, %d bytes: IIR", tc.fcr, tc.give), b.in(regIIR), tc.iir)
		if b.irq.level != (tc.took > 0) {
			t.Errorf("FCR %#x: interrupt %v", tc.fcr, b.irq.level)
		}
		var got []byte
		for b.in(regLSR)&lsrDR != 0 {
			got = append(got, b.in(regData))
		}
		if string(got) != string(data[:tc.took]) {
			t.Errorf("FCR %#x: read %q, want %q", tc.fcr, got, data[:tc.took])
		}
		if b.irq.level {
			t.Errorf("FCR %#x: interrupt asserted with nothing to read", tc.fcr)
		}
		b.expect(t, "RBR when empty", b.in(regData), 0)
	}
}

func TestFIFOClears(t *testing.T) {
	for _, tc := range []struct {
		name string
		fcr  uint8
		left bool
	}{
		{"clear bit", fcrEnable | fcrClearRx, false},
		{"turned off", 0, false},
		{"new trigger only", fcrEnable | 0xc0, true},
		{"clear bit without enable", fcrClearRx, false},
	} {
		b := newBench()
		b.out(regIIR, fcrEnable)
		b.Receive([]byte("abc"))
		b.out(regIIR, tc.fcr)
		if left := b.in(regLSR)&lsrDR != 0; left != tc.left {
			t.Errorf("%s: data left %v, want %v", tc.name, left, tc.left)
		}
	}
}

func TestLoopback(t *testing.T) {
	b := newBench()
	b.out(regMCR, mcrLoop)
	b.expect(t, "MSR: all lines fell", b.in(regMSR), msrDCTS|msrDDSR|msrDDCD)
	b.expect(t, "MSR read again", b.in(regMSR), 0)
	b.out(regMCR, mcrLoop|mcrOUT1)
	b.expect(t, "MSR: RI rises unnoticed", b.in(regMSR), msrRI)
	b.out(regMCR, mcrLoop|mcrDTR)
	b.expect(t, "MSR: RI's trailing edge, DSR up", b.in(regMSR), msrTERI|msrDSR|msrDDSR)

	b.out(regIER, ierRDA|ierRLS)
	b.out(regData, 'L')
	if len(b.sent) != 0 {
		t.Errorf("loopback sent %q to the outside", b.sent)
	}
	b.expect(t, "IIR", b.in(regIIR), iirRDA)
	if n := b.Receive([]byte("x")); n != 0 {
		t.Errorf("Receive took %d bytes in loopback", n)
	}
	b.out(regData, 'M')
	b.expect(t, "IIR on overrun", b.in(regIIR), iirRLS)
	b.expect(t, "LSR on overrun", b.in(regLSR), lsrTHRE|lsrTEMT|lsrDR|lsrOE)
	b.expect(t, "LSR again", b.in(regLSR), lsrTHRE|lsrTEMT|lsrDR)
	b.expect(t, "without FIFO the new byte replaces the old", b.in(regData), 'M')
	if b.irq.level {
		t.Error("interrupt still asserted")
	}
	b.out(regIER, ierMSI)
	b.out(regMCR, 0)
	b.expect(t, "IIR on modem change", b.in(regIIR), iirMSI)
	b.in(regMSR)
	if b.irq.level {
		t.Error("reading MSR did not clear the interrupt")
	}
}

func TestWideAccessesAreSplit(t *testing.T) {
	b := newBench()
	b.Out(regMCR, 4, 0x5a<<24|0x03) // MCR, LSR, MSR, SCR
	if got := b.In(regMCR, 4); got != 0x5ab06003 {
		t.Errorf("MCR..SCR = %#x, want 0x5ab06003", got)
	}
	b.Out(regData, 2, 'z')
	if string(b.sent) != "z" {
		t.Errorf("sent %q, want z", b.sent)
	}
}

func TestAccessesDoNotAllocate(t *testing.T) {
	l := NewLines(func([]byte) {})
	u := New(l.Put, func(p []byte) int { return copy(p, "hello") }, new(line))
	if n := testing.AllocsPerRun(100, func() {
		u.Out(regIIR, 1, fcrEnable)
		u.Out(regIER, 1, 0x0f)
		for _, c := range []byte("log \x1b[1m\xff line\n") {
			u.Out(regData, 1, uint32(c))
			u.In(regIIR, 1)
			u.In(regLSR, 1)
		}
		u.Poke()
		u.In(regData, 4)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// FuzzRegisters drives the register interface with pairs of bytes: register
// and direction, value.
func FuzzRegisters(f *testing.F) {
	f.Add([]byte{0x12, 1, 0x11, 0x0f, 0x10, 'a', 0x02, 0, 0x00, 0})
	f.Add([]byte{0x14, 0x10, 0x10, 'x', 0x10, 'y', 0x05, 0, 0x00, 0, 0x20, 7})
	f.Fuzz(func(t *testing.T, program []byte) {
		b := newBench()
		for ; len(program) >= 2; program = program[2:] {
			reg, v := uint16(program[0]&15), program[1]
			switch program[0] >> 4 & 3 {
			case 0:
				b.In(reg, 1)
			case 1:
				b.out(reg, v)
			case 2:
				b.Receive(program)
			case 3:
				b.Out(reg, 4, uint32(v)*0x01010101)
			}
			if asserted := b.pending() != iirNone; asserted != b.irq.level {
				t.Fatalf("interrupt line %v, pending %v", b.irq.level, asserted)
			}
			if b.held > b.space() {
				t.Fatalf("%d bytes held, room for %d", b.held, b.space())
			}
		}
	})
}

var _ device.PortDevice = (*UART)(nil)
