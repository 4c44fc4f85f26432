package main

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
)

type node struct {
	pad  [64]byte
	next *node
}

// recovered runs f and returns the run-time error that it panics with.
func recovered(f func()) (err error) {
	defer func() {
		var re runtime.Error
		if r, ok := recover().(error); ok && errors.As(r, &re) {
			err = re
		}
	}()
	f()
	return nil
}

// Variables, so that the compiler doesn't see what is wrong.
var (
	nilNode *node
	zero    int
	short   = make([]int, 3)
	beyond  = 3
	sink    int
)

// checkPanics recovers from faults of the processor and from failed checks, on all processors at
// once, thousands of times.
func checkPanics(e *env) (string, error) {
	faults := []struct {
		want string
		f    func()
	}{
		{"nil pointer dereference", func() { sink = len(nilNode.next.pad) + int(nilNode.next.pad[0]) }},
		{"nil pointer dereference", func() { nilNode.next = nil }},
		{"integer divide by zero", func() { sink = 10 / zero }},
		{"index out of range [3] with length 3", func() { sink = short[beyond] }},
	}
	each := 500 + 500*e.scale
	var wg sync.WaitGroup
	errs := make([]error, 2*e.cpus)
	for w := range errs {
		wg.Go(func() {
			for i := range each {
				c := &faults[(i+w)%len(faults)]
				if err := recovered(c.f); err == nil || !strings.Contains(err.Error(), c.want) {
					errs[w] = fmt.Errorf("got %v, want %q", err, c.want)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	return fmt.Sprintf("recovered=%d", each*len(errs)), nil
}

// deep recurses n times with a frame of its own each, and returns n.
func deep(n int) int {
	var frame [16]int
	frame[n&15] = n
	if n == 0 {
		return 0
	}
	return deep(n-1) + 1 + frame[n&15] - n
}

// checkStacks grows stacks by deep recursion, several at once, and lets the collector shrink them.
func checkStacks(e *env) (string, error) {
	depth := 10_000 * min(e.scale, 20)
	var wg sync.WaitGroup
	errs := make([]error, e.cpus+1)
	for i := range errs {
		wg.Go(func() {
			for range 3 {
				if got := deep(depth); got != depth {
					errs[i] = fmt.Errorf("recursion of depth %d returned %d", depth, got)
				}
				runtime.GC()
			}
		})
	}
	wg.Wait()
	return fmt.Sprintf("goroutines=%d depth=%d", len(errs), depth), errors.Join(errs...)
}
