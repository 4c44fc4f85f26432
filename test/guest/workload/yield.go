package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// What checkYield takes at once, and when: above more bytes that are available it takes a chunk, below less it gives one
// back.
const (
	chunk = 4 << 20
	more  = 24 << 20
	less  = 14 << 20
)

// checkYield wants all the memory there is, for a while, and gives back what the kernel runs short of, as caches do: with a
// balloon beside it, it has what the host leaves it. All that it takes must be zero, and keep what is written to it.
//
// It is told by lines on its console: it begins with `busy`, after `idle` it takes no more and touches nothing of what it holds, and
// `end` ends it.
func checkYield(o options) (string, error) {
	if err := loadModules(); err != nil {
		return "", err
	}
	const page = 4096 / 8
	var held [][]uint64
	var maps [][]byte
	most, taken, given := 0, uint64(0), 0
	verify := func(i int, end func(k int) uint64) error {
		for k := 0; k < len(held[i]); k += page {
			if v := held[i][k]; v != end(k) {
				return fmt.Errorf("page %d of a chunk holds %#x, was written as %#x", k/page, v, end(k))
			}
		}
		return nil
	}
	value := func(i int) func(k int) uint64 {
		return func(k int) uint64 { return mix(uint64(i)<<32 | uint64(k)) }
	}
	lines, word := typed(), ""
	for begin := time.Now(); time.Since(begin) < o.wait && word != "end"; time.Sleep(5 * time.Millisecond) {
		select {
		case word = <-lines:
			fmt.Println("WORKLOAD yield is told", word)
		default:
		}
		switch available := memInfo("MemAvailable:") << 10; {
		case available > more && word == "busy":
			b, err := syscall.Mmap(-1, 0, chunk, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
			if err != nil {
				return "", fmt.Errorf("mmap: %w", err)
			}
			w := words(b)
			for k, v := range w {
				if v != 0 {
					return "", fmt.Errorf("new memory holds %#x at byte %#x", v, 8*k)
				}
			}
			for k := 0; k < len(w); k += page {
				w[k] = value(len(held))(k)
			}
			held, maps = append(held, w), append(maps, b)
			taken += chunk
			most = max(most, len(held))
		case available < less && len(held) > 0:
			last := len(held) - 1
			if err := verify(last, value(last)); err != nil {
				return "", err
			}
			if err := syscall.Munmap(maps[last]); err != nil {
				return "", fmt.Errorf("munmap: %w", err)
			}
			held, maps = held[:last], maps[:last]
			given++
		}
		for i := 0; i < len(held) && word == "busy"; i++ { // all of it is in use
			if err := verify(i, value(i)); err != nil {
				return "", err
			}
		}
	}
	for i := range held {
		if err := verify(i, value(i)); err != nil {
			return "", err
		}
		if err := syscall.Munmap(maps[i]); err != nil {
			return "", fmt.Errorf("munmap: %w", err)
		}
	}
	return fmt.Sprintf("held=%dMiB most=%dMiB taken=%dMiB given=%dMiB", len(held)*chunk>>20, most*chunk>>20, taken>>20, given*chunk>>20), nil
}

// typed returns the lines that are typed on the console.
func typed() <-chan string {
	lines := make(chan string)
	go func() {
		for s := bufio.NewScanner(os.Stdin); s.Scan(); {
			lines <- strings.TrimSpace(s.Text())
		}
	}()
	return lines
}
