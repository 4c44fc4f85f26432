package rtc

import (
	"fmt"
	"testing"
	"time"

	"keel/vmkernel/device"
)

// bench is a clock with a host whose time the test moves.
type bench struct {
	*RTC
	host  time.Time
	level bool
	wait  time.Duration // what the timer is set to; negative for not set
}

func (b *bench) Set(level bool) { b.level = level }

type timer struct{ b *bench }

func (t timer) Set(d time.Duration) { t.b.wait = d }

func newBench(host string) *bench {
	b := &bench{wait: -1}
	var err error
	if b.host, err = time.Parse(time.RFC3339Nano, host); err != nil {
		panic(err)
	}
	b.RTC = New(func() time.Time { return b.host }, b, timer{b})
	return b
}

func (b *bench) get(reg uint8) uint8 {
	b.Out(0, 1, uint32(reg))
	return uint8(b.In(1, 1))
}

func (b *bench) put(reg, v uint8) { b.Out(0, 2, uint32(v)<<8|uint32(reg)) }

// pass lets the host's time pass, calling Tick whenever the timer runs out,
// and returns how often it did.
func (b *bench) pass(d time.Duration) (ticks int) {
	end := b.host.Add(d)
	for b.wait >= 0 && !b.host.Add(b.wait).After(end) {
		b.host = b.host.Add(b.wait)
		b.wait = -1
		b.Tick()
		ticks++
	}
	if b.wait >= 0 {
		b.wait -= end.Sub(b.host)
	}
	b.host = end
	return ticks
}

// date reads the date registers as they are.
func (b *bench) date() string {
	return fmt.Sprintf("%02x%02x-%02x-%02x/%d %02x:%02x:%02x", b.get(regCentury), b.get(regYear), b.get(regMonth),
		b.get(regDay), b.get(regWeekday), b.get(regHour), b.get(regMinute), b.get(regSecond))
}

func TestDateInEachFormat(t *testing.T) {
	for _, tc := range []struct {
		host string
		b    uint8
		want string
	}{
		{"2024-02-29T13:59:58Z", b24Hour, "2024-02-29/5 13:59:58"},
		{"2024-02-29T13:59:58Z", b24Hour | bBinary, "1418-02-1d/5 0d:3b:3a"},
		{"2024-02-29T13:59:58Z", 0, "2024-02-29/5 81:59:58"},
		{"2024-02-29T12:00:00Z", 0, "2024-02-29/5 92:00:00"},
		{"2024-02-29T00:00:00Z", 0, "2024-02-29/5 12:00:00"},
		{"2024-02-29T11:00:00Z", bBinary, "1418-02-1d/5 0b:00:00"},
		{"2024-02-29T23:00:00Z", bBinary, "1418-02-1d/5 8b:00:00"},
		{"2026-11-22T10:00:00+02:00", b24Hour, "2026-11-22/1 08:00:00"},
		{"1969-12-31T23:59:59Z", b24Hour, "1969-12-31/4 23:59:59"},
	} {
		b := newBench(tc.host)
		b.put(regB, tc.b)
		if got := b.date(); got != tc.want {
			t.Errorf("%s, register B %#x: %s, want %s", tc.host, tc.b, got, tc.want)
		}
	}
}

// setDate sets the date as Linux does, with SET and the divider reset.
func (b *bench) setDate(regs map[uint8]uint8) {
	control, freq := b.get(regB), b.get(regA)
	b.put(regB, control|bSet)
	b.put(regA, freq&0x0f|0x70)
	for reg, v := range regs {
		b.put(reg, v)
	}
	b.put(regB, control)
	b.put(regA, freq&0x7f)
}

func TestGuestSetsTheDate(t *testing.T) {
	b := newBench("2024-02-29T13:59:58.9Z")
	b.setDate(map[uint8]uint8{regCentury: 0x19, regYear: 0x99, regMonth: 0x12, regDay: 0x31, regHour: 0x23, regMinute: 0x59, regSecond: 0x59})
	if got, want := b.date(), "1999-12-31/6 23:59:59"; got != want {
		t.Errorf("date %s, want %s", got, want)
	}
	b.pass(499 * time.Millisecond)
	if got, want := b.date(), "1999-12-31/6 23:59:59"; got != want {
		t.Errorf("after 499 ms: %s, want %s: the first update takes half a second", got, want)
	}
	b.pass(2 * time.Millisecond)
	if got, want := b.date(), "2000-01-01/7 00:00:00"; got != want {
		t.Errorf("after 501 ms: %s, want %s", got, want)
	}
	b.pass(366 * 24 * time.Hour)
	if got, want := b.date(), "2001-01-01/2 00:00:00"; got != want {
		t.Errorf("a leap year later: %s, want %s", got, want)
	}
	// A single register, without stopping the clock.
	b.put(regMinute, 0x30)
	if got, want := b.date(), "2001-01-01/2 00:30:00"; got != want {
		t.Errorf("after setting the minute: %s, want %s", got, want)
	}
}

func TestSetHoldsTheDate(t *testing.T) {
	b := newBench("2024-02-29T13:59:58.75Z")
	b.put(regB, b24Hour|bSet|bUIE)
	if got := b.get(regB); got != b24Hour|bSet {
		t.Errorf("register B %#x: SET clears UIE", got)
	}
	b.pass(time.Hour)
	if got, want := b.date(), "2024-02-29/5 13:59:58"; got != want {
		t.Errorf("held: %s, want %s", got, want)
	}
	if b.get(regC) != cPeriodic || b.get(regA)&aUIP != 0 {
		t.Error("a held clock updates")
	}
	b.put(regMonth, 0x13)
	b.put(regWeekday, 9)
	if b.get(regMonth) != 0x13 || b.get(regWeekday) != 9 {
		t.Error("held registers don't read back")
	}
	b.put(regB, b24Hour)
	if got, want := b.date(), "2025-01-29/4 13:59:58"; got != want {
		t.Errorf("month 13: %s, want %s", got, want)
	}
	b.pass(250 * time.Millisecond)
	if got := b.get(regSecond); got != 0x59 {
		t.Errorf("second %#x: SET alone keeps the second's phase", got)
	}
}

func TestUpdateInProgressAnnouncesTheSecond(t *testing.T) {
	b := newBench("2024-02-29T13:59:58Z")
	for _, tc := range []struct {
		at  time.Duration
		uip bool
	}{
		{0, false}, {time.Second - 250*time.Microsecond, false},
		{time.Second - 244*time.Microsecond, true}, {time.Second - 1, true}, {time.Second, false},
	} {
		now := newBench("2024-02-29T13:59:58Z")
		now.host = b.host.Add(tc.at)
		if got := now.get(regA)&aUIP != 0; got != tc.uip {
			t.Errorf("at %v: UIP %v, want %v", tc.at, got, tc.uip)
		}
	}
	b.host = b.host.Add(time.Second - 1)
	b.put(regA, 0xff)
	if got := b.get(regA); got != 0x7f {
		t.Errorf("register A %#x: UIP can't be written and a stopped clock has none", got)
	}
}

func TestFlagsFollowTheTimeThatPassed(t *testing.T) {
	b := newBench("2024-02-29T13:59:58.5Z")
	b.put(regA, aDiv32768) // no periodic rate
	b.put(regHourAlarm, 0x14)
	b.put(regMinuteAlarm, 0x00)
	b.put(regSecondAlarm, 0x00)
	for _, step := range []struct {
		d    time.Duration
		want uint8
	}{
		{400 * time.Millisecond, 0},
		{200 * time.Millisecond, cUpdate},
		{0, 0},
		{time.Second, cUpdate | cAlarm},
		{time.Minute, cUpdate},
		{48 * time.Hour, cUpdate | cAlarm},
		{-time.Hour, 0}, // the host's clock was set back
		{time.Second, cUpdate},
	} {
		b.host = b.host.Add(step.d)
		if got := b.get(regC); got != step.want {
			t.Errorf("after %v: register C %#x, want %#x", step.d, got, step.want)
		}
	}
	if b.level || b.wait >= 0 {
		t.Errorf("nothing is enabled, but line %v, timer %v", b.level, b.wait)
	}
}

func TestEnabledEventsInterrupt(t *testing.T) {
	for _, tc := range []struct {
		name   string
		enable uint8
		rate   uint8
		alarm  [3]uint8 // hour, minute, second
		flag   uint8
		first  time.Duration
	}{
		{"update", bUIE, 0, [3]uint8{}, cUpdate, 500 * time.Millisecond},
		{"periodic 2 Hz", bPIE, 15, [3]uint8{}, cPeriodic, 500 * time.Millisecond},
		{"periodic 1024 Hz", bPIE, 6, [3]uint8{}, cPeriodic, 976563 * time.Nanosecond},
		{"periodic 8192 Hz is slowed", bPIE, 3, [3]uint8{}, cPeriodic, MinTick},
		{"periodic 256 Hz", bPIE, 1, [3]uint8{}, cPeriodic, 3906250 * time.Nanosecond},
		{"alarm today", bAIE, 0, [3]uint8{0x14, 0x00, 0x01}, cAlarm, 2500 * time.Millisecond},
		{"alarm tomorrow", bAIE, 0, [3]uint8{0x13, 0x59, 0x58}, cAlarm, 24*time.Hour - 500*time.Millisecond},
		{"alarm each second", bAIE, 0, [3]uint8{0xff, 0xc0, 0xff}, cAlarm, 500 * time.Millisecond},
		{"alarm each minute", bAIE, 0, [3]uint8{0xff, 0xff, 0x30}, cAlarm, 31500 * time.Millisecond},
		{"alarm each hour", bAIE, 0, [3]uint8{0xff, 0x59, 0x00}, cAlarm, 59*time.Minute + 1500*time.Millisecond},
	} {
		b := newBench("2024-02-29T13:59:58.5Z")
		b.put(regA, aDiv32768|tc.rate)
		for i, reg := range []uint8{regHourAlarm, regMinuteAlarm, regSecondAlarm} {
			b.put(reg, tc.alarm[i])
		}
		b.put(regB, b24Hour|tc.enable)
		for round := range 3 {
			if b.level {
				t.Fatalf("%s: interrupt before the event", tc.name)
			}
			wait := b.wait
			if round == 0 && wait != tc.first {
				t.Errorf("%s: timer set to %v, want %v", tc.name, wait, tc.first)
			}
			if n := b.pass(wait); n != 1 || !b.level {
				t.Fatalf("%s: %d ticks, interrupt %v, after %v", tc.name, n, b.level, wait)
			}
			if b.wait >= 0 {
				t.Errorf("%s: timer set to %v while the interrupt is asserted", tc.name, b.wait)
			}
			if got := b.get(regC); got&(cIRQ|tc.flag) != cIRQ|tc.flag {
				t.Errorf("%s: register C %#x", tc.name, got)
			}
		}
		b.put(regB, b24Hour)
		if b.level || b.wait >= 0 {
			t.Errorf("%s: disabled, but line %v, timer %v", tc.name, b.level, b.wait)
		}
	}
}

func TestImpossibleAlarmNeverComes(t *testing.T) {
	b := newBench("2024-02-29T13:59:58.5Z")
	b.put(regHourAlarm, 0x24)
	b.put(regB, b24Hour|bAIE)
	if b.wait >= 0 {
		t.Errorf("timer set to %v", b.wait)
	}
	b.host = b.host.Add(100 * time.Hour)
	if got := b.get(regC); got&cAlarm != 0 {
		t.Errorf("register C %#x", got)
	}
}

// TestAlarmAgreesWithCounting compares with trying second after second.
func TestAlarmAgreesWithCounting(t *testing.T) {
	choose := []int{-1, 0, 7, 23, 59, 60}
	for _, hour := range choose {
		for _, minute := range choose {
			for _, sec := range choose {
				for _, now := range []int64{0, 1, 59, 60, 3599, 7*3600 + 7*60 + 7, 86399, -1, 1e9} {
					want := int64(0)
					for d := int64(1); d <= 86400 && want == 0; d++ {
						s := int(((now+d)%86400 + 86400) % 86400)
						if (hour < 0 || hour == s/3600) && (minute < 0 || minute == s/60%60) && (sec < 0 || sec == s%60) {
							want = d
						}
					}
					if got := (alarmTime{hour, minute, sec}).after(now); got != want {
						t.Fatalf("alarm %d:%d:%d after %d: %d s, want %d", hour, minute, sec, now, got, want)
					}
				}
			}
		}
	}
}

func TestMemoryKeepsAndIndexIgnoresNMIMask(t *testing.T) {
	b := newBench("2024-02-29T13:59:58Z")
	for reg := 0x0e; reg < 0x80; reg++ {
		if reg != regCentury {
			b.put(uint8(reg)|0x80, uint8(reg)^0x5a)
		}
	}
	for reg := 0x0e; reg < 0x80; reg++ {
		if got := b.get(uint8(reg)); reg != regCentury && got != uint8(reg)^0x5a {
			t.Errorf("byte %#x = %#x, want %#x", reg, got, reg^0x5a)
		}
	}
	b.put(regD, 0)
	if got := b.get(regD); got != dValid {
		t.Errorf("register D %#x, want VRT only", got)
	}
	if got := b.In(0, 1); got != 0xff {
		t.Errorf("index reads %#x, want ones", got)
	}
}

func TestAccessesDoNotAllocate(t *testing.T) {
	b := newBench("2024-02-29T13:59:58.5Z")
	if n := testing.AllocsPerRun(100, func() {
		for reg := range uint8(0x40) {
			b.put(reg, b.get(reg))
		}
		b.put(regB, b24Hour|bUIE|bAIE|bPIE)
		b.host = b.host.Add(time.Second)
		b.Tick()
		b.get(regC)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// FuzzRegisters drives the clock with pairs of bytes: register and, with bit
// 7, a write; or, for register 7FH, time that passes.
func FuzzRegisters(f *testing.F) {
	f.Add([]byte{0x8b, 0x72, 0x7f, 200, 0x0c, 0, 0x8b, 0x82, 0x88, 0xff, 0x8b, 0x02, 0x08, 0})
	f.Add([]byte{0x85, 0xff, 0x83, 0xff, 0x81, 0x30, 0x8b, 0x22, 0x7f, 255, 0x8a, 0x70, 0x8a, 0x26})
	f.Fuzz(func(t *testing.T, program []byte) {
		b := newBench("2024-02-29T13:59:58.5Z")
		for ; len(program) >= 2; program = program[2:] {
			reg, v := program[0]&0x7f, program[1]
			switch {
			case reg == 0x7f:
				b.host = b.host.Add(time.Duration(v) * 37 * time.Millisecond)
				b.Tick()
			case program[0]&0x80 != 0:
				b.put(reg, v)
			default:
				b.get(reg)
			}
			if b.level && b.wait >= 0 {
				t.Fatalf("timer set to %v with the interrupt asserted", b.wait)
			}
			if b.wait >= 0 && b.wait < MinTick {
				t.Fatalf("timer set to %v", b.wait)
			}
			if n := b.now(); n.ns < 0 || n.ns >= second {
				t.Fatalf("now %+v", n)
			}
			if level := b.ram[regC]&b.ram[regB]&cFlags != 0; level != b.level {
				t.Fatalf("line %v, flags %#x of %#x", b.level, b.ram[regC], b.ram[regB])
			}
		}
	})
}

var _ device.PortDevice = (*RTC)(nil)
