package lapic

import "testing"

func TestOneShot(t *testing.T) {
	a := enabled(0)
	a.WriteMMIO(offDivide, 0xB, 0) // by 1
	a.WriteMMIO(offTimer, 0xEC, 0)
	if e := a.WriteMMIO(offInit, 1000, 5000); e != EffectTimer {
		t.Errorf("effect %d", e)
	}
	if at, kind := a.Deadline(); at != 6000 || kind != TimerNanoseconds {
		t.Errorf("deadline %d, kind %d", at, kind)
	}
	for _, c := range []struct {
		now  uint64
		want uint32
	}{{5000, 1000}, {5001, 999}, {5999, 1}, {6000, 0}, {1 << 60, 0}} {
		if got := a.ReadMMIO(offCount, c.now); got != c.want {
			t.Errorf("count at %d = %d, want %d", c.now, got, c.want)
		}
	}
	if a.Fire(5999, 0) || a.Pending() != -1 {
		t.Error("fires early")
	}
	if !a.Fire(6000, 0) || a.Pending() != 0xEC {
		t.Error("doesn't fire")
	}
	if _, kind := a.Deadline(); kind != TimerNone || a.Fire(7000, 0) {
		t.Error("fires twice")
	}
	a.Ack(0xEC)
	if e := a.WriteMMIO(offEOI, 0, 7000); e != EffectNone {
		t.Errorf("EOI of the timer: effect %#x", e)
	}
	a.WriteMMIO(offInit, 1000, 8000)
	a.WriteMMIO(offInit, 0, 8500)
	if _, kind := a.Deadline(); kind != TimerNone {
		t.Error("a count of zero doesn't stop the timer")
	}
}

func TestDivider(t *testing.T) {
	for _, c := range []struct {
		dcr uint32
		div uint64
	}{{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {0xA, 128}, {0xB, 1}} {
		a := enabled(0)
		a.WriteMMIO(offDivide, c.dcr, 0)
		a.WriteMMIO(offTimer, 0xEC, 0)
		a.WriteMMIO(offInit, 0xFFFFFFFF, 10)
		if at, _ := a.Deadline(); at != 10+0xFFFFFFFF*c.div {
			t.Errorf("divide configuration %#x: %d ns a count, want %d", c.dcr, (at-10)/0xFFFFFFFF, c.div)
		}
		if got := a.ReadMMIO(offCount, 10+7*c.div); got != 0xFFFFFFFF-7 {
			t.Errorf("divide configuration %#x: count %#x after 7", c.dcr, got)
		}
	}
	a := enabled(0)
	a.WriteMMIO(offTimer, 0xEC, 0)
	a.WriteMMIO(offInit, 1000, 0) // by 2
	a.WriteMMIO(offDivide, 3, 1000)
	if got := a.ReadMMIO(offCount, 1000); got != 500 {
		t.Errorf("count = %d after the divider changed, want 500", got)
	}
	if at, _ := a.Deadline(); at != 1000+500*16 {
		t.Errorf("deadline %d, want %d", at, 1000+500*16)
	}
}

func TestPeriodic(t *testing.T) {
	a := enabled(0)
	a.WriteMMIO(offDivide, 0xB, 0)
	a.WriteMMIO(offTimer, 0x200EC, 0)
	a.WriteMMIO(offInit, 1000000, 0)
	for _, c := range []struct {
		now, next uint64
	}{
		{1000000, 2000000},
		{2000500, 3000000},     // late, but the grid stays
		{7999999, 8000000},     // five missed ones are one
		{8000000, 9000000},     // and the next is a nanosecond later
		{99500000, 100000000},  // far behind
		{100000000, 101000000}, // and on time again
	} {
		if !a.Fire(c.now, 0) {
			t.Errorf("doesn't fire at %d", c.now)
		}
		if a.Fire(c.now, 0) {
			t.Errorf("fires twice at %d", c.now)
		}
		if at, kind := a.Deadline(); at != c.next || kind != TimerNanoseconds {
			t.Errorf("after %d: deadline %d, want %d", c.now, at, c.next)
		}
	}
	if got := a.ReadMMIO(offCount, 101000000); got != 1000000 {
		t.Errorf("count at the expiry = %d, want the initial one", got)
	}
	if got := a.ReadMMIO(offCount, 105250000); got != 750000 {
		t.Errorf("count when nobody called Fire = %d, want 750000", got)
	}
	a.WriteMMIO(offTimer, 0xEC, 101250000) // to one-shot: what had expired fires, then it goes on
	if a.Pending() != 0xEC {
		t.Error("the last period's interrupt is lost")
	}
	if at, _ := a.Deadline(); at != 102000000 {
		t.Errorf("deadline %d as a one-shot, want 102000000", at)
	}
}

func TestFastestPeriodIsLimited(t *testing.T) {
	for _, count := range []uint32{1, 3, 999, 6000, 9999} {
		a := enabled(0)
		a.WriteMMIO(offDivide, 0xB, 0)
		a.WriteMMIO(offTimer, 0x200EC, 0)
		a.WriteMMIO(offInit, count, 0)
		now := uint64(count)
		for range 100 {
			if !a.Fire(now, 0) {
				t.Fatalf("count %d: doesn't fire at %d", count, now)
			}
			at, _ := a.Deadline()
			if at < now+MinPeriod || at > now+MinPeriod+uint64(count) || at%uint64(count) != 0 {
				t.Fatalf("count %d: next after %d is %d", count, now, at)
			}
			if c := a.ReadMMIO(offCount, now); c == 0 || c > count {
				t.Fatalf("count %d: reads %d", count, c)
			}
			now = at + uint64(count)/3
		}
	}
}

func TestMaskedTimer(t *testing.T) {
	for _, periodic := range []uint32{0, 0x20000} {
		a := enabled(0)
		a.WriteMMIO(offDivide, 0xB, 0)
		a.WriteMMIO(offTimer, 0x100EC|periodic, 0)
		a.WriteMMIO(offInit, 100000, 0)
		if _, kind := a.Deadline(); kind != TimerNone {
			t.Error("a masked timer has a deadline")
		}
		if got := a.ReadMMIO(offCount, 30000); got != 70000 {
			t.Errorf("a masked timer counts %d, want 70000", got)
		}
		if e := a.WriteMMIO(offTimer, 0xEC|periodic, 150000); e != EffectTimer {
			t.Errorf("effect %d", e)
		}
		if a.Fire(150000, 0) || a.Pending() != -1 {
			t.Error("what expired under the mask interrupts after it")
		}
		at, kind := a.Deadline()
		if periodic == 0 && kind != TimerNone || periodic != 0 && at != 200000 {
			t.Errorf("mode %#x: deadline %d, kind %d", periodic, at, kind)
		}
	}
}

func TestTSCDeadline(t *testing.T) {
	a := enabled(0)
	if e, ok := a.WriteMSR(MSRTSCDeadline, 500, 0); !ok || e != EffectNone {
		t.Errorf("outside its mode: effect %d, ok %v", e, ok)
	}
	if v, ok := a.ReadMSR(MSRTSCDeadline, 0); !ok || v != 0 {
		t.Errorf("outside its mode: %d, ok %v", v, ok)
	}
	a.WriteMMIO(offInit, 1000, 0)
	a.WriteMMIO(offTimer, 0x400EC, 0)
	if _, kind := a.Deadline(); kind != TimerNone {
		t.Error("the change of mode doesn't disarm")
	}
	if a.WriteMMIO(offInit, 1000, 0); a.ReadMMIO(offInit, 0) != 0 || a.ReadMMIO(offCount, 0) != 0 {
		t.Error("counts in TSC-deadline mode")
	}
	if e, ok := a.WriteMSR(MSRTSCDeadline, 1<<50, 0); !ok || e != EffectTimer {
		t.Errorf("effect %d, ok %v", e, ok)
	}
	if at, kind := a.Deadline(); at != 1<<50 || kind != TimerTSC {
		t.Errorf("deadline %d, kind %d", at, kind)
	}
	if v, ok := a.ReadMSR(MSRTSCDeadline, 0); v != 1<<50 || !ok {
		t.Errorf("MSR = %#x, ok %v", v, ok)
	}
	if a.Fire(^uint64(0), 1<<50-1) {
		t.Error("fires early")
	}
	if !a.Fire(0, 1<<50) || a.Pending() != 0xEC {
		t.Error("doesn't fire")
	}
	if v, _ := a.ReadMSR(MSRTSCDeadline, 0); v != 0 {
		t.Errorf("MSR = %#x after the deadline, want 0", v)
	}
	a.WriteMSR(MSRTSCDeadline, 1<<50, 0)
	a.WriteMSR(MSRTSCDeadline, 0, 0)
	if _, kind := a.Deadline(); kind != TimerNone {
		t.Error("writing 0 doesn't disarm")
	}
	a.Ack(0xEC)
	a.WriteMMIO(offEOI, 0, 0)
	a.WriteMMIO(offTimer, 0x500EC, 0) // masked
	a.WriteMSR(MSRTSCDeadline, 1, 0)
	if a.Fire(0, 2) || a.Pending() != -1 {
		t.Error("fires while masked")
	}
	if v, _ := a.ReadMSR(MSRTSCDeadline, 0); v != 0 {
		t.Error("a masked deadline stays armed")
	}
	a.WriteMSR(MSRTSCDeadline, 99, 0)
	a.WriteMMIO(offTimer, 0xEC, 0)
	if _, kind := a.Deadline(); kind != TimerNone {
		t.Error("leaving the mode doesn't disarm")
	}
}

func TestReservedTimerMode(t *testing.T) {
	a := enabled(0)
	a.WriteMMIO(offTimer, 0x600EC, 0)
	a.WriteMMIO(offInit, 10, 0)
	a.WriteMSR(MSRTSCDeadline, 10, 0)
	if _, kind := a.Deadline(); kind != TimerNone || a.Fire(1<<60, 1<<60) {
		t.Error("runs")
	}
}

func TestTimerVectorBelow16IsAnError(t *testing.T) {
	a := enabled(0)
	a.WriteMMIO(offTimer, 7, 0)
	a.WriteMMIO(offInit, 10, 0)
	if a.Fire(100, 0) {
		t.Error("interrupts with vector 7")
	}
	a.WriteMMIO(offESR, 0, 0)
	if got := a.ReadMMIO(offESR, 0); got != 1<<6 {
		t.Errorf("ESR = %#x", got)
	}
}
