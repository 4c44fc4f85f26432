package vm

import (
	"errors"
	"syscall"
)

// An instance is its balloon's balloon.Host: what the guest has no use for goes back to the host's page frames, and
// comes again, zeroed, when the guest touches it.

// Release gives n bytes of the guest's memory at gpa back. What the host doesn't take back stays the guest's.
func (in *instance) Release(gpa, n uint64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.gone {
		return
	}
	freed, err := in.backend.Release(in.handle, gpa, n)
	in.freed += freed
	if err != nil && !errors.Is(err, syscall.ENOSYS) && !in.releaseFailed {
		in.releaseFailed = true
		in.log.Warn("memory that the guest gave back stays taken", "gpa", gpa, "bytes", n, "error", err)
	}
}

// Claim says that the guest is about to use memory that it gave back: it comes when it is touched.
func (in *instance) Claim(gpa, n uint64) {}
