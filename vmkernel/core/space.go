package core

import (
	"keel/arch/amd64"
	"keel/vmkernel/linux"
)

// The upper half's address space is a sorted list of regions: what it reserved, mapped and may
// touch. Memory is backed by zeroed frames when it is first touched, but counted against what there
// is when it is mapped, so that Go's own out-of-memory report comes from mmap and never a fault.
const (
	maxRegions = 2048
	spaceLow   = 0x10000
	spaceHigh  = 0x7FFF_FFFF_F000
	mmapBase   = 0x7000_0000_0000 // where mappings without a hint start
)

type regionKind uint8

const (
	regionAnon   regionKind = iota // reserved or memory
	regionFixed                    // frames that the lower half put there: modules, guest memory, devices
	regionGoing                    // being unmapped
	regionSparse                   // variables, and the Go runtime's index of its heap: touched here and there
)

type region struct {
	start, end uintptr
	write      bool // readable and writable; else reserved only
	kind       regionKind
}

var space struct {
	lock    spinlock
	n       int
	regions [maxRegions]region
	limit   uint64 // pages that the upper half may map
	mapped  uint64 // pages that it has mapped: promised, or in a sparse region and backed
	backed  uint64 // of those, pages with a frame
	next    uintptr
	indexed bool // the runtime's index has been mapped
}

// find is the index of the first region that ends above va.
func findRegion(va uintptr) int {
	lo, hi := 0, space.n
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if space.regions[mid].end > va {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// carve removes [start, end) from the regions, so that a new one may take its place. It needs two
// free slots.
func carve(start, end uintptr) {
	i := findRegion(start)
	for i < space.n && space.regions[i].start < end {
		r := &space.regions[i]
		switch {
		case r.start < start && r.end > end: // split
			insertRegion(i + 1)
			space.regions[i+1] = space.regions[i]
			space.regions[i].end = start
			space.regions[i+1].start = end
			return
		case r.start < start:
			r.end = start
			i++
		case r.end > end:
			r.start = end
			return
		default:
			removeRegion(i)
		}
	}
}

func insertRegion(i int) {
	for k := space.n; k > i; k-- {
		space.regions[k] = space.regions[k-1]
	}
	space.n++
}

func removeRegion(i int) {
	space.n--
	for k := i; k < space.n; k++ {
		space.regions[k] = space.regions[k+1]
	}
}

// addRegion puts r in its place, joined with its neighbours where they are alike.
func addRegion(start, end uintptr, write bool, kind regionKind) {
	i := findRegion(start)
	if i > 0 {
		if p := &space.regions[i-1]; p.end == start && p.write == write && p.kind == kind && kind == regionAnon {
			p.end = end
			if i < space.n {
				if q := &space.regions[i]; q.start == end && q.write == write && q.kind == kind {
					p.end = q.end
					removeRegion(i)
				}
			}
			return
		}
	}
	if i < space.n {
		if q := &space.regions[i]; q.start == end && q.write == write && q.kind == kind && kind == regionAnon {
			q.start = start
			return
		}
	}
	insertRegion(i)
	space.regions[i] = region{start, end, write, kind}
}

// freeRange finds n bytes of address space that no region touches, after the last such find.
func freeRange(n uintptr) uintptr {
	va := space.next
	for i := findRegion(va); i < space.n && space.regions[i].start < va+n; i++ {
		va = (space.regions[i].end + amd64.HugeSize - 1) &^ (amd64.HugeSize - 1)
	}
	if va+n > spaceHigh {
		return 0
	}
	space.next = va + n
	return va
}

func overlaps(start, end uintptr) bool {
	i := findRegion(start)
	return i < space.n && space.regions[i].start < end
}

// writablePages counts the pages of [start, end) that are mapped as memory.
func writablePages(start, end uintptr) uint64 {
	n := uint64(0)
	for i := findRegion(start); i < space.n && space.regions[i].start < end; i++ {
		r := &space.regions[i]
		if r.write && r.kind == regionAnon {
			n += uint64(min(r.end, end)-max(r.start, start)) / amd64.PageSize
		}
	}
	return n
}

const (
	protRW       = linux.PROT_READ | linux.PROT_WRITE
	mapFixed     = linux.MAP_FIXED
	mapAnonymous = linux.MAP_ANONYMOUS
	madviseFree  = 8 // MADV_FREE: not in package syscall
)

// indexSize is the size of the table in which the Go runtime finds the 64 MiB arenas of its heap: a
// word for each in 48 bits of addresses. It is mapped once and for all at the start and touched in
// a few pages, so these are taken when needed, and the rest isn't counted. The same goes for the
// image's variables behind loadedLimit, and for what is mapped with MAP_NORESERVE.
const indexSize = 1 << (48 - 26) * 8

// sysMmap is mmap(2) for anonymous private memory.
func sysMmap(addr, length uintptr, prot, flags uint64) int64 {
	if flags&mapAnonymous == 0 {
		return -int64(linux.ENODEV)
	}
	if length == 0 || length > spaceHigh || addr&(amd64.PageSize-1) != 0 || addr > spaceHigh {
		return -int64(linux.EINVAL)
	}
	n := (length + amd64.PageSize - 1) &^ (amd64.PageSize - 1)
	write := prot&protRW != 0
	space.lock.lock()
	if space.n+3 > maxRegions {
		space.lock.unlock()
		return -int64(linux.ENOMEM)
	}
	switch {
	case flags&mapFixed != 0:
		if addr < spaceLow || addr+n > spaceHigh || overlapsFixed(addr, addr+n) {
			space.lock.unlock()
			return -int64(linux.EINVAL)
		}
	case addr < spaceLow || addr+n > spaceHigh || overlaps(addr, addr+n) || inImage(addr, addr+n):
		if addr = freeRange(n); addr == 0 {
			space.lock.unlock()
			return -int64(linux.ENOMEM)
		}
	}
	if index := n == indexSize && flags&mapFixed == 0 && !space.indexed; write && (index || flags&linux.MAP_NORESERVE != 0 && !overlaps(addr, addr+n)) {
		space.indexed = space.indexed || index
		addRegion(addr, addr+n, true, regionSparse)
		space.lock.unlock()
		return int64(addr)
	}
	had := writablePages(addr, addr+n)
	want := uint64(0)
	if write {
		want = uint64(n) / amd64.PageSize
		if space.mapped+want-had > space.limit || !promise(want) {
			space.lock.unlock()
			return -int64(linux.ENOMEM)
		}
	}
	space.mapped += want - had
	carve(addr, addr+n)
	if had != 0 {
		vacate(addr, addr+n, had)
	}
	addRegion(addr, addr+n, write, regionAnon)
	space.lock.unlock()
	return int64(addr)
}

// sysMunmap is munmap(2).
func sysMunmap(addr, length uintptr) int64 {
	if addr&(amd64.PageSize-1) != 0 || length == 0 || addr > spaceHigh || length > spaceHigh {
		return -int64(linux.EINVAL)
	}
	end := addr + (length+amd64.PageSize-1)&^(amd64.PageSize-1)
	space.lock.lock()
	if space.n+3 > maxRegions {
		space.lock.unlock()
		return -int64(linux.ENOMEM)
	}
	if overlapsFixed(addr, end) {
		space.lock.unlock()
		return -int64(linux.EINVAL)
	}
	had := writablePages(addr, end)
	space.mapped -= had
	carve(addr, end)
	if had != 0 {
		vacate(addr, end, had)
	}
	space.lock.unlock()
	return 0
}

// vacate takes the frames of [start, end) back, of which had pages were promised. The range is in
// no region before and after, and in one of its own meanwhile, so that nobody maps or backs it
// while the lock is open.
func vacate(start, end uintptr, had uint64) {
	addRegion(start, end, false, regionGoing)
	space.lock.unlock()
	unback(start, end, true)
	unpromise(had)
	space.lock.lock()
	removeRegion(findRegion(start))
}

// sysMadvise gives the frames of MADV_DONTNEED and MADV_FREE back; their pages read as zero then.
func sysMadvise(addr, length uintptr, advice uint64) int64 {
	switch advice {
	case linux.MADV_DONTNEED, madviseFree:
		end := addr + (length+amd64.PageSize-1)&^(amd64.PageSize-1)
		if addr&(amd64.PageSize-1) != 0 || end < addr || end > spaceHigh {
			return -int64(linux.EINVAL)
		}
		space.lock.lock()
		i := findRegion(addr)
		sparse := i < space.n && space.regions[i].kind == regionSparse && space.regions[i].start <= addr && space.regions[i].end >= end
		bad := !sparse && overlapsFixed(addr, end)
		space.lock.unlock()
		if bad || inImage(addr, end) {
			return -int64(linux.EINVAL)
		}
		unback(addr, end, !sparse)
		return 0
	case linux.MADV_HUGEPAGE, linux.MADV_NOHUGEPAGE:
		return 0
	}
	return -int64(linux.EINVAL)
}

// overlapsFixed says whether there is in [start, end) what the upper half may not unmap. The lock
// is held.
func overlapsFixed(start, end uintptr) bool {
	for i := findRegion(start); i < space.n && space.regions[i].start < end; i++ {
		if space.regions[i].kind != regionAnon {
			return true
		}
	}
	return inImage(start, end)
}

// back gives the page at va a frame if it is the upper half's memory and has none yet. It says
// whether the page is there then, writable if write is set, so that an access may be repeated.
func back(va uintptr, write bool) bool {
	if va < spaceLow || va >= spaceHigh {
		return false
	}
	va &^= amd64.PageSize - 1
	if va >= windowBase && va < windowEnd {
		if e, _ := leaf(va); e == nil || *e&amd64.PTE_P == 0 {
			return windowFault(va)
		}
	}
	pa := allocFrame(ownerUpper) // outside the lock: zeroing takes its time
	space.lock.lock()
	ok, used := backWith(va, pa, write)
	space.lock.unlock()
	if pa != 0 && !used {
		freeFrame(pa, ownerUpper)
	}
	return ok
}

// backWith is back with a frame at hand, 0 for none. The lock is held.
func backWith(va uintptr, pa uint64, write bool) (ok, used bool) {
	i := findRegion(va)
	if i == space.n || space.regions[i].start > va || !space.regions[i].write {
		return false, false
	}
	kind := space.regions[i].kind
	if kind != regionAnon && kind != regionSparse {
		e, _ := leaf(va)
		return e != nil && *e&amd64.PTE_P != 0 && (!write || *e&amd64.PTE_W != 0), false
	}
	e := pte(va, 1, true)
	if e == nil || pa == 0 {
		return false, false
	}
	if *e&amd64.PTE_P != 0 {
		return true, false // another processor was faster
	}
	if kind == regionSparse {
		if space.mapped >= space.limit {
			return false, false
		}
		space.mapped++
	} else {
		unpromise(1)
	}
	*e = pa | amd64.PTE_P | amd64.PTE_W | amd64.PTE_NX
	space.backed++
	return true, true
}

// ensure says whether the upper half's [addr, addr+n) may be read, or written where write is set,
// and backs it, so that the lower half can touch it without a fault.
func ensure(addr, n uintptr, write bool) bool {
	if addr < spaceLow || n > spaceHigh || addr > spaceHigh-n {
		return false
	}
	for va := addr &^ (amd64.PageSize - 1); va < addr+n; va += amd64.PageSize {
		if e, _ := leaf(va); e != nil && *e&amd64.PTE_P != 0 && (!write || *e&amd64.PTE_W != 0) {
			continue
		}
		if !back(va, write) {
			return false
		}
	}
	return true
}

// mapFixedRegion maps frames at a fresh place in the upper half's address space, and returns that.
func mapFixedRegion(pa, n, flags uint64) uintptr {
	space.lock.lock()
	va := uintptr(0)
	if space.n+3 <= maxRegions {
		if va = freeRange(uintptr(n)); va != 0 {
			addRegion(va, va+uintptr(n), true, regionFixed)
			if !mapRange(va, pa, n, flags|amd64.PTE_NX) {
				va = 0
			}
		}
	}
	space.lock.unlock()
	return va
}
