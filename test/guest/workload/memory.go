package main

import (
	"fmt"
	"sync/atomic"
	"syscall"
)

// keep is what checkMemory leaves to everything else, bytes.
const keep = 20 << 20

// mix makes a value that no neighbour has of a number (the finaliser of MurmurHash3).
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xFF51AFD7ED558CCD
	x ^= x >> 33
	return x
}

// checkMemory fills nearly all free memory with values that follow from their place, from all
// processors, and then reads it on other processors than wrote it.
func checkMemory(o options) (string, error) {
	size := memInfo("MemAvailable:") << 10
	if free := memInfo("MemFree:") << 10; free < size {
		size = free // caches needn't be given up for this
	}
	if size < 2*keep {
		return "", fmt.Errorf("only %d KiB are free", size>>10)
	}
	const page = 4096
	size = (size - keep) &^ (page - 1)
	memory, err := syscall.Mmap(-1, 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return "", fmt.Errorf("mmap of %d MiB: %w", size>>20, err)
	}
	// Small pages: with large ones the last of the memory would be found by moving everything else.
	// Taken by one thread: several that allocate spin for each other's locks, for minutes where a
	// guest has more processors than its host.
	const noHugePage, populateWrite = 15, 23
	for _, advice := range []int{noHugePage, populateWrite} {
		if err := syscall.Madvise(memory, advice); err != nil {
			return "", fmt.Errorf("madvise %d: %w", advice, err)
		}
	}
	all := words(memory)
	n := cpus()
	part := func(i int) (from, to int) { return len(all) / n * i, len(all)/n*(i+1) + (i+1)/n*(len(all)%n) }
	own := func(i int) int { return i }

	if err := onEach(n, own, func(i int) error {
		from, to := part(i)
		for k, v := range all[from:to] {
			if v != 0 {
				return fmt.Errorf("new memory holds %#x at byte %#x", v, 8*(from+k))
			}
			all[from+k] = mix(uint64(from + k))
		}
		return nil
	}); err != nil {
		return "", err
	}
	var sum atomic.Uint64
	if err := onEach(n, own, func(i int) error {
		from, to := part((i + 1) % n)
		s := uint64(0)
		for k, v := range all[from:to] {
			if v != mix(uint64(from+k)) {
				return fmt.Errorf("byte %#x: %#x, was written as %#x", 8*(from+k), v, mix(uint64(from+k)))
			}
			s = s<<1 | s>>63
			s ^= v
		}
		sum.Add(s)
		return nil
	}); err != nil {
		return "", err
	}
	return fmt.Sprintf("%dMiB sum=%016x", size>>20, sum.Load()), syscall.Munmap(memory)
}
