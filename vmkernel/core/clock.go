package core

import (
	"math/bits"

	"keel/arch/amd64"
)

// Time is the time-stamp counter: ns = (tsc - tscBase) * tscMult >> 32 since the hand-over, the
// same on all processors. wallOffset makes it ns since 1970.
var (
	tscBase    uint64
	tscMult    uint64 // ns per tick, 32.32
	tscHz      uint64
	wallOffset uint64
	tscSource  string
)

func nanotime() uint64 { return tscToNS(amd64.RDTSC()) }

func tscToNS(tsc uint64) uint64 {
	hi, lo := bits.Mul64(tsc-tscBase, tscMult)
	return hi<<32 | lo>>32
}

// nsToTSC is the counter's value at a time.
func nsToTSC(ns uint64) uint64 { return tscBase + nsToTicks(ns) }

// nsToTicks is a duration in ticks.
func nsToTicks(ns uint64) uint64 {
	hi, lo := bits.Mul64(ns, tscHz)
	if hi >= 1e9 {
		return ^uint64(0) >> 1
	}
	q, _ := bits.Div64(hi, lo, 1e9)
	return q
}

// A reference is a hardware clock of known frequency to measure the counter against.
type reference struct {
	name string
	hz   uint64
	mask uint64
	kind uint8
}

const (
	refNone = iota
	refHPET
	refPM
	refPIT
)

// findReference chooses the best clock that there is and counts.
func findReference() reference {
	if pa := hpetAddress(); pa != 0 {
		period := *phys[uint64](pa) >> 32 // fs per tick
		if period > 0 && period <= 100_000_000 {
			*phys[uint32](pa + 0x10) |= 1 // enable
			r := reference{"hpet", 1_000_000_000_000_000 / period, 0xFFFF_FFFF, refHPET}
			if r.counts() {
				return r
			}
		}
	}
	if p := pmTimerPort(); p != 0 {
		r := reference{"pm-timer", 3_579_545, 0xFF_FFFF, refPM}
		if r.counts() {
			return r
		}
	}
	r := reference{"pit", 1_193_182, 0xFFFF, refPIT}
	amd64.OUT8(0x61, amd64.IN8(0x61)&^2|1) // gate on, speaker off
	amd64.OUT8(0x43, 0xB4)                 // channel 2, mode 2
	amd64.OUT8(0x42, 0)
	amd64.OUT8(0x42, 0)
	if r.counts() {
		return r
	}
	return reference{}
}

func (r *reference) read() uint64 {
	switch r.kind {
	case refHPET:
		return uint64(*phys[uint32](hpetAddress() + 0xF0))
	case refPM:
		return uint64(amd64.IN32(pmTimerPort())) & r.mask
	}
	amd64.OUT8(0x43, 0x80) // latch
	lo := uint64(amd64.IN8(0x42))
	return 0xFFFF - (lo | uint64(amd64.IN8(0x42))<<8)
}

// counts says whether the clock moves at all.
func (r *reference) counts() bool {
	v := r.read()
	for i := 0; i < 100_000; i++ {
		if r.read() != v {
			return true
		}
	}
	return false
}

// measure counts TSC ticks while the reference runs for about 1/denom seconds, and returns the
// counter's frequency in Hz.
func (r *reference) measure(denom uint64) uint64 {
	want := r.hz / denom
	start := r.read()
	for r.read() == start { // begin at an edge
	}
	start = r.read()
	t0 := amd64.RDTSC()
	passed, last := uint64(0), start
	t1 := t0
	for passed < want {
		v := r.read()
		t1 = amd64.RDTSC()
		passed += (v - last) & r.mask
		last = v
	}
	hi, lo := bits.Mul64(t1-t0, r.hz)
	q, _ := bits.Div64(hi, lo, passed)
	return q
}

// calibrate finds the frequency of the time-stamp counter. CPUID's figure is taken only where it
// agrees with a measurement within 1 %.
func calibrate() bool {
	r := findReference()
	if r.kind == refNone {
		return false
	}
	hz := r.measure(100)
	if again := r.measure(100); again < hz {
		hz = again // what disturbs a measurement makes it longer
	}
	tscSource = r.name
	if f := cpuidTSC(); f != 0 && f > hz-hz/100 && f < hz+hz/100 {
		hz, tscSource = f, "cpuid"
	}
	if hz < 1_000_000 {
		return false
	}
	tscHz = hz
	tscMult = (1e9 << 32) / hz
	return true
}

// cpuidTSC is what leaf 15H says, 0 where it doesn't (SDM 3B 19.7.3).
func cpuidTSC() uint64 {
	if max, _, _, _ := amd64.CPUID(0, 0); max < 0x15 {
		return 0
	}
	den, num, crystal, _ := amd64.CPUID(0x15, 0)
	if den == 0 || num == 0 || crystal == 0 {
		return 0
	}
	return uint64(crystal) * uint64(num) / uint64(den)
}

// stall waits for ns, busily.
func stall(ns uint64) {
	end := amd64.RDTSC() + nsToTicks(ns)
	for int64(amd64.RDTSC()-end) < 0 {
		amd64.PAUSE()
	}
}

// readRTC is the date of the CMOS clock in ns since 1970, 0 where it makes no sense (MC146818).
func readRTC() uint64 {
	var t [7]uint64
	for try := 0; try < 10; try++ {
		for i := 0; i < 1_000_000 && cmos(0x0A)&0x80 != 0; i++ {
		}
		ok := true
		for i := 0; i < 6; i++ {
			t[i] = uint64(cmos(rtcRegister(i)))
		}
		for i := 0; i < 6; i++ {
			ok = ok && t[i] == uint64(cmos(rtcRegister(i)))
		}
		if ok {
			break
		}
	}
	b := cmos(0x0B)
	pm := t[2]&0x80 != 0
	t[2] &= 0x7F
	if b&4 == 0 {
		for i := range t {
			t[i] = t[i]>>4*10 + t[i]&15
		}
	}
	if b&2 == 0 {
		t[2] %= 12
		if pm {
			t[2] += 12
		}
	}
	sec, minute, hour, day, month, year := t[0], t[1], t[2], t[3], t[4], 2000+t[5]
	if sec > 59 || minute > 59 || hour > 23 || day < 1 || day > 31 || month < 1 || month > 12 || year > 2099 {
		return 0
	}
	// Days since 1970 by the civil calendar, March being a year's first month.
	y, m := year, month
	if m <= 2 {
		y, m = y-1, m+12
	}
	days := 365*y + y/4 - y/100 + y/400 + (153*(m-3)+2)/5 + day - 1 - 719468
	return (((days*24+hour)*60+minute)*60 + sec) * 1e9
}

func rtcRegister(i int) uint8 { return uint8(uint64(0x090807040200) >> (8 * uint(i))) }

func cmos(reg uint8) uint8 {
	amd64.OUT8(0x70, reg)
	return amd64.IN8(0x71)
}

var randomState uint64

// random is 64 bits from RDRAND where the processor has it, and from the time-stamp counter's
// low bits, stirred, where it hasn't.
func random() uint64 {
	if hasRDRAND {
		for i := 0; i < 10; i++ {
			if v, ok := rdrand(); ok {
				return v
			}
		}
	}
	randomState ^= amd64.RDTSC()
	randomState *= 0x9E3779B97F4A7C15
	z := randomState
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

func rdrand() (v uint64, ok bool)
