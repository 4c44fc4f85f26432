package main

import "syscall"

// limitAddresses has the process run out of memory soon.
func limitAddresses() error {
	return syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: 2 << 30, Max: 2 << 30})
}
