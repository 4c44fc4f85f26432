package core

import (
	"sync/atomic"

	"keel/arch/amd64"
	"keel/arch/amd64/svm"
	"keel/arch/amd64/vmx"
	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
)

// Memory that a guest gives back.
//
// A piece that is released is mapped nowhere, as before it was first touched: not in the nested page table, so that the
// guest's next touch is an exit, and not in the upper half's window, so that a device model's is a page fault. Either has it
// populated, see populate.go. A frame is freed once every processor has dropped what it cached of both tables,
// which it says with interrupts off only when it has left the guest and whatever it did for it: so the lower half may use
// what it found in the tables until it next takes interrupts.
//
// Releasing a part of a large page splits that, for good. Nothing in a table is replaced but what isn't present, so that
// populating needs no processor to drop anything. To join a page again its frames would have to be copied into one block, since
// those that were given back singly have become others': 262,144 ticks in Bochs, 3 ms there, in which the guest has to be kept
// from writing there and all processors made to forget twice. Where that would pay, a balloon that takes pages singly would
// split it again; free page reports, which come in blocks of 2 MiB and more, split nothing.

// releaseStep bounds what one call looks at: pages and blocks together.
const releaseStep = flushBatch

// unmappedBlock marks a block of 2 MiB among the frames on their way out.
const unmappedBlock = 1

var (
	nestedGen  uint32          // atomic: counts the times that nested page tables were narrowed
	nestedDone [maxCPUs]uint32 // the count that each processor has followed
)

// forgetNested drops what the calling processor cached of nested page tables that were narrowed since it last did.
func (c *cpu) forgetNested() {
	if gen := atomic.LoadUint32(&nestedGen); nestedDone[c.id] != gen {
		if virtKind == sys.VirtVTX {
			vmx.INVEPTAll()
		}
		nestedDone[c.id] = gen
	}
}

// narrowNested makes all processors forget, and returns when they have.
func (m *machine) narrowNested() {
	if virtKind == sys.VirtAMDV {
		svm.INVEPT(m.root) // at the next entry
	}
	atomic.AddUint32(&nestedGen, 1)
	me().forgetNested()
	flushAll()
}

// isRAM says whether the machine's memory has [gpa, gpa+n).
func (m *machine) isRAM(gpa, n uint64) bool {
	switch {
	case n == 0:
		return false
	case gpa < m.low:
		return n <= m.low-gpa
	}
	return gpa >= highStart && gpa-highStart < m.high && n <= m.high-(gpa-highStart)
}

// window is where the upper half sees RAM at gpa.
func (m *machine) window(gpa uint64) uintptr {
	if gpa < m.low {
		return m.windowLow + uintptr(gpa)
	}
	return m.windowHigh + uintptr(gpa-highStart)
}

// nested finds the entry of the nested page table for gpa and its level: that of the page which is mapped there, or the
// highest that is empty.
func (m *machine) nested(gpa uint64) (e *uint64, level int) {
	table := m.root
	for l := 4; ; l-- {
		e = &phys[page](table)[gpa>>(12+9*uint(l-1))&511]
		if *e == 0 || l == 1 || *e&amd64.PTE_PS != 0 {
			return e, l
		}
		table = *e & amd64.PTE_ADDR
	}
}

// pieceSize is how much an entry at a level maps.
func pieceSize(level int) uint64 { return amd64.PageSize << (9 * uint(level-1)) }

// vmRelease gives back what lies in the n ranges at p, in their order, and returns how many bytes it has dealt with: what
// was given back before counts too. All processors are made to forget but once.
func (m *machine) vmRelease(p uintptr, n uint64) int64 {
	if n == 0 || n > sys.MaxRanges {
		return -int64(linux.EINVAL)
	}
	if !ensure(p, uintptr(n)*rangeSize, false) {
		return -int64(linux.EFAULT)
	}
	if virtKind == sys.VirtVTX && !vmx.HasINVEPTAll() {
		return -int64(linux.ENOSYS)
	}
	if atomic.SwapUint32(&m.holes, 1) == 0 {
		flushAll() // from here on nobody relies on the window: see word
	}
	c := me()
	done, count := uint64(0), 0
	err, left := int64(0), 2*releaseStep
	m.pages.lock()
	for i := uint64(0); i < n && err == 0 && left > 0 && count < releaseStep; i++ {
		r := at[sys.Range](p + uintptr(i)*rangeSize)
		gpa, size := r.GPA, r.Bytes
		if (gpa|size)&(amd64.PageSize-1) != 0 || !m.isRAM(gpa, size) {
			err = -int64(linux.EINVAL)
			break
		}
		for end := gpa + size; gpa < end && err == 0 && left > 0 && count < releaseStep; left-- {
			var had, pa uint64
			had, pa, err = m.unmapPiece(gpa, end-gpa)
			if pa != 0 {
				c.unmapped[count] = pa
				count++
			}
			gpa, done = gpa+had, done+had
		}
	}
	m.pages.unlock()
	return m.freeUnmapped(c, count, done, err)
}

// unmapPiece unmaps the first piece of n bytes at gpa, if there is any, and returns its size and its frame or block; 0 of
// both is that a large page was split for it. The lock is held.
func (m *machine) unmapPiece(gpa, n uint64) (had, pa uint64, err int64) {
	e, level := m.nested(gpa)
	size := pieceSize(level)
	at := gpa & (size - 1)
	switch {
	case *e == 0:
		return min(size-at, n), 0, 0
	case level > 2 || at != 0 || n < size:
		if !m.split(e, level, gpa) {
			return 0, 0, -int64(linux.ENOMEM)
		}
		return 0, 0, 0
	}
	w, _ := leaf(m.window(gpa))
	if w == nil { // it is mapped at all or not at all
		return 0, 0, -int64(linux.EINVAL)
	}
	pa = *e & amd64.PTE_ADDR
	if level == 2 {
		pa |= unmappedBlock
		m.large -= size
	}
	*e, *w = 0, 0
	m.resident -= size
	return size, pa, 0
}

// freeUnmapped frees what was unmapped, when nobody can reach it any more. It returns what was done, or err if that is
// nothing.
func (m *machine) freeUnmapped(c *cpu, count int, done uint64, err int64) int64 {
	if count != 0 {
		m.narrowNested()
	}
	o := memoryOf(m.id)
	for i := 0; i < count; i++ {
		if pa := c.unmapped[i]; pa&unmappedBlock != 0 {
			o.keep(framesPerBlock, m.reserved)
			freeBlock(pa&^unmappedBlock, o)
		} else {
			o.keep(1, m.reserved)
			freeFrame(pa, o)
		}
	}
	if done == 0 && err != 0 {
		return err
	}
	return int64(done)
}

// split makes a page of the nested page table at level 2 or 3, and the window's over it, ones of the next lower size. The
// window's page may be smaller already: it is a large one only where both tables could have it.
func (m *machine) split(e *uint64, level int, gpa uint64) bool {
	o := overheadOf(m.id)
	nested, window := allocFrame(o), allocFrame(o)
	if nested == 0 || window == 0 {
		if nested != 0 {
			freeFrame(nested, o)
		}
		if window != 0 {
			freeFrame(window, o)
		}
		return false
	}
	pa, sub := *e&amd64.PTE_ADDR, pieceSize(level-1)
	for i := 0; i < 512; i++ {
		phys[page](nested)[i] = nestedEntry(pa+uint64(i)*sub, level-1)
	}
	used := false
	space.lock.lock()
	if w := pte(m.window(gpa), level, false); w != nil && *w&amd64.PTE_PS != 0 {
		flags := *w &^ (amd64.PTE_ADDR | amd64.PTE_PS)
		if level == 3 {
			flags |= amd64.PTE_PS
		}
		for i := 0; i < 512; i++ {
			phys[page](window)[i] = *w&amd64.PTE_ADDR + uint64(i)*sub | flags
		}
		*w = window | amd64.PTE_P | amd64.PTE_W
		used = true
	}
	space.lock.unlock()
	*e = nestedEntry(nested, 0)
	if !used {
		freeFrame(window, o)
	}
	if level == 2 {
		m.large -= amd64.HugeSize
	}
	return true
}
