package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// spin is work for one processor without memory: it depends on each step before it.
func spin(n int, seed uint64) uint64 {
	x := seed
	for range n {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// checkSpeedup does the same work on one processor and on all.
func checkSpeedup(e *env) (string, error) {
	const seed = 88172645463325252
	n := 3_000_000 * e.scale
	start := time.Now()
	want := spin(n, seed)
	one := time.Since(start)

	var wg sync.WaitGroup
	got := make([]uint64, e.cpus)
	start = time.Now()
	for i := range got {
		wg.Go(func() { got[i] = spin(n, seed) })
	}
	wg.Wait()
	all := time.Since(start)
	for i, g := range got {
		if g != want {
			return "", fmt.Errorf("worker %d computed %#x, want %#x", i, g, want)
		}
	}
	percent := int(100 * float64(one) * float64(e.cpus) / float64(all))
	report := fmt.Sprintf("cpus=%d one=%v all=%v speedup=%d%%", e.cpus, one.Round(time.Microsecond), all.Round(time.Microsecond), percent)
	if percent < e.speedup {
		return "", fmt.Errorf("%s, want %d%%", report, e.speedup)
	}
	return report, nil
}

// checkPreemption has more loops without a call than there are processors, and does meanwhile what
// needs each of them to be stopped.
func checkPreemption(e *env) (string, error) {
	var stop atomic.Bool
	var wg sync.WaitGroup
	counts := make([]uint64, e.cpus+2)
	for i := range counts {
		wg.Go(func() {
			n := uint64(0)
			for !stop.Load() {
				n++
			}
			counts[i] = n
		})
	}
	rounds := 3 + 5*e.scale
	var worst time.Duration
	for range rounds {
		start := time.Now()
		runtime.GC()
		time.Sleep(time.Millisecond)
		worst = max(worst, time.Since(start))
	}
	// Each loop must have had its turns: there are more of them than processors.
	time.Sleep(200 * time.Millisecond)
	stop.Store(true)
	wg.Wait()
	for i, n := range counts {
		if n == 0 {
			return "", fmt.Errorf("loop %d never ran", i)
		}
	}
	return fmt.Sprintf("loops=%d slowest of %d=%v", len(counts), rounds, worst.Round(time.Millisecond)), nil
}
