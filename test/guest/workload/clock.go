package main

import (
	"fmt"
	"math"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Linux's numbers of clocks.
const (
	clockRealtime     = 0
	clockMonotonic    = 1
	clockMonotonicRaw = 4
)

// checkClock looks for clocks that run backwards between processors, that disagree with the
// time-stamp counter, and for a date other than the real-time clock's.
func checkClock(o options) (string, error) {
	rounds := 200_000
	if o.quick {
		rounds = 20_000
	}
	if err := neverBackwards("the time-stamp counter", rounds, func() int64 { return int64(rdtsc()) }); err != nil {
		return "", err
	}
	begin := time.Now()
	if err := neverBackwards("CLOCK_MONOTONIC", rounds, func() int64 { return int64(time.Since(begin)) }); err != nil {
		return "", err
	}
	rate, err := steadyRate(o)
	if err != nil {
		return "", err
	}
	if err := checkDate(); err != nil {
		return "", err
	}
	source, _ := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	return fmt.Sprintf("source=%s tsc=%.1fMHz", strings.TrimSpace(string(source)), rate*1000), nil
}

// neverBackwards reads a clock on all processors at once. Each reading must not be below what any
// processor had read, and published, before it.
func neverBackwards(name string, rounds int, read func() int64) error {
	var latest atomic.Int64
	latest.Store(math.MinInt64)
	return onEach(cpus(), func(i int) int { return i }, func(i int) error {
		for range rounds {
			before := latest.Load()
			now := read()
			if now < before {
				return fmt.Errorf("%s went back by %d on processor %d", name, before-now, i)
			}
			for {
				old := latest.Load()
				if old >= now || latest.CompareAndSwap(old, now) {
					break
				}
			}
		}
		return nil
	})
}

// steadyRate compares two clocks over several stretches of time and returns ticks per nanosecond.
func steadyRate(o options) (float64, error) {
	stretch := 300 * time.Millisecond
	if o.quick {
		stretch = 50 * time.Millisecond
	}
	var low, high float64
	for i := range 4 {
		n0, t0 := paired()
		time.Sleep(stretch)
		n1, t1 := paired()
		if n1-n0 < int64(stretch) {
			return 0, fmt.Errorf("a sleep of %v took %v by CLOCK_MONOTONIC_RAW", stretch, time.Duration(n1-n0))
		}
		rate := float64(t1-t0) / float64(n1-n0)
		if i == 0 {
			low, high = rate, rate
		}
		low, high = min(low, rate), max(high, rate)
	}
	if high > low*1.01 {
		return 0, fmt.Errorf("the time-stamp counter's rate against CLOCK_MONOTONIC_RAW varies from %.4f to %.4f ticks/ns", low, high)
	}
	return low, nil
}

// paired reads both clocks as near to each other as it manages in a few tries.
func paired() (ns int64, ticks uint64) {
	best := uint64(math.MaxUint64)
	for range 10 {
		t0 := rdtsc()
		n := clock(clockMonotonicRaw)
		if t1 := rdtsc(); t1-t0 < best {
			best, ns, ticks = t1-t0, n, t0+(t1-t0)/2
		}
	}
	return ns, ticks
}

// checkDate compares Linux's date with that of the machine's real-time clock.
func checkDate() error {
	fd, err := syscall.Open("/dev/rtc0", syscall.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("no real-time clock: /dev/rtc0: %w", err)
	}
	defer syscall.Close(fd)
	// A date read across the turn of a second, or by a guest that was held up, gets another try.
	var off time.Duration
	for range 5 {
		f, err := rtc(fd)
		if err != nil {
			return fmt.Errorf("/dev/rtc0: %w", err)
		}
		date := time.Date(int(f[5])+1900, time.Month(f[4]+1), int(f[3]), int(f[2]), int(f[1]), int(f[0]), 0, time.UTC)
		if off = time.Unix(0, clock(clockRealtime)).Sub(date).Abs(); off < 5*time.Second {
			return nil
		}
	}
	return fmt.Errorf("the dates of Linux and of the real-time clock are %v apart", off)
}

// checkTimers lets threads on all processors sleep: never less than they asked for.
func checkTimers(o options) (string, error) {
	rounds, late := 60, 5*time.Second
	if o.quick {
		rounds = 8
	}
	var worst atomic.Int64
	n := 2 * cpus()
	err := onEach(n, func(i int) int { return i % cpus() }, func(i int) error {
		for r := range rounds {
			want := time.Duration(50+(i*7919+r*104729)%5000) * time.Microsecond
			spec := syscall.NsecToTimespec(int64(want))
			start := clock(clockMonotonic)
			if err := syscall.Nanosleep(&spec, nil); err == syscall.EINTR {
				continue
			}
			took := time.Duration(clock(clockMonotonic) - start)
			if took < want || took > want+late {
				return fmt.Errorf("nanosleep of %v on processor %d took %v", want, i%cpus(), took)
			}
			for {
				old := worst.Load()
				if int64(took-want) <= old || worst.CompareAndSwap(old, int64(took-want)) {
					break
				}
			}
		}
		return nil
	})
	return fmt.Sprintf("sleeps=%d latest=%v", n*rounds, time.Duration(worst.Load())), err
}
