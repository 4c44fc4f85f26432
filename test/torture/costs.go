package main

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"keel/vmkernel/linux"
)

// checkCosts measures what the kernel's work for the runtime costs. It always passes.
func checkCosts(e *env) (string, error) {
	n := 10_000 * e.scale
	measure := func(times int, f func()) time.Duration {
		start := time.Now()
		for range times {
			f()
		}
		return time.Since(start) / time.Duration(times)
	}
	call := measure(n, func() { linuxCall(linux.SYS_GETPID, 0, 0, 0, 0) })
	clock := measure(n, func() { _ = time.Now() })
	fault := measure(n/10, func() { _ = recovered(func() { nilNode.next = nil }) })

	page := measure(1, func() { touchPages(n / 10) }) / time.Duration(n/10)

	// Two threads that wake each other: a futex wake, a switch, a futex wait.
	there, back := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		runtime.LockOSThread()
		for range there {
			back <- struct{}{}
		}
	})
	runtime.LockOSThread()
	turn := measure(n/10, func() { there <- struct{}{}; <-back })
	runtime.UnlockOSThread()
	close(there)
	wg.Wait()

	ticks := func(d time.Duration) string {
		if !e.metal {
			return d.String()
		}
		return fmt.Sprintf("%v=%dticks", d, uint64(d)*(e.info.TSCHz/1000)/1_000_000)
	}
	return fmt.Sprintf("system call=%s clock=%s page=%s panic=%s thread there and back=%s",
		ticks(call), ticks(clock), ticks(page), ticks(fault), ticks(turn)), nil
}
