package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// checkContention has goroutines fight for channels and locks, and counts.
func checkContention(e *env) (string, error) {
	n := 2000 * e.scale
	const workers = 16
	var wg sync.WaitGroup

	var mu sync.Mutex
	var rw sync.RWMutex
	counter, guarded := 0, 0
	for range workers {
		wg.Go(func() {
			for i := range n {
				mu.Lock()
				counter++
				mu.Unlock()
				if i%8 == 0 {
					rw.Lock()
					guarded++
					rw.Unlock()
				} else {
					rw.RLock()
					_ = guarded
					rw.RUnlock()
				}
			}
		})
	}
	wg.Wait()
	if want := workers * n; counter != want || guarded != workers*((n+7)/8) {
		return "", fmt.Errorf("counted %d and %d under locks, want %d and %d", counter, guarded, want, workers*((n+7)/8))
	}

	// A number that goes round a ring of unbuffered channels, and a fan-in by select.
	ring := make([]chan int, workers)
	for i := range ring {
		ring[i] = make(chan int)
	}
	done := make(chan struct{})
	for i := range ring {
		go func() {
			for {
				select {
				case v := <-ring[i]:
					if v == 0 {
						close(done)
						return
					}
					ring[(i+1)%workers] <- v - 1
				case <-done:
					return
				}
			}
		}()
	}
	hops := n * 4
	start := now()
	ring[0] <- hops
	<-done
	perHop := (now() - start) / time.Duration(hops)

	var sum atomic.Int64
	left, right, quit := make(chan int), make(chan int, 4), make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case v := <-left:
					sum.Add(int64(v))
				case v := <-right:
					sum.Add(int64(v))
				case <-quit:
					return
				}
			}
		})
	}
	for range workers {
		wg.Go(func() {
			for range n {
				select {
				case left <- 1:
				case right <- 1:
				}
			}
		})
	}
	wg.Wait()
	for len(right) > 0 {
		runtime.Gosched()
	}
	close(quit)
	readers.Wait()
	if want := int64(workers * n); sum.Load() != want {
		return "", fmt.Errorf("%d values came through, want %d", sum.Load(), want)
	}
	return fmt.Sprintf("locked=%d hops=%d at %v selected=%d", counter+workers*n, hops, perHop, workers*n), nil
}

// checkThreads makes and ends threads, and has many at once that wait for each other.
func checkThreads(e *env) (string, error) {
	made := 100 + 100*e.scale
	for i := range made {
		done := make(chan int)
		go func() {
			runtime.LockOSThread() // and ends with it: the thread ends too
			done <- i
		}()
		if got := <-done; got != i {
			return "", fmt.Errorf("thread %d answered %d", i, got)
		}
	}
	const together = 40
	turn := sync.NewCond(new(sync.Mutex))
	at := 0
	var wg sync.WaitGroup
	for i := range together {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for round := range 3 {
				turn.L.Lock()
				for at != round*together+i {
					turn.Wait()
				}
				at++
				turn.L.Unlock()
				turn.Broadcast()
			}
		})
	}
	wg.Wait()
	if at != 3*together {
		return "", fmt.Errorf("%d turns, want %d", at, 3*together)
	}
	n, err := collectionsAtLimit()
	return fmt.Sprintf("made=%d together=%d collections at the limit=%d", made, together, n), err
}

// collectionsAtLimit counts collections while 16 MiB are allocated, with room for four times as much: the runtime must not
// count its threads' stacks as memory in use, or it would collect without end.
func collectionsAtLimit() (uint32, error) {
	const size, most = 16 << 20, 30
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(int64(m.HeapSys-m.HeapReleased) + 4*size))
	before := m.NumGC
	for range size / 4096 {
		filled = make([]byte, 4096)
	}
	runtime.ReadMemStats(&m)
	if n := m.NumGC - before; n > most {
		return n, fmt.Errorf("%d collections while %d MiB were allocated, want %d at most", n, size>>20, most)
	}
	return m.NumGC - before, nil
}

var filled []byte
