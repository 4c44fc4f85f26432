package loader

import (
	"fmt"

	"keel/vmkernel/vm/guestmem"
)

// A MapEntry is a line of the memory map that a guest is given. The boot
// protocols have a layout of their own for it; the types are the same in all
// (ACPI 6.5, 15.1, INT 15H E820H).
type MapEntry struct {
	Start, Size uint64 // bytes
	Type        uint32 // MapRAM or MapReserved
}

// The types of MapEntry.
const (
	MapRAM      = 1
	MapReserved = 2
)

// What keel-1 keeps from its guests below 1 MiB: the ACPI tables are there,
// and operating systems expect nothing else.
const (
	firmwareStart = 0x9FC00
	firmwareEnd   = 0x100000

	// minRAM leaves 1 MiB for a kernel; none is known to need so little.
	minRAM = 2 << 20

	// maxAddress is the greatest physical address of the architecture.
	maxAddress = 1 << 52
)

// MemoryMap returns the memory map of a guest with the RAM m, ascending. It
// fails if m is not laid out as guestmem.Split says or is under 2 MiB.
func MemoryMap(m *guestmem.Memory) ([]MapEntry, error) {
	start, low := m.Range(0)
	if start != 0 || low > guestmem.HoleStart {
		return nil, fmt.Errorf("guest RAM at %s: it has to start at 0 and leave %#x-%#x free",
			bounds(start, low), guestmem.HoleStart, guestmem.HighStart-1)
	}
	if low < minRAM {
		return nil, fmt.Errorf("guest memory of %d bytes is below the minimum of %d", low, minRAM)
	}
	list := []MapEntry{
		{0, firmwareStart, MapRAM},
		{firmwareStart, firmwareEnd - firmwareStart, MapReserved},
		{firmwareEnd, low - firmwareEnd, MapRAM},
	}
	if m.Ranges() > 1 {
		start, high := m.Range(1)
		if start != guestmem.HighStart || high > maxAddress-start {
			return nil, fmt.Errorf("guest RAM at %s: the second range has to start at %#x and end below %#x",
				bounds(start, high), guestmem.HighStart, uint64(maxAddress))
		}
		list = append(list, MapEntry{start, high, MapRAM})
	}
	return list, nil
}
