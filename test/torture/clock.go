package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"keel/vmkernel/sys"
)

var epoch = time.Now()

// now is the monotonic clock.
func now() time.Duration { return time.Since(epoch) }

// checkClock shows that time never goes backwards, also from one processor to the next, and that it takes no system call
// to read it.
func checkClock(e *env) (string, error) {
	var before, after sys.Stats
	if e.metal {
		sys.GetStats(&before)
	}
	var last, backwards, worst atomic.Int64
	var wg sync.WaitGroup
	per := 50_000 * e.scale / e.cpus
	for range 2 * e.cpus {
		wg.Go(func() {
			for range per {
				seen := last.Load()
				t := int64(now())
				if t < seen {
					backwards.Add(1)
					worst.Store(max(worst.Load(), seen-t))
				}
				last.Store(max(last.Load(), t))
			}
		})
	}
	wg.Wait()
	if e.metal {
		sys.GetStats(&after)
	}
	if n := after.Syscalls - before.Syscalls; n > uint64(per*e.cpus) {
		return "", fmt.Errorf("%d system calls while the clock was read %d times", n, per*2*e.cpus)
	}
	if n := backwards.Load(); n != 0 {
		return "", fmt.Errorf("time went backwards %d times, by up to %v", n, time.Duration(worst.Load()))
	}
	if y := time.Now().Year(); y < 2025 || y > 2099 {
		return "", fmt.Errorf("the clock says %v", time.Now())
	}
	return fmt.Sprintf("readings=%d date=%s", per*2*e.cpus, time.Now().UTC().Format(time.RFC3339)), nil
}

// checkTimers sleeps alone, then has thousands of timers at once. None may be early.
func checkTimers(e *env) (string, error) {
	var alone []time.Duration
	for _, d := range []time.Duration{100 * time.Microsecond, time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond} {
		for range 10 {
			start := now()
			time.Sleep(d)
			over := now() - start - d
			if over < 0 {
				return "", fmt.Errorf("a sleep of %v was %v short", d, -over)
			}
			alone = append(alone, over)
		}
	}

	n := 2000 * e.scale
	many := make([]time.Duration, n)
	var wg sync.WaitGroup
	for i := range many {
		wg.Add(1)
		d := time.Duration(rand.N(200_000)) * time.Microsecond
		start := now()
		time.AfterFunc(d, func() {
			many[i] = now() - start - d
			wg.Done()
		})
	}
	wg.Wait()
	slices.Sort(alone)
	slices.Sort(many)
	if many[0] < 0 {
		return "", fmt.Errorf("a timer of %d was %v early", n, -many[0])
	}

	ticker := time.NewTicker(5 * time.Millisecond)
	start := now()
	for range 20 {
		<-ticker.C
	}
	ticker.Stop()
	drift := now() - start - 100*time.Millisecond

	report := fmt.Sprintf("sleep late median=%v max=%v; %d timers late median=%v max=%v; ticker drift=%v",
		us(alone[len(alone)/2]), us(alone[len(alone)-1]), n, us(many[n/2]), us(many[n-1]), us(drift))
	if late := time.Duration(e.late) * time.Millisecond; late != 0 && max(alone[len(alone)/2], many[n/2]) > late {
		return "", fmt.Errorf("%s: want a median below %v", report, late)
	}
	return report, nil
}

func us(d time.Duration) time.Duration { return d.Round(time.Microsecond) }
