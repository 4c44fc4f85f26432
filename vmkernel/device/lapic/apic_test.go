package lapic

import (
	"testing"
	"unsafe"

	"keel/vmkernel/device/internal/lowercheck"
)

func TestLowerHalf(t *testing.T) { lowercheck.Check(t) }

// Offsets of registers in the page.
const (
	offTPR    = regTPR << 4
	offEOI    = regEOI << 4
	offLDR    = regLDR << 4
	offDFR    = regDFR << 4
	offSVR    = regSVR << 4
	offESR    = regESR << 4
	offICR    = regICR << 4
	offICR2   = regICRHigh << 4
	offTimer  = regTimer << 4
	offLINT0  = regLINT0 << 4
	offLINT1  = regLINT1 << 4
	offError  = regError << 4
	offInit   = regInitial << 4
	offCount  = regCurrent << 4
	offDivide = regDivide << 4
)

// enabled is an APIC in xAPIC mode as an operating system has it: software-enabled, all vectors masked.
func enabled(id uint32) *APIC {
	a := new(APIC)
	a.Reset(id, id == 0)
	a.WriteMMIO(offSVR, 0x1FF, 0)
	return a
}

// x2 is an APIC in x2APIC mode, software-enabled.
func x2(t testing.TB, id uint32) *APIC {
	t.Helper()
	a := enabled(id)
	if e, ok := a.WriteMSR(MSRAPICBase, BaseAddress|baseEnabled|baseExtended, 0); !ok || e != EffectMode {
		t.Fatalf("switch to x2APIC: effect %d, ok %v", e, ok)
	}
	return a
}

func TestThePageComesFirst(t *testing.T) {
	if unsafe.Offsetof(APIC{}.Regs) != 0 || unsafe.Sizeof(APIC{}.Regs) != 4096 {
		t.Error("Regs isn't a page at the start of APIC")
	}
}

func TestZeroedMemoryIsADisabledAPIC(t *testing.T) {
	a := new(APIC)
	if a.Mode() != ModeDisabled || a.Enabled() || a.Accept(0x30, false) || a.Pending() != -1 || a.Fire(1<<60, 1<<60) ||
		a.Match(NewMessage(0x30, Fixed, Broadcast, false, false), false) || a.Deliver(NewMessage(2, NMI, 0, false, false)) {
		t.Error("an APIC before Reset works")
	}
	if got := a.ReadMMIO(offSVR, 0); got != 0xFFFFFFFF {
		t.Errorf("its registers read %#x", got)
	}
}

func TestResetValues(t *testing.T) {
	a := new(APIC)
	a.Reset(5, false)
	a.WriteMMIO(offSVR, 0x1FF, 0)
	a.WriteMMIO(offLDR, 0x20000000, 0)
	a.WriteMMIO(offTimer, 0x200EC, 0)
	a.WriteMMIO(offInit, 1000, 0)
	a.Accept(0x55, true)
	a.Ack(0x55)
	a.Accept(0x66, false)
	a.Deliver(NewMessage(0, NMI, 0, false, false))
	for _, c := range []struct {
		name  string
		reset func()
	}{{"INIT", a.INIT}, {"Reset", func() { a.Reset(5, false) }}} {
		c.reset()
		for off := uint32(0); off < 0x400; off += 16 {
			want := uint32(0)
			switch off >> 4 {
			case regID:
				want = 5 << 24
			case regVersion:
				want = 0x50014
			case regDFR:
				want = 0xFFFFFFFF
			case regSVR:
				want = 0xFF
			case regTimer, regThermal, regPerf, regLINT0, regLINT1, regError:
				want = 0x10000
			}
			if got := a.ReadMMIO(off, 0); got != want {
				t.Errorf("after %s: register %#x = %#x, want %#x", c.name, off, got, want)
			}
		}
		if a.Pending() != -1 || a.Signals() != 0 {
			t.Errorf("after %s: pending %d, signals %#x", c.name, a.Pending(), a.Signals())
		}
		if _, kind := a.Deadline(); kind != TimerNone {
			t.Errorf("after %s: the timer runs", c.name)
		}
	}
}

func TestAPICBase(t *testing.T) {
	const off, x, xx = uint64(BaseAddress), uint64(BaseAddress | baseEnabled), uint64(BaseAddress | baseEnabled | baseExtended)
	for _, c := range []struct {
		name     string
		from, to uint64
		ok       bool
	}{
		{"disabled to disabled", off, off, true},
		{"disabled to xAPIC", off, x, true},
		{"disabled to x2APIC", off, xx, false},
		{"disabled to extended only", off, off | baseExtended, false},
		{"xAPIC to disabled", x, off, true},
		{"xAPIC to xAPIC", x, x, true},
		{"xAPIC to x2APIC", x, xx, true},
		{"xAPIC to extended only", x, off | baseExtended, false},
		{"x2APIC to disabled", xx, off, true},
		{"x2APIC to xAPIC", xx, x, false},
		{"x2APIC to x2APIC", xx, xx, true},
		{"x2APIC to extended only", xx, off | baseExtended, false},
		{"another address", x, x + 0x1000, false},
		{"reserved bit 0", x, x | 1, false},
		{"reserved bit 9", x, x | 1<<9, false},
		{"reserved bit 63", x, x | 1<<63, false},
	} {
		a := new(APIC)
		a.Reset(1, true)
		if c.from == off {
			a.WriteMSR(MSRAPICBase, off, 0)
		} else {
			a.WriteMSR(MSRAPICBase, c.from, 0)
		}
		e, ok := a.WriteMSR(MSRAPICBase, c.to, 0)
		want := c.to
		if !c.ok {
			want = c.from
		}
		got, readable := a.ReadMSR(MSRAPICBase, 0)
		if !readable || ok != c.ok || got != want|baseBSP || (e == EffectMode) != (ok && c.from != c.to) {
			t.Errorf("%s: ok %v, effect %d, then %#x", c.name, ok, e, got)
		}
	}
}

func TestModeChangeKeepsOrLosesTheRegisters(t *testing.T) {
	a := enabled(0x23)
	a.SetTPR(0x30)
	a.Accept(0x80, false)
	a.WriteMSR(MSRAPICBase, BaseAddress|baseEnabled|baseExtended, 0)
	if a.Mode() != ModeX2APIC || a.TPR() != 0x30 || a.Pending() != 0x80 {
		t.Errorf("x2APIC: mode %d, TPR %#x, pending %#x", a.Mode(), a.TPR(), a.Pending())
	}
	if id, _ := a.ReadMSR(0x802, 0); id != 0x23 {
		t.Errorf("x2APIC ID = %#x", id)
	}
	if ldr, _ := a.ReadMSR(0x80D, 0); ldr != 0x20008 {
		t.Errorf("x2APIC LDR = %#x, want cluster 2, bit 3", ldr)
	}
	if a.ReadMMIO(offTPR, 0) != 0xFFFFFFFF || a.WriteMMIO(offTPR, 0, 0) != EffectNone || a.TPR() != 0x30 {
		t.Error("the page answers in x2APIC mode")
	}
	a.INIT()
	if id, _ := a.ReadMSR(0x802, 0); a.Mode() != ModeX2APIC || id != 0x23 {
		t.Errorf("after INIT: mode %d, ID %#x", a.Mode(), id)
	}
	a.WriteMSR(0x808, 0x40, 0)
	a.WriteMSR(MSRAPICBase, BaseAddress, 0)
	a.WriteMSR(MSRAPICBase, BaseAddress|baseEnabled, 0)
	if got := a.ReadMMIO(regID<<4, 0); got != 0x23<<24 || a.TPR() != 0 || a.ReadMMIO(offLDR, 0) != 0 {
		t.Errorf("xAPIC again: ID %#x, TPR %#x, LDR %#x", got, a.TPR(), a.ReadMMIO(offLDR, 0))
	}
}

// TestAReturnedInterruptCompetesAnew: with one that has come since, and is delivered once.
func TestAReturnedInterruptCompetesAnew(t *testing.T) {
	a := enabled(0)
	a.Accept(0x31, false)
	a.Ack(0x31)
	if a.Return(0x32) || !a.Return(0x31) || a.Return(0x31) {
		t.Fatal("what isn't in service comes back, or what is doesn't")
	}
	a.Accept(0xFB, false)
	for _, want := range []int{0xFB, 0x31, -1} {
		if got := a.Pending(); got != want {
			t.Fatalf("pending %#x, want %#x", got, want)
		}
		if want >= 0 {
			a.Ack(uint8(want))
			a.WriteMMIO(offEOI, 0, 0)
		}
	}
}

func TestPriorities(t *testing.T) {
	a := enabled(0)
	for _, v := range []uint8{0x31, 0x35, 0xFE, 0x10} {
		if !a.Accept(v, false) {
			t.Fatalf("vector %#x refused", v)
		}
	}
	next := func(want int) {
		t.Helper()
		if got := a.Pending(); got != want {
			t.Fatalf("pending %#x, want %#x", got, want)
		}
		if want >= 0 {
			a.Ack(uint8(want))
		}
	}
	next(0xFE)
	next(-1) // all others are below
	if e := a.WriteMMIO(offEOI, 0, 0); e != EffectNone {
		t.Errorf("EOI of an edge: effect %#x", e)
	}
	next(0x35)
	next(-1) // 31H is in the same class
	if got := a.ReadMMIO(regPPR<<4, 0); got != 0x30 {
		t.Errorf("PPR = %#x, want 0x30", got)
	}
	a.Accept(0x41, false)
	next(0x41) // nested
	if a.ReadMMIO(0x110, 0) != 1<<(0x35&31) || a.ReadMMIO(0x120, 0) != 1<<(0x41&31) {
		t.Errorf("ISR = %#x, %#x", a.ReadMMIO(0x110, 0), a.ReadMMIO(0x120, 0))
	}
	a.WriteMMIO(offEOI, 0, 0)
	a.WriteMMIO(offTPR, 0x3F, 0)
	a.WriteMMIO(offEOI, 0, 0)
	next(-1) // TPR's class is theirs
	if got := a.ReadMMIO(regPPR<<4, 0); got != 0x3F {
		t.Errorf("PPR = %#x, want TPR's 0x3f", got)
	}
	if got := a.Requested(); got != 0x31 {
		t.Errorf("requested %#x, want 0x31", got)
	}
	a.SetTPR(0x2F)
	next(0x31)
	a.SetTPR(0)
	next(-1) // 10H is below what is in service
	a.WriteMMIO(offEOI, 0, 0)
	next(0x10)
	a.WriteMMIO(offEOI, 0, 0)
	a.WriteMMIO(offEOI, 0, 0) // with nothing in service
	next(-1)
	if a.Signals() != 0 {
		t.Errorf("signals %#x are left", a.Signals())
	}
}

func TestPPRSeesATaskPriorityThatTheProcessorWrote(t *testing.T) {
	a := enabled(0)
	a.Accept(0x50, false)
	a.Regs[offTPR/4] = 0x50 // VT-x's TPR shadow
	if a.Pending() != -1 {
		t.Error("pending in spite of TPR")
	}
	a.Regs[offTPR/4] = 0x40
	if a.Pending() != 0x50 {
		t.Error("not pending in spite of TPR")
	}
}

// An INIT that races with a request may leave a signal without a request.
func TestASignalWithoutARequestGoesAway(t *testing.T) {
	a := enabled(0)
	a.raise(1<<2 | 1<<5)
	a.Regs[0x200/4] = 1 << 0x11
	a.raise(1 << 0)
	if got := a.Requested(); got != 0x11 {
		t.Errorf("requested %d, want 0x11", got)
	}
	a.Ack(0x11)
	if a.Requested() != -1 || a.Signals() != 0 {
		t.Errorf("requested %d, signals %#x", a.Requested(), a.Signals())
	}
}

func TestLevelEOIIsTold(t *testing.T) {
	a := enabled(0)
	a.Accept(0x70, true)
	a.Ack(0x70)
	e := a.WriteMMIO(offEOI, 0, 0)
	if e.Kind() != EffectEOI || e.Vector() != 0x70 {
		t.Errorf("EOI of a level: effect %#x", e)
	}
	a.Accept(0x70, false) // the same vector as an edge
	a.Ack(0x70)
	if e := a.WriteMMIO(offEOI, 0, 0); e != EffectNone {
		t.Errorf("EOI of an edge: effect %#x", e)
	}
}

func TestSoftwareDisable(t *testing.T) {
	a := enabled(0)
	a.WriteMMIO(offTimer, 0xEC, 0)
	a.WriteMMIO(offError, 0xFE, 0)
	a.Accept(0x30, false)
	a.WriteMMIO(offSVR, 0xFF, 0)
	if a.Pending() != -1 || a.Accept(0x31, false) {
		t.Error("a software-disabled APIC delivers or takes interrupts")
	}
	a.WriteMMIO(offTimer, 0xED, 0)
	if timer, e := a.ReadMMIO(offTimer, 0), a.ReadMMIO(offError, 0); timer != 0x100ED || e != 0x100FE {
		t.Errorf("local vectors %#x, %#x aren't masked", timer, e)
	}
	for _, m := range []struct {
		mode uint8
		s    Signal
	}{{NMI, SignalNMI}, {INIT, SignalINIT}} {
		if !a.Deliver(NewMessage(0x9A, m.mode, 0, false, false)) || !a.Take(m.s) {
			t.Errorf("delivery mode %d isn't taken", m.mode)
		}
	}
	if !a.Deliver(NewMessage(0x9A, StartUp, 0, false, false)) || a.StartUp() != 0x9A {
		t.Error("a start-up message isn't taken")
	}
	a.WriteMMIO(offSVR, 0x1FF, 0)
	if a.Pending() != 0x30 {
		t.Error("the request wasn't held")
	}
}

func TestErrors(t *testing.T) {
	a := enabled(0)
	a.WriteMMIO(offError, 0xFE, 0)
	esr := func(want uint32) {
		t.Helper()
		a.WriteMMIO(offESR, 0, 0)
		if got := a.ReadMMIO(offESR, 0); got != want {
			t.Errorf("ESR = %#x, want %#x", got, want)
		}
	}
	if a.Accept(15, false) {
		t.Error("vector 15 accepted")
	}
	if a.ReadMMIO(offESR, 0) != 0 {
		t.Error("ESR shows an error before it is written")
	}
	if a.Pending() != 0xFE {
		t.Error("no error interrupt")
	}
	a.Ack(0xFE)
	if e := a.WriteMMIO(offEOI, 0, 0); e != EffectNone {
		t.Errorf("EOI of the error interrupt: effect %#x", e)
	}
	esr(1 << 6)
	esr(0)
	a.WriteMMIO(offICR, 0x4000F, 0)
	a.ReadMMIO(0x40, 0)
	esr(1<<5 | 1<<7)
	a.WriteMMIO(0x3F0, 0x30, 0) // SELF IPI is the x2APIC's
	esr(1 << 7)
	a.ReadMMIO(0x1000, 0)
	esr(1 << 7)
	a.WriteMMIO(offError, 5, 0) // an error interrupt whose own vector is illegal must end
	a.Accept(1, false)
	esr(1 << 6)
}
