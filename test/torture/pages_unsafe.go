package main

import (
	"unsafe"

	"keel/vmkernel/linux"
)

// touchPages maps n pages, writes to each, and gives them back.
func touchPages(n int) {
	size := uintptr(n) * 4096
	p, errno := linuxCall(linux.SYS_MMAP, 0, size, linux.PROT_READ|linux.PROT_WRITE, linux.MAP_ANONYMOUS|linux.MAP_PRIVATE)
	if errno != 0 {
		return
	}
	for at := p; at < p+size; at += 4096 {
		*(*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&at))) = 1
	}
	linuxCall(linux.SYS_MUNMAP, p, size, 0, 0)
}
