package uart

import "testing"

// TestRoomIsToldOnceWhatWasRefusedFits is the way of a sender that always has more.
func TestRoomIsToldOnceWhatWasRefusedFits(t *testing.T) {
	b := newBench()
	told := 0
	b.OnRoom(func() { told++ })
	b.out(regIIR, fcrEnable)
	if n := b.Receive(make([]byte, 16)); n != 16 || told != 0 {
		t.Errorf("took %d, told %d times", n, told)
	}
	for range 16 {
		b.in(regData)
	}
	if told != 0 {
		t.Error("told of room that nobody was refused")
	}
	if n := b.Receive(make([]byte, 40)); n != 16 {
		t.Errorf("took %d", n)
	}
	for range 15 {
		b.in(regData)
	}
	if told != 0 {
		t.Error("told before the FIFO was empty")
	}
	b.in(regData)
	b.in(regData)
	if told != 1 {
		t.Errorf("told %d times, want once", told)
	}
	b.Receive(make([]byte, 40))
	b.out(regIIR, fcrEnable|fcrClearRx)
	if told != 2 {
		t.Error("not told after the FIFO was cleared")
	}
}

func TestNothingIsLostToADriverThatReadsBySixteens(t *testing.T) {
	b := newBench()
	room := true
	b.OnRoom(func() { room = true })
	b.out(regIIR, fcrEnable|0xc0)
	b.out(regIER, ierRDA)
	sent := make([]byte, 100<<10)
	for i := range sent {
		sent[i] = byte(i * 7)
	}
	var got []byte
	for rest := sent; len(got) < len(sent); {
		if room {
			n := b.Receive(rest)
			rest = rest[n:]
			room = len(rest) != 0 && n != 0 && b.held < 16
		}
		if !b.irq.level {
			t.Fatalf("no interrupt with %d of %d bytes read", len(got), len(sent))
		}
		for b.in(regLSR)&lsrDR != 0 {
			got = append(got, b.in(regData))
		}
	}
	if string(got) != string(sent) {
		t.Error("what came isn't what was sent")
	}
	if b.in(regLSR)&lsrOE != 0 {
		t.Error("overrun")
	}
}

func TestDriverThatDropsRTSIsSentNothing(t *testing.T) {
	b := newBench()
	told := 0
	b.OnRoom(func() { told++ })
	b.out(regIIR, fcrEnable)
	if b.Receive([]byte("a")) != 1 {
		t.Error("refused by a driver that never touched RTS")
	}
	b.out(regMCR, mcrRTS|mcrDTR)
	if b.Receive([]byte("b")) != 1 {
		t.Error("refused with RTS asserted")
	}
	b.out(regMCR, mcrDTR)
	if b.Receive([]byte("c")) != 0 {
		t.Error("sent with RTS dropped")
	}
	b.in(regData)
	b.in(regData)
	if told != 0 {
		t.Error("told of room with RTS dropped")
	}
	b.out(regMCR, mcrRTS|mcrDTR)
	if told != 1 {
		t.Errorf("told %d times when RTS came back", told)
	}
	if b.Receive([]byte("c")) != 1 {
		t.Error("refused when RTS is back")
	}
}

func TestLoopbackTestOfRTSIsNoHandshake(t *testing.T) {
	b := newBench()
	b.out(regMCR, mcrLoop|mcrRTS)
	b.out(regMCR, 0)
	if b.Receive([]byte("a")) != 1 {
		t.Error("refused since a driver tried its port in loopback")
	}
}
