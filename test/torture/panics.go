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

// faultLate faults behind code that it hasn't run, for whose variables its frame has places: litter has left there what is
// no pointer. The deferred function has the stack move and be searched, where the frame must count as what it is: stopped
// between calls, and going on at its deferred ones. kept is alive there.
//
//go:noinline
func faultLate(p *node, skipped bool) (kept *node, err error) {
	defer func() {
		err, _ = recover().(runtime.Error)
		deep(500)
		runtime.GC()
	}()
	kept = &node{pad: [64]byte{1}}
	if skipped {
		a, b, c := newNode(), newNode(), newNode()
		litter(0)
		sink = int(a.pad[1]) + int(b.pad[2]) + int(c.pad[3])
	}
	p.pad[0] = 7
	return nil, nil
}

//go:noinline
func newNode() *node { return new(node) }

// litter leaves small numbers in n+1 frames' worth of stack.
//
//go:noinline
func litter(n int) int {
	var frame [64]int
	for i := range frame {
		frame[i] = 100 + i
	}
	if n == 0 {
		return frame[sink&63]
	}
	return litter(n-1) + frame[n&63]
}

// checkFrames has faultLate fault on stacks that are new.
func checkFrames(times int) error {
	for range times {
		done := make(chan error, 1)
		go func() {
			litter(2)
			if kept, err := faultLate(nilNode, false); err == nil || kept == nil || kept.pad[0] != 1 {
				done <- fmt.Errorf("a fault behind code that was skipped: %v, and kept is %v", err, kept)
			}
			close(done)
		}()
		if err := <-done; err != nil {
			return err
		}
	}
	return nil
}

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
	if err := errors.Join(append(errs, checkFrames(each/50))...); err != nil {
		return "", err
	}
	return fmt.Sprintf("recovered=%d", each*len(errs)+each/50), nil
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
