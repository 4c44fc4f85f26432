package sys

import "keel/vmkernel/linux"

// IRQCount takes ISA interrupt irq, 0 to 15, for the upper half, switches it on where it arrives,
// and returns how often it has come.
func IRQCount(irq int) (uint64, error) {
	n, err := call(NumIRQWait, uintptr(irq), 0, 1, 0)
	return uint64(n), err
}

// IRQWait waits until ISA interrupt irq has come more often than seen, and returns how often. Only
// one goroutine may wait for one interrupt. A level-triggered interrupt is masked from when it comes
// until the next wait, which says that the device is dealt with.
func IRQWait(irq int, seen uint64) (uint64, error) {
	for {
		n := waitIRQ(irq, seen)
		switch errno := errnoOf(n); errno {
		case 0:
			return uint64(n), nil
		case linux.EINTR:
		default:
			return 0, errno
		}
	}
}

// waitIRQ is the call, without the P.
//
//go:nosplit
func waitIRQ(irq int, seen uint64) uintptr {
	entersyscallblock()
	n := raw(NumIRQWait, uintptr(irq), uintptr(seen), 0, 0)
	exitsyscall()
	return n
}
