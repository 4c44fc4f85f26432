package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// checkIPIs makes processors wake and interrupt each other: threads that wake each other in turn,
// barriers that interrupt all others, and a thread that moves around.
func checkIPIs(o options) (string, error) {
	rounds := uint32(5000)
	if o.quick {
		rounds = 150
	}
	n := cpus()
	for i := range n {
		if err := pingPong(i, (i+1)%n, rounds); err != nil {
			return "", err
		}
	}
	if err := barriers(int(rounds)); err != nil {
		return "", err
	}
	if err := migrate(int(rounds) / 2); err != nil {
		return "", err
	}
	return fmt.Sprintf("pairs=%d rounds=%d", n, rounds), nil
}

// pingPong lets two bound threads hand a counter to each other by futexes.
func pingPong(a, b int, rounds uint32) error {
	var turn uint32
	limit := syscall.NsecToTimespec(int64(20 * time.Second))
	return onEach(2, func(i int) int { return [2]int{a, b}[i] }, func(i int) error {
		for r := uint32(i); r < 2*rounds; r += 2 {
			for {
				now := atomic.LoadUint32(&turn)
				if now == r {
					break
				}
				if now > r {
					return fmt.Errorf("processors %d and %d: the turn is %d at turn %d", a, b, now, r)
				}
				if futexWait(&turn, now, &limit) == syscall.ETIMEDOUT && atomic.LoadUint32(&turn) == now {
					return fmt.Errorf("processors %d and %d: a wake-up at turn %d was lost", a, b, r)
				}
			}
			atomic.StoreUint32(&turn, r+1)
			futexWake(&turn)
		}
		return nil
	})
}

// barriers has the kernel interrupt all processors that run a thread of ours, from all of them.
func barriers(rounds int) error {
	if errno := membarrier(membarrierRegisterPrivateExpedited); errno != 0 {
		return fmt.Errorf("membarrier: %w", errno)
	}
	return onEach(cpus(), func(i int) int { return i }, func(int) error {
		for range rounds {
			if errno := membarrier(membarrierPrivateExpedited); errno != 0 {
				return fmt.Errorf("membarrier: %w", errno)
			}
		}
		return nil
	})
}

// migrate moves a thread from processor to processor; bind checks where it is.
func migrate(rounds int) error {
	return onEach(1, func(int) int { return 0 }, func(int) error {
		for r := range rounds {
			if err := bind(r % cpus()); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkShootdowns replaces a page under the eyes of all processors. What one of them read of an old
// page after the new one was announced came through a stale translation.
func checkShootdowns(o options) (string, error) {
	rounds := uint64(3000)
	if o.quick {
		rounds = 150
	}
	page, err := syscall.Mmap(-1, 0, os.Getpagesize(), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return "", err
	}
	word := wordOf(page)
	var announced, done atomic.Uint64
	err = onEach(cpus(), func(i int) int { return i }, func(i int) error {
		if i == 0 {
			defer done.Store(1)
			for r := uint64(1); r <= rounds; r++ {
				if err := remap(page); err != nil {
					return err
				}
				atomic.StoreUint64(word, r)
				announced.Store(r)
				if r%2 == 0 { // protection changes go the same way
					if err := syscall.Mprotect(page, syscall.PROT_READ); err != nil {
						return err
					}
				}
			}
			return nil
		}
		for done.Load() == 0 {
			least := announced.Load()
			// Zero is the next page before it was written to.
			if got := atomic.LoadUint64(word); got != 0 && got < least {
				return fmt.Errorf("processor %d read %d from a page that was replaced by %d", i, got, least)
			}
			if cpus() > 1 && least%64 == 0 {
				runtime.Gosched()
			}
		}
		return nil
	})
	return fmt.Sprintf("remaps=%d", rounds), err
}

// interrupts returns the lines of /proc/interrupts: counts of each processor by name.
func interrupts() map[string][]uint64 {
	text, _ := os.ReadFile("/proc/interrupts")
	lines := map[string][]uint64{}
	for line := range strings.Lines(string(text)) {
		name, rest, found := strings.Cut(strings.TrimSpace(line), ":")
		if !found {
			continue
		}
		var counts []uint64
		for _, f := range strings.Fields(rest) {
			n, err := strconv.ParseUint(f, 10, 64)
			if err != nil {
				break
			}
			counts = append(counts, n)
		}
		lines[name] = counts
	}
	return lines
}

// checkInterrupts reads what Linux counted: timers on each processor, calls where there is more
// than one, no errors.
func checkInterrupts(options) (string, error) {
	before := interrupts()
	// Busy, so that no processor stops its tick.
	if err := onEach(cpus(), func(i int) int { return i }, func(int) error {
		for t := time.Now(); time.Since(t) < 60*time.Millisecond; {
		}
		return nil
	}); err != nil {
		return "", err
	}
	after := interrupts()
	timer := after["LOC"]
	if len(timer) != cpus() {
		return "", fmt.Errorf("local timer interrupts of %d processors, not %d", len(timer), cpus())
	}
	ticks := uint64(0)
	for i, n := range timer {
		if n <= before["LOC"][i] {
			return "", fmt.Errorf("processor %d had no local timer interrupt while it was busy", i)
		}
		ticks += n
	}
	for _, name := range []string{"ERR", "MIS"} {
		if n := after[name]; len(n) > 0 && n[0] != 0 {
			return "", fmt.Errorf("%d interrupts counted as %s", n[0], name)
		}
	}
	sum := func(name string) (n uint64) {
		for _, v := range after[name] {
			n += v
		}
		return n
	}
	if cpus() > 1 && (sum("CAL") == 0 || sum("TLB") == 0) {
		return "", fmt.Errorf("%d function calls and %d TLB shootdowns between %d processors", sum("CAL"), sum("TLB"), cpus())
	}
	return fmt.Sprintf("timer=%d calls=%d shootdowns=%d spurious=%d", ticks, sum("CAL"), sum("TLB"), sum("SPU")), nil
}
