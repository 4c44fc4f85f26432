package main

import (
	"fmt"
	"unsafe"
)

// tail is so large that the linker puts it at the end of the zeroed variables, which have no memory
// until they are touched.
var tail [40 << 20]byte

// checkVariables touches few of tail's pages: by reading, by writing, and by having a system call
// write there. They read as zero at first, keep what they are given, and take memory, the rest none.
func checkVariables(e *env) (string, error) {
	const page, getrandom = 4096, 318
	before := e.backed()
	for _, at := range []int{0, 11*page - 1, len(tail) / 2, len(tail) - 1} {
		if tail[at] != 0 {
			return "", fmt.Errorf("byte %d is %d at first", at, tail[at])
		}
		tail[at] = byte(at) | 1
	}
	random := tail[20*page-16:][:32] // in two pages
	if n, errno := linuxCall(getrandom, uintptr(unsafe.Pointer(&random[0])), uintptr(len(random)), 0, 0); errno != 0 || int(n) != len(random) {
		return "", fmt.Errorf("getrandom gave %d bytes: %v", n, errno)
	}
	if [16]byte(random[:16]) == [16]byte{} || [16]byte(random[16:]) == [16]byte{} {
		return "", fmt.Errorf("getrandom left zeros: % x", random)
	}
	for _, at := range []int{0, 11*page - 1, len(tail) / 2, len(tail) - 1} {
		if tail[at] != byte(at)|1 {
			return "", fmt.Errorf("byte %d was written and is %d", at, tail[at])
		}
	}
	took := e.backed() - before
	if e.metal && (took < 5*page || took > 1<<20) { // the first page may have been there
		return "", fmt.Errorf("six pages of the variables took %d bytes", took)
	}
	return fmt.Sprintf("took=%d", took), nil
}
