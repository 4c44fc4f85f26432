package lapic

import "testing"

func TestMatch(t *testing.T) {
	flat := enabled(3)
	flat.WriteMMIO(offLDR, 0x04000000, 0)
	cluster := enabled(3)
	cluster.WriteMMIO(offDFR, 0, 0)
	cluster.WriteMMIO(offLDR, 0x24000000, 0)
	nonsense := enabled(3)
	nonsense.WriteMMIO(offDFR, 0x70000000, 0)
	nonsense.WriteMMIO(offLDR, 0xFF000000, 0)
	extended := x2(t, 0x123)
	for _, c := range []struct {
		name    string
		a       *APIC
		dest    uint32
		logical bool
		want    bool
	}{
		{"physical", flat, 3, false, true},
		{"physical, another", flat, 2, false, false},
		{"physical, wide", flat, 0x103, false, false},
		{"physical broadcast", flat, Widen(0xFF), false, true},
		{"flat", flat, 0x04, true, true},
		{"flat, several", flat, 0x0E, true, true},
		{"flat, others", flat, 0xFB, true, false},
		{"flat, none", flat, 0, true, false},
		{"flat, wide", flat, 0x104, true, false},
		{"flat broadcast", flat, Widen(0xFF), true, true},
		{"cluster", cluster, 0x26, true, true},
		{"cluster, other member", cluster, 0x2B, true, false},
		{"another cluster", cluster, 0x14, true, false},
		{"cluster broadcast", cluster, Widen(0xFF), true, true},
		{"undefined model", nonsense, 0xF0, true, false},
		{"x2APIC physical", extended, 0x123, false, true},
		{"x2APIC physical, low byte", extended, 0x23, false, false},
		{"x2APIC physical broadcast", extended, Broadcast, false, true},
		{"x2APIC logical", extended, 0x12<<16 | 0x8 | 0x100, true, true},
		{"x2APIC logical, other member", extended, 0x12<<16 | 0xFFF7, true, false},
		{"x2APIC logical, other cluster", extended, 0x13<<16 | 8, true, false},
		{"x2APIC logical broadcast", extended, Broadcast, true, true},
	} {
		if got := c.a.Match(NewMessage(0x30, Fixed, c.dest, c.logical, false), false); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestIPIs(t *testing.T) {
	type target struct{ self, other bool }
	for _, c := range []struct {
		name    string
		icr2    uint32
		icr     uint32
		mode    uint8
		targets target
	}{
		{"fixed, physical", 1 << 24, 0x40FD, Fixed, target{false, true}},
		{"fixed to itself", 0, 0x40FD, Fixed, target{true, false}},
		{"fixed broadcast", 0xFF << 24, 0x40FD, Fixed, target{true, true}},
		{"NMI to all but self", 0, 0xC4402, NMI, target{false, true}},
		{"fixed to all", 0, 0x840FD, Fixed, target{true, true}},
		{"INIT", 1 << 24, 0xC500, INIT, target{false, true}},
		{"start-up", 1 << 24, 0x69A, StartUp, target{false, true}},
		{"lowest priority, logical", 2 << 24, 0x49FD, LowestPriority, target{false, true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			self, other := enabled(0), enabled(1)
			self.WriteMMIO(offLDR, 1<<24, 0)
			other.WriteMMIO(offLDR, 2<<24, 0)
			self.WriteMMIO(offICR2, c.icr2, 0)
			if e := self.WriteMMIO(offICR, c.icr, 0); e != EffectIPI {
				t.Fatalf("effect %d", e)
			}
			m := self.ICR()
			if m.Mode() != c.mode || m.Vector() != uint8(c.icr) || m.Level() {
				t.Errorf("message %#x", m)
			}
			if got := (target{self.Match(m, true), other.Match(m, false)}); got != c.targets {
				t.Errorf("targets %v, want %v", got, c.targets)
			}
			if got := self.ReadMMIO(offICR, 0); got != c.icr {
				t.Errorf("ICR reads %#x, want %#x", got, c.icr)
			}
		})
	}
	a := enabled(0)
	if e := a.WriteMMIO(offICR, 0x4010, 0); e != EffectIPI {
		t.Errorf("vector 16 isn't sent: effect %d", e)
	}
	for _, c := range []struct {
		name string
		icr  uint32
	}{
		{"INIT de-assert", 0x88500}, {"SMI", 0x4200}, {"reserved mode", 0x4330}, {"ExtINT", 0x4730}, {"vector 15", 0x400F},
	} {
		if e := a.WriteMMIO(offICR, c.icr, 0); e != EffectNone {
			t.Errorf("%s is sent: effect %d", c.name, e)
		}
	}
	if e := a.WriteMMIO(offICR, 0x44030, 0); e != EffectNone || a.Pending() != 0x30 {
		t.Errorf("self shorthand: effect %d, pending %d", e, a.Pending())
	}
	a.Ack(0x30)
	if e := a.WriteMMIO(offEOI, 0, 0); e != EffectNone {
		t.Errorf("EOI of the self shorthand: effect %#x", e)
	}
	if e := a.WriteMMIO(offICR, 0xFFFFFFFF&^0x700, 0); e != EffectIPI || a.ReadMMIO(offICR, 0) != 0xCC8FF {
		t.Errorf("reserved bits stay: ICR %#x", a.ReadMMIO(offICR, 0))
	}
}

func TestX2ICR(t *testing.T) {
	a := x2(t, 1)
	const icr = 0x12345678<<32 | 0x48FD
	if e, ok := a.WriteMSR(0x830, icr, 0); !ok || e != EffectIPI {
		t.Fatalf("effect %d, ok %v", e, ok)
	}
	if m := a.ICR(); m.Dest() != 0x12345678 || !m.Logical() {
		t.Errorf("message %#x", m)
	}
	if v, ok := a.ReadMSR(0x830, 0); !ok || v != icr {
		t.Errorf("ICR = %#x", v)
	}
	if e, ok := a.WriteMSR(0x83F, 0x44, 0); !ok || e != EffectNone || a.Pending() != 0x44 {
		t.Errorf("self IPI: effect %d, ok %v, pending %#x", e, ok, a.Pending())
	}
	a.Ack(0x44)
	if e, ok := a.WriteMSR(0x80B, 0, 0); !ok || e != EffectNone {
		t.Errorf("EOI of the self IPI: effect %d, ok %v", e, ok)
	}
	a.WriteMSR(0x83F, 15, 0)
	a.WriteMSR(0x828, 0, 0)
	if v, _ := a.ReadMSR(0x828, 0); v != 1<<5 || a.Pending() != -1 {
		t.Errorf("self IPI of vector 15: ESR %#x, pending %d", v, a.Pending())
	}
	a.INIT()
	if v, ok := a.ReadMSR(0x830, 0); !ok || v != 0 {
		t.Errorf("after INIT ICR = %#x", v)
	}
}

func TestBid(t *testing.T) {
	var apics [4]*APIC
	for i := range apics {
		apics[i] = enabled(uint32(i))
	}
	win := func(turn uint8) int {
		best := uint32(NoBid)
		for i, a := range apics {
			best = min(best, a.Bid(uint8(i), turn))
		}
		if best == NoBid {
			return -1
		}
		return int(best & 0xFF)
	}
	for turn := range uint8(4) {
		if got := win(turn); got != int(turn) {
			t.Errorf("equal priorities, turn %d: %d wins", turn, got)
		}
	}
	apics[0].SetTPR(0x20)
	apics[1].Accept(0x35, false)
	apics[1].Ack(0x35)
	apics[2].SetTPR(0x10)
	apics[3].WriteMMIO(offSVR, 0xFF, 0)
	if got := win(3); got != 2 {
		t.Errorf("%d wins, want 2, the lowest priority of those that are enabled", got)
	}
	for _, a := range apics {
		a.WriteMMIO(offSVR, 0xFF, 0)
	}
	if got := win(0); got != -1 {
		t.Errorf("%d wins though none is enabled", got)
	}
}

func TestStartUp(t *testing.T) {
	a := enabled(1)
	sipi := func(v uint8) { a.Deliver(NewMessage(v, StartUp, 1, false, false)) }
	sipi(0x11) // before the INIT: lost
	a.Deliver(NewMessage(0, INIT, 1, false, false))
	if a.Signals() != SignalINIT {
		t.Errorf("signals %#x, want INIT alone", a.Signals())
	}
	sipi(0x9A) // arrives before the owner has seen the INIT: kept
	if v := a.StartUp(); v != -1 {
		t.Errorf("SIPI for %#x is taken before the INIT", v)
	}
	if !a.Take(SignalINIT) {
		t.Error("no INIT")
	}
	a.INIT()
	sipi(0x9B)
	if s := a.Signals(); s&^signalVector != SignalSIPI {
		t.Errorf("signals %#x", s)
	}
	if v, again := a.StartUp(), a.StartUp(); v != 0x9B || again != -1 {
		t.Errorf("SIPIs for %#x and %#x, want one for 0x9b", v, again)
	}
	if !a.Quiet() {
		t.Errorf("signals %#x after all of it", a.Signals())
	}
}

// TestMessagesFindAnAPICThatINITResets: INIT and start-up follow on each other, and the second comes while the first is still acted on.
func TestMessagesFindAnAPICThatINITResets(t *testing.T) {
	for _, c := range []struct {
		name    string
		a       *APIC
		message Message
	}{
		{"xAPIC", enabled(1), NewMessage(0x11, StartUp, 1, false, false)},
		{"x2APIC", x2(t, 0x11), NewMessage(0x11, StartUp, 0x11, false, false)},
		{"x2APIC, logical", x2(t, 0x11), NewMessage(0x11, StartUp, 1<<16|1<<1, true, false)},
	} {
		t.Run(c.name, func(t *testing.T) {
			end := make(chan struct{})
			go func() {
				defer close(end)
				for range 10_000 {
					c.a.INIT()
				}
			}()
			for n := 0; ; n++ {
				select {
				case <-end:
					t.Logf("%d messages", n)
					return
				default:
				}
				if !c.a.Match(c.message, false) {
					t.Fatal("a message isn't for it any more")
				}
			}
		})
	}
}

func TestDeliver(t *testing.T) {
	a := enabled(0)
	for _, c := range []struct {
		m    Message
		want bool
	}{
		{0, false},
		{NewMessage(0x30, Fixed, 0, false, true), true},
		{NewMessage(0x0F, Fixed, 0, false, false), false},
		{NewMessage(0x31, LowestPriority, 0, false, false), true},
		{NewMessage(0x30, SMI, 0, false, false), false},
		{NewMessage(0x30, 3, 0, false, false), false},
		{NewMessage(0, ExtINT, 0, false, false), true},
	} {
		if got := a.Deliver(c.m); got != c.want {
			t.Errorf("Deliver(%#x) = %v", c.m, got)
		}
	}
	if !a.ExtINT() || !a.Take(SignalExtINT) || a.ExtINT() {
		t.Error("the ExtINT message isn't there once")
	}
	if a.ReadMMIO(0x190, 0) != 1<<(0x30&31) {
		t.Errorf("TMR = %#x, want the level-triggered vector", a.ReadMMIO(0x190, 0))
	}
}

func TestLINT(t *testing.T) {
	t.Run("virtual wire", func(t *testing.T) {
		a := enabled(0)
		a.LINT(0, true)
		if a.ExtINT() {
			t.Error("a masked LINT0 passes INTR")
		}
		a.WriteMMIO(offLINT0, 0x700, 0)
		if !a.ExtINT() {
			t.Error("LINT0 in ExtINT mode doesn't pass INTR")
		}
		a.LINT(0, false)
		if a.ExtINT() {
			t.Error("INTR outlives its wire")
		}
		a.LINT(0, true)
		a.WriteMMIO(offSVR, 0xFF, 0)
		if a.ExtINT() {
			t.Error("a software-disabled APIC passes INTR")
		}
		a.WriteMSR(MSRAPICBase, BaseAddress, 0)
		if !a.ExtINT() {
			t.Error("a disabled APIC is in INTR's way")
		}
		if a.Signals()&SignalNMI != 0 {
			t.Error("INTR is taken for NMI")
		}
		a.LINT(1, true)
		if a.Signals(); !a.Take(SignalNMI) {
			t.Error("a disabled APIC is in NMI's way")
		}
	})
	t.Run("NMI", func(t *testing.T) {
		a := enabled(0)
		a.LINT(1, true)
		if a.Signals()&SignalNMI != 0 {
			t.Error("a masked LINT1 raises NMI")
		}
		a.LINT(1, false)
		a.WriteMMIO(offLINT1, 0x400, 0)
		a.LINT(1, true)
		a.LINT(1, true)
		if a.Signals()&SignalNMI == 0 || !a.Take(SignalNMI) || a.Signals()&SignalNMI != 0 {
			t.Error("one edge isn't one NMI")
		}
	})
	t.Run("fixed, edge", func(t *testing.T) {
		a := enabled(0)
		a.WriteMMIO(offLINT0, 0x38, 0)
		a.LINT(0, true)
		if a.Pending() != 0x38 {
			t.Error("no interrupt")
		}
		a.Ack(0x38)
		if e := a.WriteMMIO(offEOI, 0, 0); e != EffectNone || a.Pending() != -1 {
			t.Error("more than one interrupt")
		}
	})
	t.Run("LINT1 is never level-triggered", func(t *testing.T) {
		a := enabled(0)
		a.WriteMMIO(offLINT1, 0x8038, 0)
		a.LINT(1, true)
		if a.Pending() != 0x38 {
			t.Fatal("no interrupt")
		}
		a.Ack(0x38)
		if e := a.WriteMMIO(offEOI, 0, 0); e != EffectNone || a.Pending() != -1 {
			t.Error("a level")
		}
	})
	t.Run("fixed, level", func(t *testing.T) {
		a := enabled(0)
		a.LINT(0, true)
		a.Signals()
		a.WriteMMIO(offLINT0, 0x8038, 0) // unmasked while asserted
		for range 2 {
			if a.Pending() != 0x38 || a.ReadMMIO(offLINT0, 0) != 0xC038 {
				t.Fatalf("pending %#x, LVT %#x: want remote IRR", a.Pending(), a.ReadMMIO(offLINT0, 0))
			}
			a.Ack(0x38)
			a.LINT(0, true)
			if a.Pending() != -1 {
				t.Fatal("requested again before its EOI")
			}
			a.WriteMMIO(offEOI, 0, 0)
		}
		a.Ack(0x38)
		a.LINT(0, false)
		a.WriteMMIO(offEOI, 0, 0)
		if a.Pending() != -1 || a.ReadMMIO(offLINT0, 0) != 0x8038 {
			t.Errorf("pending %#x, LVT %#x after the wire fell", a.Pending(), a.ReadMMIO(offLINT0, 0))
		}
	})
}
