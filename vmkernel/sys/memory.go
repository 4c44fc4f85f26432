package sys

import (
	"unsafe"

	"keel/vmkernel/linux"
)

// MapMemory gives n bytes of zeroed memory, page-aligned, outside Go's heap: what is large and lasts, so that the
// collector doesn't count it towards its next run. It is promised at once and taken when it is touched. ENOMEM: there
// isn't as much.
func MapMemory(n int64) ([]byte, error) {
	r, err := call(linux.SYS_MMAP, 0, uintptr(n), linux.PROT_READ|linux.PROT_WRITE, linux.MAP_PRIVATE|linux.MAP_ANONYMOUS)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice(pointer(uint64(r)), n), nil
}

// UnmapMemory gives it back: nothing may touch it afterwards.
func UnmapMemory(b []byte) error {
	_, err := call(linux.SYS_MUNMAP, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(cap(b)), 0, 0)
	return err
}
