package core

import "keel/arch/amd64"

// kernelRoot is the physical address of the page tables that all processors share.
var kernelRoot uint64

// entry finds the page-table entry that maps va at a level (1: 4 KiB, 2: 2 MiB, 3: 1 GiB), making
// the tables above it where create is set. nil means: none there, no memory, or a larger page.
func pte(va uintptr, level int, create bool) *uint64 {
	return pteFor(ownerKeel, va, level, create)
}

// pteFor is pte where tables are o's, but for those of the third level: they may serve several owners.
func pteFor(o owner, va uintptr, level int, create bool) *uint64 {
	table := kernelRoot
	for l := 4; ; l-- {
		e := &phys[page](table)[va>>(12+9*uint(l-1))&511]
		if l == level {
			return e
		}
		if *e&amd64.PTE_P == 0 {
			if !create {
				return nil
			}
			whose := o
			if l == 4 {
				whose = ownerKeel
			}
			pa := allocFrame(whose)
			if pa == 0 {
				return nil
			}
			*e = pa | amd64.PTE_P | amd64.PTE_W
		} else if *e&amd64.PTE_PS != 0 {
			return nil
		}
		table = *e & amd64.PTE_ADDR
	}
}

// leaf finds the entry that maps va whatever its size, and how much it covers. Where a table is
// missing it is nil, and covers is the size of the hole that va lies in.
func leaf(va uintptr) (e *uint64, covers uintptr) {
	table := kernelRoot
	for l := 4; ; l-- {
		shift := 12 + 9*uint(l-1)
		e = &phys[page](table)[va>>shift&511]
		if l == 1 || *e&amd64.PTE_PS != 0 {
			return e, 1 << shift
		}
		if *e&amd64.PTE_P == 0 {
			return nil, 1 << shift
		}
		table = *e & amd64.PTE_ADDR
	}
}

// mapPage maps one 4 KiB page; it says whether there was memory for the tables.
func mapPage(va uintptr, pa, flags uint64) bool {
	e := pte(va, 1, true)
	if e == nil {
		return false
	}
	*e = pa | flags | amd64.PTE_P
	return true
}

// mapRange maps [pa, pa+n) at va with the largest pages that alignment allows. Everything is
// page aligned.
func mapRange(va uintptr, pa, n, flags uint64) bool {
	return mapRangeFor(ownerKeel, va, pa, n, flags)
}

// mapRangeFor is mapRange where tables are o's, see pteFor.
func mapRangeFor(o owner, va uintptr, pa, n, flags uint64) bool {
	for n > 0 {
		level, size := 1, uint64(amd64.PageSize)
		switch a := uint64(va) | pa; {
		case has1G && a&(1<<30-1) == 0 && n >= 1<<30:
			level, size = 3, 1<<30
		case a&(amd64.HugeSize-1) == 0 && n >= amd64.HugeSize:
			level, size = 2, amd64.HugeSize
		}
		e := pteFor(o, va, level, true)
		if e == nil {
			return false
		}
		*e = pa | flags | amd64.PTE_P
		if level > 1 {
			*e |= amd64.PTE_PS
		}
		va, pa, n = va+uintptr(size), pa+size, n-size
	}
	return true
}

// Where the lower half's own mappings are.
const (
	stackArea = 0xFFFF_C000_0000_0000 // stacks with guard pages
	imageBase = 0x100_0000            // physical and virtual address of the image's ELF header
)

// stackNext is the next free address of stackArea. Stacks are never given back.
var stackNext uintptr = stackArea

// newStack maps a stack of n pages with an unmapped page below it, and returns its bounds.
func newStack(n int) (lo, hi uintptr) {
	lo = stackNext + amd64.PageSize
	hi = lo + uintptr(n)*amd64.PageSize
	stackNext = hi
	for va := lo; va < hi; va += amd64.PageSize {
		pa := allocFrame(ownerKeel)
		if pa == 0 || !mapPage(va, pa, amd64.PTE_W|amd64.PTE_NX|amd64.PTE_G) {
			fatal("too little memory for a processor's stacks", 0)
		}
	}
	return lo, hi
}
