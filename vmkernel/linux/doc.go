// Package linux has the numbers of Linux's system calls on amd64, their flags and their errors, as far as the Go
// runtime and Keel's own calls use them (Linux: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic).
//
// The rule that it keeps: constants and nothing else, so that both halves may use it under any toolchain. Package
// syscall has the numbers of the system that a program is built for, and those of GOOS=tamago are others. On Linux a
// test compares the two.
package linux
