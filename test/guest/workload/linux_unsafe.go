package main

import (
	"fmt"
	"syscall"
	"unsafe"
)

// Numbers that package syscall hasn't, of linux/amd64.
const (
	sysGetCPU     = 309
	sysMembarrier = 324
	sysFinit      = 313 // finit_module

	membarrierPrivateExpedited         = 1 << 3
	membarrierRegisterPrivateExpedited = 1 << 4
	futexWaitPrivate                   = 0 | 128
	futexWakePrivate                   = 1 | 128
	rtcReadTime                        = 0x80247009
)

// bind binds the calling thread to a processor and says whether it then runs there.
func bind(cpu int) error {
	var mask [16]uint64
	mask[cpu/64] = 1 << (cpu % 64)
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask))); errno != 0 {
		return fmt.Errorf("sched_setaffinity to processor %d: %w", cpu, errno)
	}
	if got := currentCPU(); got != cpu {
		return fmt.Errorf("bound to processor %d, but runs on %d", cpu, got)
	}
	return nil
}

func currentCPU() int {
	var cpu uint32
	syscall.RawSyscall(sysGetCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0)
	return int(cpu)
}

func futexWait(word *uint32, value uint32, limit *syscall.Timespec) syscall.Errno {
	_, _, errno := syscall.Syscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWaitPrivate, uintptr(value), uintptr(unsafe.Pointer(limit)), 0, 0)
	return errno
}

func futexWake(word *uint32) {
	syscall.RawSyscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWakePrivate, 1, 0, 0, 0)
}

func membarrier(command uintptr) syscall.Errno {
	_, _, errno := syscall.RawSyscall(sysMembarrier, command, 0, 0)
	return errno
}

// finitModule loads the module in an open file.
func finitModule(fd uintptr) syscall.Errno {
	parameters := [1]byte{}
	_, _, errno := syscall.Syscall(sysFinit, fd, uintptr(unsafe.Pointer(&parameters)), 0)
	return errno
}

// remap puts new zeroed memory in place of what is mapped at page, in one step.
func remap(page []byte) error {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_MMAP, uintptr(unsafe.Pointer(&page[0])), uintptr(len(page)),
		syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS|syscall.MAP_FIXED, ^uintptr(0), 0)
	if errno != 0 {
		return fmt.Errorf("mmap: %w", errno)
	}
	return nil
}

// wordOf is the first 8 bytes of memory as a word.
func wordOf(page []byte) *uint64 { return (*uint64)(unsafe.Pointer(&page[0])) }

// words is memory as 8-byte words.
func words(b []byte) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(&b[0])), len(b)/8)
}

// clock reads one of Linux's clocks, ns.
func clock(id uintptr) (ns int64) {
	var t syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&t)), 0)
	return t.Nano()
}

// rtc reads a real-time clock's date through Linux: struct rtc_time.
func rtc(fd int) (t [9]int32, err error) {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_IOCTL, uintptr(fd), rtcReadTime, uintptr(unsafe.Pointer(&t))); errno != 0 {
		err = errno
	}
	return t, err
}
