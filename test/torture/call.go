package main

import "keel/vmkernel/linux"

// linuxCall is a system call by its number. Package syscall has them under the stock toolchain only.
//
//go:uintptrescapes
func linuxCall(n, a, b, c, d uintptr) (uintptr, linux.Errno) {
	if r := rawCall(n, a, b, c, d); r < ^uintptr(4094) {
		return r, 0
	} else {
		return 0, linux.Errno(-r)
	}
}

//go:noescape
func rawCall(n, a, b, c, d uintptr) uintptr
