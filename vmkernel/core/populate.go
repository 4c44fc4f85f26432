package core

import (
	"sync/atomic"

	"keel/arch/amd64"
	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
)

// Memory that a guest gets.
//
// A machine begins without memory. A piece of it gets zeroed frames when the guest touches it, which the
// upper half answers by populate, or when a device model does, by windowFault. The frames are drawn from
// what was set aside for the machine: its reservation from the start, and what the memory policy grants
// it. So what was granted is there, and nobody is given a page that another could still read. A device
// model can't wait for a grant: it gets what it touches while there are more than scarce frames, the
// machine is overdrawn, and its virtual processors wait until that is granted.

// populate gives the machine memory at gpa where it has none: 2 MiB in one piece if all of them are
// missing and that is to be had, else a page. Where whole is set, no page is given for want of having
// more set aside: what has begun in pages goes on in pages. It is 0 if memory is there now.
func (m *machine) populate(gpa uint64, whole bool) int64 {
	if !m.isRAM(gpa, 1) {
		return -int64(linux.EINVAL)
	}
	m.pages.lock()
	e, level := m.nested(gpa)
	there := *e != 0
	m.pages.unlock()
	if there {
		return 0
	}
	o := memoryOf(m.id)
	size := uint64(amd64.PageSize)
	pa, zero := uint64(0), false
	if base := gpa &^ (amd64.HugeSize - 1); level >= 2 && m.isRAM(base, amd64.HugeSize) {
		if pa, zero = takeBlock(o); pa != 0 {
			size = amd64.HugeSize
			if !zero {
				clear(bytesAt(amd64.DirectMap+uintptr(pa), amd64.HugeSize))
			}
		} else if _, budget := o.holds(); whole && budget < framesPerBlock {
			return -int64(linux.ENOMEM)
		}
	}
	if pa == 0 {
		if pa = allocFrame(o); pa == 0 {
			return -int64(linux.ENOMEM)
		}
	}
	gpa &^= size - 1
	m.pages.lock()
	e, level = m.nested(gpa)
	there = *e != 0 || level == 1 && size != amd64.PageSize // another processor was faster: the guest looks again
	if !there && m.fill(gpa, pa, size) {
		m.pages.unlock()
		return 0
	}
	m.pages.unlock()
	if !there {
		flushAll() // fill may have mapped it for a moment
	}
	o.keep(size/amd64.PageSize, never) // it is still set aside
	if size == amd64.HugeSize {
		freeBlock(pa, o)
	} else {
		freeFrame(pa, o)
	}
	if !there {
		return -int64(linux.ENOMEM)
	}
	return 0
}

// fill maps a piece where nothing is, or fails for want of a table and leaves nothing there. The lock is held.
func (m *machine) fill(gpa, pa, size uint64) bool {
	va := m.window(gpa)
	space.lock.lock()
	ok := mapRangeFor(overheadOf(m.id), va, pa, size, amd64.PTE_W|amd64.PTE_NX)
	space.lock.unlock()
	if ok && m.mapNested(gpa, pa, size) {
		m.resident += size
		if size != amd64.PageSize {
			m.large += size
		}
		return true
	}
	if w, _ := leaf(va); w != nil {
		*w = 0
	}
	return false
}

// back gives the machine the GiB at gpa in one page, zeroing at most backStep bytes a call: 1 is that
// there is more to do, 0 that it is there.
func (m *machine) back(gpa uint64) int64 {
	if m.piece == 0 {
		switch e, level := m.nested(gpa); {
		case gpa&(gib-1) != 0 || !m.isRAM(gpa, gib):
			return -int64(linux.EINVAL)
		case !has1G || !nestedHas1G() || *e != 0 || level < 3:
			return -int64(linux.ENOSYS)
		}
		if m.piece = takeRun(gib/amd64.HugeSize, memoryOf(m.id)); m.piece == 0 {
			return -int64(linux.ENOMEM)
		}
		m.pieceGPA, m.pieceDone = gpa, 0
	}
	for step := 0; m.pieceDone < gib; m.pieceDone += amd64.HugeSize {
		pa := m.piece + m.pieceDone
		if wasZero(pa) {
			continue
		}
		if step == backStep {
			return 1
		}
		step += amd64.HugeSize
		clear(bytesAt(amd64.DirectMap+uintptr(pa), amd64.HugeSize))
	}
	m.pages.lock()
	e, level := m.nested(m.pieceGPA)
	ok := *e == 0 && level >= 3 && m.fill(m.pieceGPA, m.piece, gib)
	if ok && m.resident == m.memory {
		atomic.StoreUint32(&m.holes, 0)
	}
	m.pages.unlock()
	if !ok {
		flushAll()
		memoryOf(m.id).keep(gib/amd64.PageSize, never)
		for k := uint64(0); k < gib; k += amd64.HugeSize {
			freeBlock(m.piece+k, memoryOf(m.id))
		}
	}
	m.piece = 0
	if !ok {
		return -int64(linux.ENOMEM)
	}
	return 0
}

// grant sets more memory aside for the machine, or less of it, and returns how much it holds then.
func (m *machine) grant(bytes int64) int64 {
	o := memoryOf(m.id)
	if bytes > 0 && !o.setAside(uint64(bytes)/amd64.PageSize, spareFrames) {
		return -int64(linux.ENOMEM)
	}
	if bytes < 0 {
		if count, budget := o.holds(); count+budget > m.reserved { // what is reserved stays
			o.letGo(min(uint64(-bytes)/amd64.PageSize, count+budget-m.reserved))
		}
	}
	count, budget := o.holds()
	return int64((count + budget) * amd64.PageSize)
}

// reserve says how much the machine holds at least from now on, in bytes.
func (m *machine) reserve(bytes uint64) int64 {
	if bytes > m.memory {
		return -int64(linux.EINVAL)
	}
	o := memoryOf(m.id)
	n := bytes / amd64.PageSize
	count, budget := o.holds()
	if n > count+budget && !o.setAside(n-count-budget, spareFrames) {
		return -int64(linux.ENOMEM)
	}
	m.reserved = n
	return 0
}

// memoryUse fills a sys.MemoryUse.
func (m *machine) memoryUse(p uintptr) int64 {
	if !ensure(p, memoryUseSize, true) {
		return -int64(linux.EFAULT)
	}
	_, budget := memoryOf(m.id).holds()
	overhead, _ := overheadOf(m.id).holds()
	*at[sys.MemoryUse](p) = sys.MemoryUse{
		Resident: m.resident, Granted: budget * amd64.PageSize, Large: m.large, Overhead: overhead * amd64.PageSize,
	}
	return 0
}

// sampleStep bounds what one call of sample looks at, in entries.
const sampleStep = 1024

// sample counts and clears the accessed flags of the next part of the nested page table. Nobody is made
// to forget translations for it, so a page whose translation stays in use may not count: it is asked
// once in a while, and most are gone then.
func (m *machine) sample(p uintptr) int64 {
	accessed := nestedAccessed()
	if accessed == 0 {
		return -int64(linux.ENOSYS)
	}
	if !ensure(p, 24, true) {
		return -int64(linux.EFAULT)
	}
	end := m.low
	if m.high != 0 {
		end = highStart + m.high
	}
	var seen, touched uint64
	m.pages.lock()
	for steps := 0; steps < sampleStep && m.sampled < end; steps++ {
		e, level := m.nested(m.sampled)
		size := pieceSize(level)
		if *e != 0 {
			seen += size
			if *e&accessed != 0 {
				touched += size
				atomic.AndUint64(e, ^accessed) // the processor sets flags meanwhile
			}
		}
		m.sampled = m.sampled&^(size-1) + size
	}
	last := uint64(0)
	if m.sampled >= end {
		m.sampled, last = 0, 1
	}
	m.pages.unlock()
	out := at[[3]uint64](p)
	out[0], out[1], out[2] = seen, touched, last
	return 0
}

// windowFault is a page fault of the upper half at va, in a window. It says whether there is memory now.
func windowFault(va uintptr) bool {
	machinesLock.lock()
	var found *machine
	var gpa uint64
	for _, addr := range machines {
		if addr == 0 {
			continue
		}
		m := at[machine](addr)
		switch {
		case m.going:
		case m.windowLow != 0 && va-m.windowLow < uintptr(m.low):
			found, gpa = m, uint64(va-m.windowLow)
		case m.windowHigh != 0 && va-m.windowHigh < uintptr(m.high):
			found, gpa = m, highStart+uint64(va-m.windowHigh)
		}
	}
	machinesLock.unlock()
	if found == nil {
		return false
	}
	r := found.populate(gpa, false)
	if r == -int64(linux.ENOMEM) && memoryOf(found.id).setAside(1, scarceFrames) {
		for _, v := range found.vcpus {
			if v != 0 {
				atomic.StoreUint32(&at[vcpu](v).shared().Overdrawn, 1)
			}
		}
		r = found.populate(gpa, false)
	}
	return r == 0
}
