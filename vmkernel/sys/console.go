package sys

import (
	"unsafe"

	"keel/vmkernel/linux"
)

// Console is the machine's own console. It is os.Stdout under runtimes that write to that in one piece: TamaGo's makes a call for
// each byte, between which others' come.
type Console struct{}

// Write writes p, up to 4 KiB of it at once.
func (Console) Write(p []byte) (n int, err error) {
	for n < len(p) {
		const stdout = 1
		k, err := call(linux.SYS_WRITE, stdout, uintptr(unsafe.Pointer(&p[n])), uintptr(len(p)-n), 0)
		if err != nil {
			return n, err
		}
		n += int(k)
	}
	return n, nil
}
