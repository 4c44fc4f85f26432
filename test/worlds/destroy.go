package main

import (
	"fmt"
	"time"

	"keel/vmkernel/sys"
)

// destroyedMemory is what the VM of checkDestroy has: enough for some thousand page frames and a hundred blocks.
const destroyedMemory = 256 << 20

// checkDestroy ends a VM that has much memory, half of it page by page: no call, all of which has interrupts off, takes longer than
// a millisecond. (The lower half stops the machine if something is left.)
func checkDestroy(e *env) (string, error) {
	h, err := sys.VMCreate(&sys.VMConfig{Memory: destroyedMemory, Overhead: 4 << 20, VCPUs: 1})
	if err != nil {
		return "", err
	}
	if err := sys.VMReserve(h, destroyedMemory); err != nil {
		return "", err
	}
	const half = destroyedMemory / 2
	for gpa := uint64(0); gpa < destroyedMemory; gpa += 2 << 20 {
		if err := sys.VMPopulate(h, gpa, true); err != nil {
			return "", fmt.Errorf("memory at %#x: %w", gpa, err)
		}
		if gpa < half { // a page that is given back has the large one split
			if _, err := sys.VMRelease(h, []sys.Range{{GPA: gpa, Bytes: 4 << 10}}); err != nil {
				return "", fmt.Errorf("giving back %#x: %w", gpa, err)
			}
		}
	}
	use, err := sys.VMMemoryUse(h)
	if err != nil {
		return "", err
	}
	calls, longest, all := 0, time.Duration(0), time.Now()
	for more := true; more; calls++ {
		began := time.Now()
		if more, err = sys.VMDestroyPart(h); err != nil {
			return "", err
		}
		longest = max(longest, time.Since(began))
	}
	took := time.Since(all)
	report := fmt.Sprintf("resident=%dMiB large=%dMiB calls=%d longest=%v all=%v", use.Resident>>20, use.Large>>20, calls, longest.Round(time.Microsecond),
		took.Round(time.Microsecond))
	switch {
	case use.Large > half:
		return report, fmt.Errorf("no large page was split")
	case calls < 10:
		return report, fmt.Errorf("that many bytes don't go in so few parts")
	case longest > time.Millisecond:
		return report, fmt.Errorf("interrupts were off for longer than 1 ms")
	}
	return report, nil
}
