package datastore

import (
	"fmt"
	"syscall"
)

// Mapped allocates outside Go's heap: the collector neither counts images towards its next run nor keeps their memory
// after they are gone. It serves the kernel, which answers Linux's mmap.
func Mapped(n int64) ([]byte, func(), error) {
	b, err := syscall.Mmap(-1, 0, int(n), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, nil, fmt.Errorf("mmap of %d bytes: %w", n, err)
	}
	return b, func() { syscall.Munmap(b) }, nil
}
