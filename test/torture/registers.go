package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// floats keeps eight numbers in vector registers through a loop without calls.
func floats(n int, s float64) [8]float64 {
	a, b, c, d := s, s+1, s+2, s+3
	e, f, g, h := s+4, s+5, s+6, s+7
	for range n {
		a, b = math.FMA(b, 0.5, a*0.5), b*0.999+0.001
		c, d = c*0.5+d*0.5, d*0.998+0.002
		e, f = e*0.5+f*0.5, f*0.997+0.003
		g, h = g*0.5+h*0.5, h*0.996+0.004
	}
	return [8]float64{a, b, c, d, e, f, g, h}
}

// checkRegisters computes with vector registers on more goroutines than there are processors, while
// all of them are pre-empted and collected, and compares with the result of an undisturbed run.
func checkRegisters(e *env) (string, error) {
	n := 200_000 * e.scale
	text := bytes.Repeat([]byte("keel"), 4096)
	workers := 2*e.cpus + 1
	wantFloats := make([][8]float64, workers)
	for i := range wantFloats {
		wantFloats[i] = floats(n, float64(i))
	}
	wantHash := sha256.Sum256(text)

	var stop atomic.Bool
	var rounds, bad atomic.Int64
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for !stop.Load() {
				if floats(n, float64(i)) != wantFloats[i] || sha256.Sum256(text) != wantHash {
					bad.Add(1)
				}
				rounds.Add(1)
			}
		})
	}
	for range 5 * e.scale {
		runtime.GC()
		time.Sleep(2 * time.Millisecond)
	}
	stop.Store(true)
	wg.Wait()
	if bad.Load() != 0 {
		return "", fmt.Errorf("%d of %d computations came out wrong", bad.Load(), rounds.Load())
	}
	return fmt.Sprintf("goroutines=%d computations=%d", workers, rounds.Load()), nil
}
