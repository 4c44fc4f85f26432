package handover

import "keel/boot/physmem"

// takeMap enters the best description of memory that the loader gave: its own map, else UEFI's,
// else the two sizes of basic memory information.
func (h *Handover) takeMap(mem physmem.Memory, found *tags) string {
	switch {
	case found.plainMap != 0:
		return h.plainMap(mem, found.plainMap)
	case found.efiMap != 0:
		h.Notes |= NoteMapFromEFI
		return h.efiMap(mem, found.efiMap)
	case found.basic != 0:
		h.Notes |= NoteMapFromBasic
		return h.basicMap(mem, found.basic)
	}
	return "multiboot2: the loader gave no memory map"
}

// Both maps have the same head: the tag, its size, the size of an entry, a version.
const mapHead = 16

const badEntrySize = "multiboot2: the memory map's entry size is impossible"

// entries checks a map tag's head: entries of at least need bytes each, every one whole.
func entries(mem physmem.Memory, at, need uint64) (entrySize, count uint64, e string) {
	size := uint64(mem.U32(at + 4))
	entrySize = uint64(mem.U32(at + 8))
	if size < mapHead || entrySize < need || entrySize%8 != 0 {
		return 0, 0, badEntrySize
	}
	count = (size - mapHead) / entrySize
	if count > maxLoaderEntries {
		return 0, 0, tooManyEntries
	}
	return entrySize, count, ""
}

// plainMap reads tag 6 (3.6.8): base and length of 8 bytes, type and reserved of 4.
func (h *Handover) plainMap(mem physmem.Memory, at uint64) string {
	entrySize, count, e := entries(mem, at, 24)
	if e != "" {
		return e
	}
	for i := uint64(0); i < count; i++ {
		p := at + mapHead + i*entrySize
		if !h.addRange(mem.U64(p), mem.U64(p+8), fromE820(mem.U32(p+16))) {
			return mapIsFull
		}
	}
	return h.checkMap()
}

// efiMap reads tag 17 (3.6.18), an array of EFI_MEMORY_DESCRIPTOR (UEFI 7.2.3): type 4, padding 4,
// physical start 8, virtual start 8, pages 8, attributes 8.
func (h *Handover) efiMap(mem physmem.Memory, at uint64) string {
	entrySize, count, e := entries(mem, at, 40)
	if e != "" {
		return e
	}
	for i := uint64(0); i < count; i++ {
		p := at + mapHead + i*entrySize
		pages := min(mem.U64(p+24), PhysicalLimit/pageSize)
		if !h.addRange(mem.U64(p+8), pages*pageSize, fromEFI(mem.U32(p), mem.U64(p+32))) {
			return mapIsFull
		}
	}
	return h.checkMap()
}

// fromEFI translates EFI_MEMORY_TYPE (UEFI 7.2.1). The loader's and the boot services' memory is
// free, since the boot services have ended. Memory that can't be cached is no memory for us.
func fromEFI(t uint32, attributes uint64) MemoryType {
	const writeBack = 1 << 3 // EFI_MEMORY_WB
	switch t {
	case 1, 2, 3, 4, 7: // loader code and data, boot services code and data, conventional
		if attributes&writeBack != 0 {
			return Usable
		}
	case 8:
		return Bad
	case 9:
		return ACPIReclaimable
	case 10:
		return ACPINonVolatile
	}
	return Reserved
}

// basicMap reads tag 4 (3.6.4): KiB of memory from 0, and from 1 MiB on.
func (h *Handover) basicMap(mem physmem.Memory, at uint64) string {
	if mem.U32(at+4) < 16 {
		return "multiboot2: the tag with basic memory information is too short"
	}
	lower, upper := uint64(mem.U32(at+8)), uint64(mem.U32(at+12))
	if !h.addRange(0, min(lower, 640)<<10, Usable) || !h.addRange(lowEnd, upper<<10, Usable) {
		return mapIsFull
	}
	return h.checkMap()
}
