package lapic

import (
	"math/bits"
	"sync"
	"testing"
)

// Which registers may be read and written, and which bits are defined, by SDM 3A table 11-6 and the registers' figures.
func TestX2Registers(t *testing.T) {
	type access struct {
		read, write bool
		defined     uint64
	}
	want := map[uint32]access{
		0x802: {true, false, 0},
		0x803: {true, false, 0},
		0x808: {true, true, 0xFF},
		0x80A: {true, false, 0},
		0x80B: {false, true, 0},
		0x80D: {true, false, 0},
		0x80F: {true, true, 0x3FF},
		0x828: {true, true, 0},
		0x830: {true, true, 0xFFFFFFFF000CCFFF},
		0x832: {true, true, 0x710FF},
		0x833: {true, true, 0x117FF},
		0x834: {true, true, 0x117FF},
		0x835: {true, true, 0x1F7FF},
		0x836: {true, true, 0x1F7FF},
		0x837: {true, true, 0x110FF},
		0x838: {true, true, 0xFFFFFFFF},
		0x839: {true, false, 0},
		0x83E: {true, true, 0xB},
		0x83F: {false, true, 0xFF},
	}
	for msr := uint32(0x810); msr < 0x828; msr++ {
		want[msr] = access{true, false, 0}
	}
	for msr := uint32(0x7FF); msr <= 0x840; msr++ {
		w := want[msr]
		a := x2(t, 1)
		if _, ok := a.ReadMSR(msr, 0); ok != w.read {
			t.Errorf("read of %#x: ok %v", msr, ok)
		}
		if _, ok := a.WriteMSR(msr, 0, 0); ok != w.write {
			t.Errorf("write of %#x: ok %v", msr, ok)
		}
		for bit := range 64 {
			v := uint64(1) << bit
			if _, ok := x2(t, 1).WriteMSR(msr, v, 0); ok != (w.write && w.defined&v != 0) {
				t.Errorf("write of bit %d of %#x: ok %v", bit, msr, ok)
			}
		}
		b := enabled(1)
		_, r := b.ReadMSR(msr, 0)
		if _, w := b.WriteMSR(msr, 0, 0); r || w {
			t.Errorf("%#x is accessible in xAPIC mode", msr)
		}
	}
}

func TestReadOnlyBitsStay(t *testing.T) {
	a := x2(t, 0)
	if _, ok := a.WriteMSR(0x835, lvtPending|lvtRemoteIRR|lvtMasked|0x700, 0); !ok {
		t.Fatal("#GP")
	}
	if v, _ := a.ReadMSR(0x835, 0); v != lvtMasked|0x700 {
		t.Errorf("LVT LINT0 = %#x", v)
	}
}

func TestMisalignedAccesses(t *testing.T) {
	a := enabled(0)
	a.WriteMMIO(offTPR+4, 0x55, 0)
	if a.TPR() != 0 || a.ReadMMIO(regVersion<<4+4, 0) != 0 {
		t.Error("something lies between the registers")
	}
}

// Other processors request interrupts while this one takes them: none is lost, none is made up.
func TestConcurrentAccept(t *testing.T) {
	a := enabled(0)
	const senders, rounds = 3, 300
	var wg sync.WaitGroup
	var taken [256]int
	var acks [senders]chan struct{}
	for s := range senders {
		acks[s] = make(chan struct{})
		wg.Go(func() {
			for range rounds {
				a.Accept(uint8(0x40+s), s == 1) // in one word of IRR
				a.Deliver(NewMessage(0, NMI, 0, false, false))
				<-acks[s]
			}
		})
	}
	for n := 0; n < senders*rounds; {
		a.Take(SignalNMI)
		v := a.Pending()
		if v < 0 {
			continue
		}
		a.Ack(uint8(v))
		a.WriteMMIO(offEOI, 0, 0)
		taken[v]++
		n++
		acks[v-0x40] <- struct{}{}
	}
	wg.Wait()
	for s := range senders {
		if taken[0x40+s] != rounds {
			t.Errorf("sender %d: %d of %d", s, taken[0x40+s], rounds)
		}
	}
	if a.Pending() != -1 {
		t.Error("one too many")
	}
}

// check asserts what must hold of any APIC at rest.
func check(t *testing.T, a *APIC) {
	t.Helper()
	s := a.Signals()
	for w := uint32(0); w < 8; w++ {
		if (a.get(regISR+w) != 0) != (a.inService>>w&1 != 0) {
			t.Fatalf("ISR word %d = %#x, summary %#x", w, a.get(regISR+w), a.inService)
		}
		if a.get(regIRR+w) != 0 && s>>w&1 == 0 {
			t.Fatalf("IRR word %d = %#x has no signal", w, a.get(regIRR+w))
		}
	}
	if a.get(regISR)&0xFFFF != 0 || a.get(regIRR)&0xFFFF != 0 {
		t.Fatalf("vectors below 16: ISR %#x, IRR %#x", a.get(regISR), a.get(regIRR))
	}
	if a.get(regPPR) != a.ppr() {
		t.Fatalf("PPR %#x, want %#x", a.get(regPPR), a.ppr())
	}
	if v := a.Pending(); v >= 0 {
		if !a.Enabled() || uint32(v)>>4 <= a.ppr()>>4 || a.get(regIRR+uint32(v)>>5)>>(v&31)&1 == 0 {
			t.Fatalf("pending %#x", v)
		}
	}
	if a.base&baseExtended != 0 && a.base&baseEnabled == 0 {
		t.Fatalf("IA32_APIC_BASE = %#x", a.base)
	}
	for r := uint32(regTimer); r <= regError; r++ {
		if a.get(regSVR)&svrEnabled == 0 && a.Mode() != ModeDisabled && a.get(r)&lvtMasked == 0 {
			t.Fatalf("local vector %#x isn't masked while disabled", r)
		}
	}
}

// FuzzRegisters does anything in any order, through both interfaces and from other processors.
func FuzzRegisters(f *testing.F) {
	f.Add([]byte{0, 0x0F, 0xFF, 1, 0, 0x32, 0xEC, 2, 0, 0x38, 0x10, 0, 6, 0x40, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 0, 0x0B, 0, 0})
	f.Add([]byte{2, 0, 0, 0x0C, 1, 0x0F, 0xFF, 1, 1, 0x30, 0x30, 0x04, 3, 0x44, 1, 0, 5, 0, 0, 0, 1, 0x0B, 0, 0, 2, 0, 0, 0, 2, 0, 0, 8})
	f.Add([]byte{0, 0x0F, 0xFF, 1, 0, 0x35, 0x38, 0x80, 7, 0, 1, 0, 5, 0, 0, 0, 0, 0x0B, 0, 0, 8, 3, 5, 0, 9, 0, 0, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		a := new(APIC)
		a.Reset(1, true)
		now := uint64(0)
		for ; len(ops) >= 4; ops = ops[4:] {
			r, v := uint32(ops[1]), uint32(ops[2])|uint32(ops[3])<<8
			wide := bits.RotateLeft32(v, int(ops[0]>>4)*2)
			switch ops[0] & 15 {
			case 0:
				a.WriteMMIO(r<<4&0xFFF, wide, now)
			case 1:
				a.WriteMSR(MSRx2APIC+r&0x7F, uint64(wide)|uint64(r)<<40, now)
			case 2:
				a.WriteMSR(MSRAPICBase, BaseAddress|uint64(v), now)
			case 3:
				a.Accept(uint8(r), v&1 != 0)
			case 4:
				at, kind := a.Deadline()
				a.Fire(now, uint64(v))
				if next, _ := a.Deadline(); kind == TimerNanoseconds && at <= now && next != 0 && next <= now {
					t.Fatalf("Fire(%d) leaves the deadline at %d", now, next)
				}
			case 5:
				if p := a.Pending(); p >= 0 {
					a.Ack(uint8(p))
				}
			case 6:
				now += uint64(v) << (r & 31)
			case 7:
				a.LINT(uint8(r), v&1 != 0)
			case 8:
				m := NewMessage(uint8(r), uint8(v), 1, false, v&8 != 0)
				a.Deliver(m)
			case 9:
				a.INIT()
			case 10:
				a.ReadMMIO(uint32(r)<<4, now)
				a.ReadMSR(MSRx2APIC+r&0x7F, now)
				a.ExtINT()
			case 11:
				a.WriteMSR(MSRTSCDeadline, uint64(v), now)
			case 12:
				a.Match(NewMessage(0x30, 0, wide, r&1 != 0, false), r&2 != 0)
				a.Match(a.ICR(), r&2 != 0)
				a.Bid(uint8(r), uint8(v))
			case 13:
				a.Take(Signal(wide))
			}
			check(t, a)
		}
	})
}
