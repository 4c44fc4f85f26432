package handover

// MemoryType is what a range of physical memory is for. Higher values are more restrictive: where
// the loader's entries overlap, the higher one wins.
type MemoryType uint32

const (
	Usable          MemoryType = 1
	ACPIReclaimable MemoryType = 2 // ACPI tables: usable once they have been read
	ACPINonVolatile MemoryType = 3 // the firmware keeps its state there
	Reserved        MemoryType = 4
	Bad             MemoryType = 5 // broken memory
)

func (t MemoryType) String() string {
	switch t {
	case Usable:
		return "usable"
	case ACPIReclaimable:
		return "ACPI tables"
	case ACPINonVolatile:
		return "ACPI non-volatile"
	case Bad:
		return "bad"
	}
	return "reserved"
}

// Range is Length bytes of physical memory from Base on, both multiples of the page size. What no
// range covers is not memory.
type Range struct {
	Base, Length uint64
	Type         MemoryType
}

// End is the first address behind the range, at most PhysicalLimit.
func (r *Range) End() uint64 { return r.Base + r.Length }

// maxLoaderEntries bounds the maps and lists that a loader may give.
const maxLoaderEntries = 4096

const (
	tooManyEntries = "boot: the loader's memory map has more than 4096 entries"
	mapIsFull      = "boot: the memory map has more than 128 ranges and none that could be left out"
	noUsableMemory = "boot: the loader's memory map has no usable memory"
)

// checkMap is the last word on a map that has been entered.
func (h *Handover) checkMap() string {
	if h.UsableBytes() == 0 {
		return noUsableMemory
	}
	return ""
}

// fromE820 translates the BIOS's types (ACPI 15.1), which PVH and multiboot2 use too. What it
// doesn't know is reserved.
func fromE820(t uint32) MemoryType {
	switch t {
	case 1:
		return Usable
	case 3:
		return ACPIReclaimable
	case 4:
		return ACPINonVolatile
	case 5:
		return Bad
	}
	return Reserved
}

// UsableBytes is the sum of the usable ranges, reservations included.
func (h *Handover) UsableBytes() uint64 {
	sum := uint64(0)
	for i := uint32(0); i < h.NumRanges; i++ {
		if h.Ranges[i].Type == Usable {
			sum += h.Ranges[i].Length
		}
	}
	return sum
}

// Top is the first address above all usable memory and all of ACPI's: what a direct map must reach.
func (h *Handover) Top() uint64 {
	top := uint64(0)
	for i := uint32(0); i < h.NumRanges; i++ {
		if h.Ranges[i].Type <= ACPINonVolatile {
			top = h.Ranges[i].End()
		}
	}
	return top
}

// addRange enters one of the loader's entries, in any order. Usable ranges shrink to whole pages,
// all others grow to them. It is false where the map is full of ranges that can't be given up.
func (h *Handover) addRange(base, length uint64, t MemoryType) bool {
	if base >= PhysicalLimit || length == 0 {
		return true
	}
	end := base + min(length, PhysicalLimit-base)
	if t == Usable {
		base, end = (base+pageSize-1)&^(pageSize-1), end&^(pageSize-1)
	} else {
		base, end = base&^(pageSize-1), (end+pageSize-1)&^(pageSize-1)
	}
	// Each round moves base up to the next border of a range that is there already.
	for base < end {
		i := h.firstAbove(base)
		if i == h.NumRanges || h.Ranges[i].Base >= end {
			return h.place(base, end, t)
		}
		oldBase, oldEnd, oldType := h.Ranges[i].Base, h.Ranges[i].End(), h.Ranges[i].Type
		switch {
		case base < oldBase:
			if !h.place(base, oldBase, t) {
				return false
			}
			base = oldBase
		case t <= oldType:
			base = oldEnd
		default:
			stop := min(end, oldEnd)
			h.remove(i)
			if !h.place(base, stop, t) || !h.place(oldBase, base, oldType) || !h.place(stop, oldEnd, oldType) {
				return false
			}
			base = stop
		}
	}
	return true
}

// firstAbove is the index of the first range that ends above a, or NumRanges.
func (h *Handover) firstAbove(a uint64) uint32 {
	i := uint32(0)
	for i < h.NumRanges && h.Ranges[i].End() <= a {
		i++
	}
	return i
}

// place enters [base, end), which no range overlaps, and merges it with neighbours of its type.
func (h *Handover) place(base, end uint64, t MemoryType) bool {
	if base >= end {
		return true
	}
	i := h.firstAbove(base)
	if i > 0 && h.Ranges[i-1].Type == t && h.Ranges[i-1].End() == base {
		i--
		base = h.Ranges[i].Base
		h.remove(i)
	}
	if i < h.NumRanges && h.Ranges[i].Type == t && h.Ranges[i].Base == end {
		end = h.Ranges[i].End()
		h.remove(i)
	}
	if h.NumRanges == MaxRanges {
		victim, ok := h.smallestUsable()
		switch {
		case t == Usable && (!ok || h.Ranges[victim].Length >= end-base):
			h.drop(end - base)
			return true
		case !ok:
			return false
		}
		h.drop(h.Ranges[victim].Length)
		h.remove(victim)
		if victim < i {
			i--
		}
	}
	for j := h.NumRanges; j > i; j-- {
		h.Ranges[j] = h.Ranges[j-1]
	}
	h.NumRanges++
	h.Ranges[i].Base, h.Ranges[i].Length, h.Ranges[i].Type = base, end-base, t
	return true
}

// drop notes that usable memory was given up. That is always safe: what no range covers is never
// handed out.
func (h *Handover) drop(bytes uint64) {
	h.Notes |= NoteRangesDropped
	h.BytesDropped += bytes
}

func (h *Handover) remove(i uint32) {
	h.NumRanges--
	for ; i < h.NumRanges; i++ {
		h.Ranges[i] = h.Ranges[i+1]
	}
}

// smallestUsable is the usable range that is missed least.
func (h *Handover) smallestUsable() (index uint32, ok bool) {
	for i := uint32(0); i < h.NumRanges; i++ {
		if h.Ranges[i].Type == Usable && (!ok || h.Ranges[i].Length < h.Ranges[index].Length) {
			index, ok = i, true
		}
	}
	return index, ok
}
