package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"keel/vmkernel/sys"
)

// limit is how much memory the program may map, bytes.
func (e *env) limit() uint64 {
	var s sys.Stats
	if e.metal && sys.GetStats(&s) == nil {
		return s.UpperLimit
	}
	return 1 << 30
}

// backed is how much memory the program has, bytes.
func (e *env) backed() uint64 {
	var s sys.Stats
	if e.metal {
		sys.GetStats(&s)
		return s.UpperBacked
	}
	text, _ := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize())
}

type tree struct {
	left, right *tree
	value       int
}

func grow(depth, value int) *tree {
	if depth == 0 {
		return nil
	}
	return &tree{grow(depth-1, 2*value), grow(depth-1, 2*value+1), value}
}

func (t *tree) sum() int {
	if t == nil {
		return 0
	}
	return t.value + t.left.sum() + t.right.sum()
}

// checkCollector has 100,000 goroutines, fewer where they would not fit, that each hold a part of a
// map full of pointers, while others fill maps with garbage, and the collector runs.
func checkCollector(e *env) (string, error) {
	n := int(min(100_000, (e.limit()*5/8-24<<20)/2900))
	if e.scale == 1 && e.limit() > 400<<20 {
		defer debug.SetGCPercent(debug.SetGCPercent(400)) // each collection looks at all stacks
	}
	trees := make(map[int]*tree)
	for i := range n {
		trees[i] = &tree{value: i}
	}
	var held, gone sync.WaitGroup
	release := make(chan struct{})
	var sum atomic.Int64
	held.Add(n)
	gone.Add(n)
	start := time.Now()
	for i := range n {
		go func() {
			t := trees[i]
			held.Done()
			<-release
			sum.Add(int64(t.value))
			gone.Done()
		}()
	}
	held.Wait()
	clear(trees)
	made := time.Since(start)

	var churn sync.WaitGroup
	errs := make(chan error, e.cpus)
	for w := range e.cpus {
		churn.Go(func() {
			m := make(map[string]*tree)
			for i := range 1000 * e.scale {
				k := strconv.Itoa(i % 500)
				if t := m[k]; t != nil && t.sum() != 5*t.value+1 {
					errs <- fmt.Errorf("worker %d: tree %s has the sum %d", w, k, t.sum())
					return
				}
				m[k] = grow(2, i)
			}
		})
	}
	for range min(e.scale, 5) {
		runtime.GC()
	}
	churn.Wait()
	close(release)
	gone.Wait()
	select {
	case err := <-errs:
		return "", err
	default:
	}
	if want := int64(n) * int64(n-1) / 2; sum.Load() != want {
		return "", fmt.Errorf("the goroutines' sum is %d, want %d", sum.Load(), want)
	}
	return fmt.Sprintf("goroutines=%d made in %v", n, made.Round(time.Millisecond)), nil
}

// pauses says how often the collector ran since before, and for how long it stopped all goroutines.
func pauses(before *runtime.MemStats) string {
	var s debug.GCStats
	debug.ReadGCStats(&s)
	n := int(s.NumGC) - int(before.NumGC)
	if n == 0 {
		return ""
	}
	worst := slices.Max(s.Pause[:min(n, len(s.Pause))])
	return fmt.Sprintf(" collections=%d longest pause=%v", n, worst.Round(time.Microsecond))
}

// checkMemory takes a third of what it may have, checks it, and gives it back.
func checkMemory(e *env) (string, error) {
	debug.FreeOSMemory()
	base := e.backed()
	size := min(e.limit()/3, 128<<20*uint64(e.scale))
	if err := takeMemory(size); err != nil {
		return "", err
	}
	full := e.backed()
	if full < base+size*9/10 {
		return "", fmt.Errorf("before=%dMiB full=%dMiB, want %d MiB taken", base>>20, full>>20, size>>20)
	}
	debug.FreeOSMemory()
	end := e.backed()
	report := fmt.Sprintf("before=%dMiB full=%dMiB given back=%dMiB", base>>20, full>>20, int64(full-end)>>20)
	if end > full || full-end < size*9/10 {
		return "", fmt.Errorf("%s, want %d MiB", report, size>>20)
	}
	return report, nil
}

// takeMemory writes to size bytes of memory, which must be zeros before and keep what was written, and drops them.
func takeMemory(size uint64) error {
	const piece = 1 << 20
	var pieces [][]byte
	for range size / piece {
		p := make([]byte, piece)
		for i := 0; i < piece; i += 4096 {
			if p[i] != 0 || p[i+4095] != 0 {
				return fmt.Errorf("new memory isn't zero")
			}
			p[i], p[i+4095] = byte(len(pieces)), 1
		}
		pieces = append(pieces, p)
	}
	for k, p := range pieces {
		for i := 0; i < piece; i += 4096 {
			if p[i] != byte(k) || p[i+4095] != 1 {
				return fmt.Errorf("piece %d of memory has changed", k)
			}
		}
	}
	return nil
}

// endOutOfMemory grows a heap that is in use until there is no more: Go must report it.
func endOutOfMemory(e *env) {
	if !e.metal {
		if err := limitAddresses(); err != nil {
			say("FAIL oom: %v", err)
			return
		}
	}
	debug.SetGCPercent(400)
	var all [][]byte
	for {
		p := make([]byte, 1<<20)
		for i := 0; i < len(p); i += 4096 {
			p[i] = 1
		}
		all = append(all, p)
		if len(all)%64 == 0 {
			say("holding %d MiB", len(all))
		}
	}
}

// endThrow makes the runtime find a fatal error, while all processors are busy.
func endThrow(*env) {
	m := make(map[int]int)
	for range 8 {
		go func() {
			for i := 0; ; i++ {
				m[i&7] = i
			}
		}()
	}
	time.Sleep(20 * time.Second)
}
