package core

import "keel/arch/amd64"

// Where the upper half sees a machine's memory.

// reserveWindows sets address space of the upper half aside for the machine's memory: aligned to
// 1 GiB, so that its page tables are its own.
func (m *machine) reserveWindows() bool {
	space.lock.lock()
	ok := space.n+4 <= maxRegions
	if ok {
		m.windowLow = reserveWindow(m.low)
		ok = m.windowLow != 0
	}
	if ok && m.high != 0 {
		m.windowHigh = reserveWindow(m.high)
		ok = m.windowHigh != 0
	}
	space.lock.unlock()
	return ok
}

// Windows lie above all other mappings of the upper half.
const (
	windowBase = 0x7800_0000_0000
	windowEnd  = 0x7F00_0000_0000
)

// reserveWindow finds a free place of n bytes, rounded up to 1 GiB. The space's lock is held.
func reserveWindow(n uint64) uintptr {
	n = (n + gib - 1) &^ (gib - 1)
	for va := uintptr(windowBase); va+uintptr(n) <= windowEnd; {
		i := findRegion(va)
		if i == space.n || space.regions[i].start >= va+uintptr(n) {
			addRegion(va, va+uintptr(n), true, regionFixed)
			return va
		}
		va = (space.regions[i].end + gib - 1) &^ (gib - 1)
	}
	return 0
}

// hideWindow unmaps a window, which takes effect once all processors have flushed.
func hideWindow(va uintptr, n uint64) {
	if va == 0 {
		return
	}
	n = (n + gib - 1) &^ (gib - 1)
	space.lock.lock()
	for a := va; a < va+uintptr(n); a += gib {
		if e := pte(a, 3, false); e != nil {
			*e &^= amd64.PTE_P
		}
	}
	space.lock.unlock()
}

// dropWindow gives the address space and page tables of the window at *va back, which are o's, and has *va be 0 once all is done.
// It was hidden, and no processor knows those tables any more. left is how many page frames it may free; what it returns is how
// many are left then.
func dropWindow(va *uintptr, n uint64, o owner, left int) int {
	if *va == 0 || left <= 0 {
		return left
	}
	end := *va + uintptr((n+gib-1)&^(gib-1))
	space.lock.lock()
	for a := *va; a < end && left > 0; a += gib {
		e := pte(a, 3, false)
		if e == nil || *e == 0 {
			continue
		}
		if *e&amd64.PTE_PS == 0 {
			if left = dropDirectory(*e&amd64.PTE_ADDR, o, left); left <= 0 {
				break
			}
		}
		*e = 0
	}
	if left > 0 {
		carve(*va, end)
		*va = 0
	}
	space.lock.unlock()
	return left
}

// dropDirectory gives a page directory and its tables back, or as many of them as left says, and returns how many are left then:
// above 0 if all are.
func dropDirectory(pd uint64, o owner, left int) int {
	for i := 0; i < 512 && left > 0; i++ {
		if d := &phys[page](pd)[i]; *d&amd64.PTE_P != 0 && *d&amd64.PTE_PS == 0 {
			freeFrame(*d&amd64.PTE_ADDR, o)
			*d = 0
			left--
		}
	}
	if left > 0 {
		freeFrame(pd, o)
	}
	return left
}
