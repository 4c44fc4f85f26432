package physmem

import "unsafe"

// Memory is a window on physical memory: physical address pa is seen at virtual address Base+pa,
// for pa below Limit. All of the window must be mapped readable. In the kernel Base is
// amd64.DirectMap, on the boot page tables as on the kernel's own; in tests it is a buffer's address.
type Memory struct {
	Base  uintptr
	Limit uint64 // bytes; an address below it can be read
}

// Holds reports whether the n bytes from pa on lie inside the window. It is true for n = 0 only
// where pa is not beyond the end.
func (m Memory) Holds(pa, n uint64) bool {
	return n <= m.Limit && pa <= m.Limit-n
}

// U8 is the byte at pa, or 0 where pa lies outside the window: callers check Holds first where
// that makes a difference.
func (m Memory) U8(pa uint64) uint8 {
	if !m.Holds(pa, 1) {
		return 0
	}
	return *(*uint8)(m.at(pa))
}

// U16 is the little-endian word at pa, aligned or not, or 0 outside the window.
func (m Memory) U16(pa uint64) uint16 {
	if !m.Holds(pa, 2) {
		return 0
	}
	return *(*uint16)(m.at(pa))
}

// U32 is the little-endian double word at pa, aligned or not, or 0 outside the window.
func (m Memory) U32(pa uint64) uint32 {
	if !m.Holds(pa, 4) {
		return 0
	}
	return *(*uint32)(m.at(pa))
}

// U64 is the little-endian quad word at pa, aligned or not, or 0 outside the window.
func (m Memory) U64(pa uint64) uint64 {
	if !m.Holds(pa, 8) {
		return 0
	}
	return *(*uint64)(m.at(pa))
}

// Sum8 is the sum modulo 256 of the n bytes from pa on, which is 0 for an intact firmware table
// (ACPI 5.2.6). ok is false, and nothing is read, where they don't lie inside the window.
func (m Memory) Sum8(pa, n uint64) (sum uint8, ok bool) {
	if !m.Holds(pa, n) {
		return 0, false
	}
	for i := uint64(0); i < n; i++ {
		sum += *(*uint8)(m.at(pa + i))
	}
	return sum, true
}

// at is the pointer to physical address pa, which the caller has checked. The address is turned
// into a pointer by reinterpretation: it is no Go object's and the collector has no say in it.
func (m Memory) at(pa uint64) unsafe.Pointer {
	address := m.Base + uintptr(pa)
	return *(*unsafe.Pointer)(unsafe.Pointer(&address))
}
