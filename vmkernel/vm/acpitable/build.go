package acpitable

import (
	"fmt"

	"keel/vmkernel/vm/guestmem"
)

// Where the tables lie in a guest's memory. The RSDP is at Start, where
// kernels that aren't told its address find it (5.2.5.1).
const (
	Start = 0xE0000
	End   = 0x100000
)

// A Config is what differs between guests.
type Config struct {
	CPUs int // 1 to MaxCPUs
}

// Build writes the tables for c into m and returns the guest-physical address
// of the RSDP. All else from Start to End is cleared. It fails if c.CPUs is
// out of range or m has no RAM there.
func Build(m *guestmem.Memory, c Config) (uint64, error) {
	if c.CPUs < 1 || c.CPUs > MaxCPUs {
		return 0, fmt.Errorf("acpitable: %d processors: a VM has 1 to %d", c.CPUs, MaxCPUs)
	}
	area, err := m.Slice(Start, End-Start)
	if err != nil {
		return 0, fmt.Errorf("acpitable: no room for the tables from %#x to %#x: %w", Start, End-1, err)
	}
	clear(area)
	const rsdpSize, align = 36, 16
	next := uint64(rsdpSize)
	// put writes a table after those before it and returns its address.
	put := func(b []byte, align uint64) uint64 {
		next = (next + align - 1) &^ (align - 1)
		at := next
		next += uint64(copy(area[at:], b))
		return Start + at
	}
	facs := put(facs(), 64)
	dsdt := put(dsdt(), align)
	fadt := put(fadt(facs, dsdt), align)
	madt := put(madt(c.CPUs), align)
	rsdt := put(rsdt(fadt, madt), align)
	xsdt := put(xsdt(fadt, madt), align)
	copy(area, rsdp(uint32(rsdt), xsdt))
	return Start, nil
}
