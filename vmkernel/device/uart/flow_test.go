package uart

import "testing"

// read reads as Linux's interrupt handler does: while data is ready, at most 256 bytes.
func (b *bench) read() (got []byte) {
	for len(got) < 256 && b.in(regLSR)&lsrDR != 0 {
		got = append(got, b.in(regData))
	}
	return got
}

func TestNothingIsLostToADriverThatReadsWhileThereIsSome(t *testing.T) {
	b := newBench()
	b.out(regIIR, fcrEnable|0xc0)
	b.out(regIER, ierRDA)
	sent := make([]byte, 100<<10)
	for i := range sent {
		sent[i] = byte(i * 7)
	}
	b.rest = sent
	b.Poke()
	var got []byte
	interrupts := 0
	for len(got) < len(sent) {
		if !b.irq.level {
			t.Fatalf("no interrupt with %d of %d bytes read", len(got), len(sent))
		}
		got = append(got, b.read()...)
		interrupts++
	}
	if string(got) != string(sent) {
		t.Error("what came isn't what was sent")
	}
	if b.in(regLSR) != lsrTHRE|lsrTEMT || b.irq.level {
		t.Errorf("LSR %#x, interrupt %v at the end", b.in(regLSR), b.irq.level)
	}
	if interrupts != len(sent)/256 {
		t.Errorf("%d interrupts for %d bytes", interrupts, len(sent))
	}
}

func TestFIFOIsFilledAgainOnlyWhenItIsEmpty(t *testing.T) {
	b := newBench()
	asked := 0
	b.recv = func(p []byte) int { asked++; return len(p) }
	b.out(regIIR, fcrEnable)
	asked = 0
	b.Poke()
	for range 15 {
		b.in(regData)
	}
	if asked > 1 {
		t.Errorf("asked %d times for 15 bytes", asked)
	}
	b.recv = func(p []byte) int { asked++; return 0 }
	asked = 0
	for range 20 {
		b.in(regData)
	}
	if asked != 1 {
		t.Errorf("asked %d times since there is no more", asked)
	}
}

func TestSourceThatLiesDoesNotOverfill(t *testing.T) {
	for _, n := range []int{-1, 17, 1 << 40} {
		b := newBench()
		b.recv = func(p []byte) int { return n }
		b.out(regIIR, fcrEnable)
		b.Poke()
		if b.held > fifoSize {
			t.Errorf("%d bytes held", b.held)
		}
	}
}

func TestDriverThatDropsRTSIsSentNothing(t *testing.T) {
	b := newBench()
	b.out(regIIR, fcrEnable)
	if b.Receive([]byte("a")) != 1 {
		t.Error("refused by a driver that never touched RTS")
	}
	b.out(regMCR, mcrRTS|mcrDTR)
	if b.Receive([]byte("b")) != 1 {
		t.Error("refused with RTS asserted")
	}
	b.out(regMCR, mcrDTR)
	b.rest = []byte("c")
	b.Poke()
	b.in(regData)
	b.in(regData)
	if len(b.rest) != 1 || b.in(regLSR)&lsrDR != 0 {
		t.Error("sent with RTS dropped")
	}
	b.out(regMCR, mcrRTS|mcrDTR)
	b.expect(t, "what waited for RTS", b.in(regData), 'c')
}

func TestLoopbackTestOfRTSIsNoHandshake(t *testing.T) {
	b := newBench()
	b.out(regMCR, mcrLoop|mcrRTS)
	b.out(regMCR, 0)
	if b.Receive([]byte("a")) != 1 {
		t.Error("refused since a driver tried its port in loopback")
	}
}

func TestWhatCameInLoopbackWaits(t *testing.T) {
	b := newBench()
	b.out(regIIR, fcrEnable)
	b.out(regMCR, mcrLoop)
	b.rest = []byte("xyz")
	b.Poke()
	if len(b.rest) != 3 {
		t.Error("received in loopback")
	}
	b.out(regMCR, 0)
	if got := b.read(); string(got) != "xyz" {
		t.Errorf("%q after loopback", got)
	}
}
