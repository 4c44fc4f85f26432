package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"keel/arch/amd64"
	"keel/vmkernel/sys"
)

// A load keeps interrupts coming while the checks run: short timers, and on the metal the real-time
// clock's periodic interrupt, a device's.
type load struct {
	e      *env
	quit   atomic.Bool
	wg     sync.WaitGroup
	ticks  atomic.Int64
	device atomic.Int64
	start  time.Time
	err    error
}

func startLoad(e *env) *load {
	l := &load{e: e, start: time.Now()}
	for range 4 {
		l.wg.Go(func() {
			for !l.quit.Load() {
				time.Sleep(500 * time.Microsecond)
				l.ticks.Add(1)
			}
		})
	}
	if e.metal && e.rtc > 0 {
		l.wg.Go(l.clock)
	}
	return l
}

// Registers of the MC146818 and their bits.
const (
	rtcIRQ             = 8
	rtcIndex, rtcData  = 0x70, 0x71
	rtcA, rtcB, rtcC   = 0x0A, 0x0B, 0x0C
	rtcPeriodic        = 1 << 6 // in B: enable, in C: happened
	rtcRate, rtcDivide = 0x0F, 0x20
)

func rtcRead(reg uint8) uint8 {
	amd64.OUT8(rtcIndex, reg)
	return amd64.IN8(rtcData)
}

func rtcWrite(reg, v uint8) {
	amd64.OUT8(rtcIndex, reg)
	amd64.OUT8(rtcData, v)
}

// clock sets the periodic interrupt and takes it until the load is stopped.
func (l *load) clock() {
	rate := uint8(3) // 8192 Hz
	for hz := 8192; hz > l.e.rtc && rate < 15; hz /= 2 {
		rate++
	}
	seen, err := sys.IRQCount(rtcIRQ)
	if err != nil {
		l.err = err
		return
	}
	rtcWrite(rtcA, rtcDivide|rate)
	rtcWrite(rtcB, rtcRead(rtcB)|rtcPeriodic)
	rtcRead(rtcC)
	for !l.quit.Load() {
		if seen, err = sys.IRQWait(rtcIRQ, seen); err != nil {
			l.err = err
			break
		}
		if rtcRead(rtcC)&rtcPeriodic != 0 {
			l.device.Add(1)
		}
	}
	rtcWrite(rtcB, rtcRead(rtcB)&^rtcPeriodic)
	rtcRead(rtcC)
}

func (l *load) stop() (string, error) {
	l.quit.Store(true)
	l.wg.Wait()
	took := time.Since(l.start)
	per := func(n int64) float64 { return float64(n) / took.Seconds() }
	report := fmt.Sprintf("timers=%.0f/s", per(l.ticks.Load()))
	if !l.e.metal {
		return report, nil
	}
	var s sys.Stats
	if err := sys.GetStats(&s); err != nil {
		return "", err
	}
	report += fmt.Sprintf(" device=%.0f/s of %d all=%.0f/s faults=%d syscalls=%d switches=%d ipis=%d worlds=%d",
		per(l.device.Load()), l.e.rtc, per(int64(s.Interrupts)), s.Faults, s.Syscalls, s.Switches, s.IPIs, s.Worlds)
	if l.err != nil {
		return "", fmt.Errorf("the real-time clock: %w", l.err)
	}
	if l.e.rtc > 0 && l.device.Load() == 0 {
		return "", fmt.Errorf("%s: none of the real-time clock", report)
	}
	return report, nil
}
