package main

import (
	"fmt"
	"slices"
	"time"

	"keel/vmkernel/sys"
)

// spinHearing counts with interrupts on.
var spinHearing = slices.Concat([]byte{0xFB}, spin) // sti

// mostTicks is how many interrupts a second a processor may take that has one world to run, or none. Those that it takes are the
// Go runtime's: what sleeps here, and its monitor.
const mostTicks = 50

// checkTickless counts the host's interrupts while a processor has nothing to run, while it has one guest to run, and, for
// comparison, two.
func checkTickless(e *env) (string, error) {
	report := ""
	for n := range 3 {
		var list []func() (*guest, error)
		for range n * e.cpus {
			list = append(list, of(spinHearing, 1, sys.CPUPolicy{Shares: 1000}))
		}
		all, err := guests(list...)
		if err != nil {
			return report, err
		}
		time.Sleep(warmUp)
		var before, after sys.Stats
		used := map[uint32]uint64{}
		threads(func(t *sys.WorldStats) { used[t.ID] = t.Used })
		sys.GetStats(&before)
		s := observe(all, second)
		sys.GetStats(&after)
		var system uint64
		threads(func(t *sys.WorldStats) { system += t.Used - used[t.ID] })
		if err := stopAll(all); err != nil {
			return report, err
		}
		each := float64(after.Interrupts-before.Interrupts) / s.wall.Seconds() / float64(e.cpus)
		report += fmt.Sprintf("worlds=%d interrupts=%.0f/s used=%v system=%v; ", n, each, rounded(s.used), time.Duration(system).Round(time.Microsecond))
		if n < 2 && each > mostTicks {
			return report, fmt.Errorf("a processor with %d worlds takes %.0f interrupts a second, want %d at most", n, each, mostTicks)
		}
		if n == 2 && each < 500 {
			return report, fmt.Errorf("a processor with two worlds takes %.0f interrupts a second: there are turns without an end", each)
		}
	}
	return report, nil
}
