package main

import (
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"unsafe"

	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
)

// Addresses that no system call may be given, under any kernel.
var badAddresses = []uintptr{
	0x8, 0xFF8, 0xF000, // the null page and what is near it
	0x0000_7FFF_FFFF_F000, 0x0000_7FFF_FFFF_FFF8, // the last page
	0x0000_8000_0000_0000, 0x1234_5678_9ABC_DEF0, // not canonical
	0xFFFF_8000_0000_0000, 0xFFFF_8000_0100_0000, // where kernels have memory
	0xFFFF_FFFF_FFFF_F000, ^uintptr(0) - 7, // the end, where sums wrap
}

func textAddress() uintptr { return reflect.ValueOf(checkProtection).Pointer() }

// checkProtection touches what it may not, and expects each to be an error that can be recovered.
func checkProtection(e *env) (string, error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	times := 0
	for range 20 * e.scale {
		for _, a := range badAddresses {
			p := *(**byte)(unsafe.Pointer(&a))
			if a > 0x10000 && a>>47 == 0 || a < 0x10000 { // elsewhere the kernel may be in the same space
				if recovered(func() { sink = int(*p) }) == nil {
					return "", fmt.Errorf("reading at %#x was no error", a)
				}
				times++
			}
		}
		text := textAddress()
		p := *(**byte)(unsafe.Pointer(&text))
		if recovered(func() { *p = 0x90 }) == nil {
			return "", errors.New("code could be written")
		}
		times++
	}
	return fmt.Sprintf("refused=%d", times), nil
}

// checkPointers gives system calls pointers to what the program may not touch. Each must be refused
// and none may hurt the kernel.
func checkPointers(e *env) (string, error) {
	ok := uintptr(unsafe.Pointer(&sink))
	type call struct {
		name       string
		n, a, b, c uintptr
		writes     bool // to the address: code is bad, too
	}
	times := 0
	try := func(c call, bad uintptr) error {
		for _, p := range []*uintptr{&c.a, &c.b, &c.c} {
			if *p == badArgument {
				*p = bad
			}
		}
		_, errno := linuxCall(c.n, c.a, c.b, c.c, 8)
		times++
		if errno != linux.EFAULT {
			return fmt.Errorf("%s with a pointer to %#x: %v, want %v", c.name, bad, errno, linux.EFAULT)
		}
		return nil
	}
	const badp = badArgument
	calls := []call{
		{"clock_gettime", linux.SYS_CLOCK_GETTIME, 1, badp, 0, true},
		{"nanosleep", linux.SYS_NANOSLEEP, badp, 0, 0, false},
		{"futex", linux.SYS_FUTEX, badp, 0, 0, false},
		{"rt_sigprocmask", linux.SYS_RT_SIGPROCMASK, 0, badp, 0, false},
		{"rt_sigprocmask, old", linux.SYS_RT_SIGPROCMASK, 0, 0, badp, true},
		{"rt_sigaction", linux.SYS_RT_SIGACTION, 10, badp, 0, false},
		{"rt_sigaction, old", linux.SYS_RT_SIGACTION, 10, 0, badp, true},
		{"sigaltstack", linux.SYS_SIGALTSTACK, badp, 0, 0, false},
		{"sigaltstack, old", linux.SYS_SIGALTSTACK, 0, badp, 0, true},
		{"sched_getaffinity", linux.SYS_SCHED_GETAFFINITY, 0, 64, badp, true},
		{"getrandom", 318, badp, 64, 0, true},
	}
	if e.metal {
		calls = append(calls,
			call{"write", linux.SYS_WRITE, 1, badp, 8, false},
			call{"info", sys.NumInfo, badp, 0, 0, true},
			call{"stats", sys.NumStats, badp, 0, 0, true},
			call{"memory for devices", sys.NumDMAAlloc, badp, 0, 0, true},
		)
	}
	for _, c := range calls {
		for _, bad := range badAddresses {
			if err := try(c, bad); err != nil {
				return "", err
			}
		}
		if c.writes {
			if err := try(c, textAddress()&^7); err != nil {
				return "", err
			}
		}
	}
	_ = ok
	return fmt.Sprintf("refused=%d", times), nil
}

// badArgument stands for the pointer in a call's arguments.
const badArgument = 0xBADBAD
