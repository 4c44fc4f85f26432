package i8254

import (
	"testing"

	"keel/vmkernel/device/internal/lowercheck"
)

func TestLowerHalf(t *testing.T) { lowercheck.Check(t) }

// program writes a control word and a 16-bit count, low byte first, at now.
func program(p *PIT, n int, mode uint8, count uint16, now uint64) {
	p.Out(PortControl, uint8(n)<<6|3<<4|mode<<1, now)
	p.Out(PortCounter0+uint16(n), uint8(count), now)
	p.Out(PortCounter0+uint16(n), uint8(count>>8), now)
}

// value latches and reads counter n.
func value(p *PIT, n int, now uint64) uint16 {
	p.Out(PortControl, uint8(n)<<6, now)
	lo := p.In(PortCounter0+uint16(n), now)
	return uint16(lo) | uint16(p.In(PortCounter0+uint16(n), now))<<8
}

func TestNanosIsTheFirstInstantOfATick(t *testing.T) {
	for _, k := range []uint64{0, 1, 2, 1193181, 1193182, 1193183, 1 << 40, ticks(1 << 63)} {
		n := nanos(k)
		if got := ticks(n); got != k {
			t.Errorf("ticks(nanos(%d)) = %d", k, got)
		}
		if n > 0 && ticks(n-1) != k-1 {
			t.Errorf("ticks(nanos(%d) - 1) = %d", k, ticks(n-1))
		}
	}
	if got := nanos(1 << 63); got != Never {
		t.Errorf("nanos(1<<63) = %d, want Never", got)
	}
}

// The wave forms of the data sheet's figures 15 to 20: output and counting element in the clocks after the count was
// written (or, in modes 1 and 5, after the trigger).
func TestModes(t *testing.T) {
	for _, c := range []struct {
		name  string
		mode  uint8
		count uint16
		out   string
		value []uint16
	}{
		{"interrupt on terminal count", 0, 4, "-____----", []uint16{4, 3, 2, 1, 0, 0xFFFF, 0xFFFE, 0xFFFD}},
		{"one-shot", 1, 3, "-___----", []uint16{3, 2, 1, 0, 0xFFFF, 0xFFFE, 0xFFFD}},
		{"rate generator", 2, 3, "---_--_--_", []uint16{3, 2, 1, 3, 2, 1, 3, 2, 1}},
		{"square wave, even", 3, 4, "---__--__", []uint16{4, 2, 4, 2, 4, 2, 4, 2}},
		{"square wave, odd", 3, 5, "----__---__", []uint16{4, 2, 0, 4, 2, 4, 2, 0, 4, 2}},
		{"mode 6 is mode 2", 6, 3, "---_--_--_", []uint16{3, 2, 1, 3, 2, 1, 3, 2, 1}},
		{"mode 7 is mode 3", 7, 4, "---__--__", []uint16{4, 2, 4, 2, 4, 2, 4, 2}},
		{"software strobe", 4, 3, "----_---", []uint16{3, 2, 1, 0, 0xFFFF, 0xFFFE, 0xFFFD}},
		{"hardware strobe", 5, 3, "----_---", []uint16{3, 2, 1, 0, 0xFFFF, 0xFFFE, 0xFFFD}},
	} {
		t.Run(c.name, func(t *testing.T) {
			const start = 1000
			var p PIT
			triggered := c.mode == 1 || c.mode == 5
			if !triggered {
				p.Out(PortB, 1, nanos(start))
			}
			program(&p, 2, c.mode, c.count, nanos(start))
			if triggered {
				p.Out(PortB, 1, nanos(start))
			}
			// The first character is the clock of the write itself, where mode 0 is low already.
			for i := 0; i < len(c.out); i++ {
				want := c.out[i] == '-' && !(c.mode == 0 && i == 0)
				now := nanos(start + uint64(i))
				if got := p.In(PortB, now)&0x20 != 0; got != want {
					t.Errorf("clock %d: output %v, want %v", i, got, want)
				}
				if i == 0 {
					continue
				}
				if got := value(&p, 2, now); got != c.value[i-1] {
					t.Errorf("clock %d: count %#x, want %#x", i, got, c.value[i-1])
				}
			}
		})
	}
}

func TestGateStopsAndResumes(t *testing.T) {
	var p PIT
	p.Out(PortB, 1, nanos(10))
	program(&p, 2, 0, 10, nanos(10))
	p.Out(PortB, 0, nanos(14)) // loaded at 11, so 3 clocks have passed
	if got := value(&p, 2, nanos(100)); got != 7 {
		t.Errorf("count with the gate low = %d, want 7", got)
	}
	p.Out(PortB, 1, nanos(200))
	if got := value(&p, 2, nanos(202)); got != 5 {
		t.Errorf("count after the gate has risen = %d, want 5", got)
	}
	if p.In(PortB, nanos(206))&portBOut2 != 0 || p.In(PortB, nanos(207))&portBOut2 == 0 {
		t.Error("output didn't rise 7 clocks after the gate")
	}
}

func TestGateOfARateGeneratorReloads(t *testing.T) {
	var p PIT
	p.Out(PortB, 1, nanos(10))
	program(&p, 2, 2, 100, nanos(10))
	p.Out(PortB, 0, nanos(50))
	if p.In(PortB, nanos(110))&portBOut2 == 0 {
		t.Error("output isn't high with the gate low")
	}
	p.Out(PortB, 1, nanos(300))
	if got := value(&p, 2, nanos(301)); got != 100 {
		t.Errorf("count after the gate has risen = %d, want 100", got)
	}
}

// Linux calibrates with counter 2 in mode 0 and waits for OUT2 in port 0x61: 50 ms must take 50 ms.
func TestCalibration(t *testing.T) {
	var p PIT
	const count = Hz / 20
	now := uint64(123456789)
	p.Out(PortB, p.In(PortB, now)&^2|1, now)
	program(&p, 2, 0, count&0xFFFF, now)
	low, high := now, now+100e6
	for high-low > 1 {
		mid := low + (high-low)/2
		q := p
		if q.In(PortB, mid)&portBOut2 != 0 {
			high = mid
		} else {
			low = mid
		}
	}
	if d := high - now; d < 49999000 || d > 50002000 {
		t.Errorf("OUT2 rose after %d ns", d)
	}
}

func TestPeriodicInterrupts(t *testing.T) {
	for _, mode := range []uint8{2, 3} {
		var p PIT
		program(&p, 0, mode, 11932, 0) // 100 Hz
		if n := p.Advance(0); n != 1 {
			t.Fatalf("mode %d: %d edges from the control word that raises OUT0, want 1", mode, n)
		}
		now, edges := uint64(0), 0
		for edges < 100 {
			next := p.NextEvent(now)
			if next <= now {
				t.Fatalf("mode %d: NextEvent(%d) = %d", mode, now, next)
			}
			if n := p.Advance(next - 1); n != 0 {
				t.Fatalf("mode %d: %d edges before the event at %d", mode, n, next)
			}
			if n := p.Advance(next); n != 1 {
				t.Fatalf("mode %d: %d edges at %d, want 1", mode, n, next)
			}
			now = next
			edges++
		}
		if now < 999e6 || now > 1001e6 {
			t.Errorf("mode %d: 100 edges in %d ns", mode, now)
		}
		if n := p.Advance(nanos(ticks(now) + 1000*11932)); n != 1000 {
			t.Errorf("mode %d: %d edges in 10 s, want 1000 in one answer", mode, n)
		}
		if n := p.Advance(now); n != 0 {
			t.Errorf("mode %d: time that runs backwards made %d edges", mode, n)
		}
	}
}

func TestOneShots(t *testing.T) {
	for _, c := range []struct {
		mode  uint8
		clock uint64 // of the edge after the write
	}{{0, 101}, {4, 102}} {
		var p PIT
		program(&p, 0, c.mode, 100, nanos(7))
		if c.mode == 4 {
			p.Advance(nanos(7)) // the control word raised OUT0 from low
		}
		if got, want := p.NextEvent(nanos(7)), nanos(7+c.clock); got != want {
			t.Errorf("mode %d: NextEvent = %d, want %d", c.mode, got, want)
		}
		if n := p.Advance(nanos(7 + c.clock)); n != 1 {
			t.Errorf("mode %d: %d edges, want 1", c.mode, n)
		}
		if got := p.NextEvent(nanos(8 + c.clock)); got != Never {
			t.Errorf("mode %d: NextEvent after the shot = %d, want Never", c.mode, got)
		}
	}
}

// A new count in mode 2 waits for the end of the period, in mode 3 for that of the half period.
func TestNewCountWaits(t *testing.T) {
	for _, c := range []struct {
		name  string
		mode  uint8
		write uint64   // clock, 500 being the first of the first period of 1000
		rises []uint64 // clocks of the next edges; the new period is 400
	}{
		{"rate", 2, 700, []uint64{1500, 1900, 2300}},
		{"square, high half", 3, 700, []uint64{1000 + 200, 1600, 2000}},
		{"square, low half", 3, 1200, []uint64{1500, 1900, 2300}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p PIT
			program(&p, 0, c.mode, 1000, nanos(499))
			p.Advance(nanos(499))
			p.Out(PortCounter0, 400&0xFF, nanos(c.write))
			p.Out(PortCounter0, 400>>8, nanos(c.write))
			now := nanos(c.write)
			for _, want := range c.rises {
				if got := p.NextEvent(now); got != nanos(want) {
					t.Errorf("NextEvent at clock %d = clock %d, want %d", ticks(now), ticks(got), want)
				}
				now = nanos(want)
				if n := p.Advance(now); n != 1 {
					t.Errorf("clock %d: %d edges, want 1", want, n)
				}
			}
		})
	}
}

func TestLatchAndReadBack(t *testing.T) {
	var p PIT
	program(&p, 0, 2, 1000, nanos(0))
	p.Out(PortControl, 0x00, nanos(1+100)) // latch counter 0 at 900
	p.Out(PortControl, 0x00, nanos(1+200)) // ignored: the first isn't read yet
	lo, hi := p.In(PortCounter0, nanos(300)), p.In(PortCounter0, nanos(300))
	if got := uint16(hi)<<8 | uint16(lo); got != 900 {
		t.Errorf("latched count = %d, want 900", got)
	}
	lo, hi = p.In(PortCounter0, nanos(301)), p.In(PortCounter0, nanos(301))
	if got := uint16(hi)<<8 | uint16(lo); got != 700 {
		t.Errorf("unlatched count = %d, want 700", got)
	}
	p.Out(PortControl, 0xC2, nanos(401)) // read back count and status of counter 0
	if got := p.In(PortCounter0, nanos(500)); got != 0x80|3<<4|2<<1 {
		t.Errorf("status = %#x: want OUT, both bytes, mode 2", got)
	}
	lo, hi = p.In(PortCounter0, nanos(500)), p.In(PortCounter0, nanos(500))
	if got := uint16(hi)<<8 | uint16(lo); got != 600 {
		t.Errorf("count after the status = %d, want 600", got)
	}
	p.Out(PortCounter0, 1, nanos(600))
	p.Out(PortControl, 0xE2, nanos(600))
	if got := p.In(PortCounter0, nanos(600)); got&0x40 != 0 {
		t.Errorf("status after half a count = %#x: null count is set", got)
	}
	p.Out(PortCounter0, 1, nanos(600))
	p.Out(PortControl, 0xE2, nanos(600))
	if got := p.In(PortCounter0, nanos(600)); got&0x40 == 0 {
		t.Errorf("status after a count = %#x: null count isn't set", got)
	}
	p.Out(PortControl, 0xE2, nanos(1002))
	if got := p.In(PortCounter0, nanos(1002)); got&0x40 != 0 {
		t.Errorf("status after the reload = %#x: null count is set", got)
	}
}

func TestAccessModes(t *testing.T) {
	var p PIT
	p.Out(PortControl, 1<<4|2<<1, nanos(0)) // low byte only
	p.Out(PortCounter0, 0x80, nanos(0))
	if got := p.In(PortCounter0, nanos(1)); got != 0x80 {
		t.Errorf("low byte = %#x, want 0x80", got)
	}
	p.Out(PortControl, 0, nanos(11)) // latch 0x76
	if got := p.In(PortCounter0, nanos(21)); got != 0x76 {
		t.Errorf("latched low byte = %#x, want 0x76", got)
	}
	if got := p.In(PortCounter0, nanos(21)); got != 0x6C {
		t.Errorf("low byte after the latch was read = %#x, want 0x6c", got)
	}
	p.Out(PortControl, 2<<4|2<<1, nanos(30)) // high byte only
	p.Out(PortCounter0, 0x12, nanos(30))
	if got := p.In(PortCounter0, nanos(31)); got != 0x12 {
		t.Errorf("high byte = %#x, want 0x12", got)
	}
	if got := p.In(PortCounter0, nanos(32)); got != 0x11 {
		t.Errorf("high byte one clock later = %#x, want 0x11", got)
	}
}

func TestBCD(t *testing.T) {
	var p PIT
	p.Out(PortControl, 3<<4|2<<1|1, nanos(0))
	p.Out(PortCounter0, 0x00, nanos(0))
	p.Out(PortCounter0, 0x10, nanos(0)) // 1000
	p.Advance(nanos(0))                 // the control word raised OUT0
	if got := value(&p, 0, nanos(2)); got != 0x0999 {
		t.Errorf("count = %#x, want 0x0999", got)
	}
	if got := p.NextEvent(nanos(2)); got != nanos(1001) {
		t.Errorf("NextEvent = clock %d, want 1001", ticks(got))
	}
	p.Out(PortControl, 0xE2, nanos(3))
	if got := p.In(PortCounter0, nanos(3)); got != 0x80|3<<4|2<<1|1 {
		t.Errorf("status = %#x: want OUT, both bytes, mode 2, BCD", got)
	}
	p.Out(PortControl, 3<<4|0<<1|1, nanos(5000))
	p.Out(PortControl, 0xE2, nanos(5000))
	if got := p.In(PortCounter0, nanos(5000)); got != 0x40|3<<4|1 {
		t.Errorf("status = %#x: want null count, both bytes, mode 0, BCD", got)
	}
	p.Out(PortCounter0, 0, nanos(5000))
	p.Out(PortCounter0, 0, nanos(5000)) // 0 is 10,000
	p.Advance(nanos(5000))
	if got := value(&p, 0, nanos(5002)); got != 0x9999 {
		t.Errorf("count = %#x, want 0x9999", got)
	}
	if got := p.NextEvent(nanos(5002)); got != nanos(15001) {
		t.Errorf("NextEvent = clock %d, want 15001", ticks(got))
	}
}

func TestPortB(t *testing.T) {
	var p PIT
	p.Out(PortB, 0xFF, 0)
	if got := p.In(PortB, 0); got&^portBOut2 != 0x0F {
		t.Errorf("port 0x61 = %#x, want the four writable bits", got)
	}
	changes, last := 0, p.In(PortB, 0)&portBRefresh
	for us := uint64(0); us < 1000; us++ {
		if v := p.In(PortB, us*1000) & portBRefresh; v != last {
			changes, last = changes+1, v
		}
	}
	if changes < 65 || changes > 67 {
		t.Errorf("refresh toggled %d times in 1 ms, want 66", changes)
	}
	if got := p.In(0x44, 0); got != 0xFF {
		t.Errorf("unclaimed port = %#x", got)
	}
	if got := p.In(PortControl, 0); got != 0xFF {
		t.Errorf("write-only port = %#x", got)
	}
}

func TestResetEqualsZeroedMemory(t *testing.T) {
	var p, zero PIT
	program(&p, 0, 3, 100, 1e9)
	p.Out(PortB, 1, 1e9)
	program(&p, 2, 2, 100, 2e9)
	p.Reset()
	if p != zero {
		t.Errorf("after Reset: %+v", p)
	}
	if zero.NextEvent(0) != Never || zero.Advance(1e9) != 0 {
		t.Error("an unprogrammed PIT has events")
	}
}

// TestShortPeriodsCoalesce lets the owner do all that NextEvent wants for 10 ms at the fastest rates: it has MinPeriod of rest
// each time, no edge is lost, and longer periods come on time.
func TestShortPeriodsCoalesce(t *testing.T) {
	for _, mode := range []uint8{2, 3} {
		for _, count := range []uint8{1, 2, 3, 50, 119, 120, 200} {
			var p PIT
			p.Out(PortControl, 1<<4|mode<<1, 0)
			p.Out(PortCounter0, count, 0)
			period := max(uint64(count), 2)
			edges, now, end := uint64(0), uint64(0), uint64(10_000_000)
			for {
				next := p.NextEvent(now)
				if next > end {
					break
				}
				if rest := next - now; edges != 0 && period < minTicks && (rest < MinPeriod || rest > MinPeriod+nanos(period+1)) ||
					period >= minTicks && rest > nanos(period+2) {
					t.Fatalf("mode %d, count %d: %d ns from one report to the next", mode, count, rest)
				}
				n := p.Advance(next)
				if n == 0 || period >= minTicks && n != 1 {
					t.Fatalf("mode %d, count %d: %d edges at %d", mode, count, n, next)
				}
				edges += uint64(n)
				now = next
				if again := p.NextEvent(now); again <= now {
					t.Fatalf("mode %d, count %d: NextEvent(%d) = %d after a report", mode, count, now, again)
				}
			}
			edges += uint64(p.Advance(end)) // the control word makes one
			if want := 1 + (ticks(end)-1)/period; edges != want {
				t.Errorf("mode %d, count %d: %d edges in 10 ms, want %d", mode, count, edges, want)
			}
		}
	}
}
