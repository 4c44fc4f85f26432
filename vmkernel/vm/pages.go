package vm

import (
	"errors"
	"syscall"

	"keel/arch/amd64/virt"
	"keel/vmkernel/seed"
)

// An instance is its balloon's balloon.Host: what the guest has no use for goes back to the host's page frames, and
// comes again, zeroed, when the guest or a device touches it.

// Release gives n bytes of the guest's memory at gpa back. What the host can't take back stays the guest's.
func (in *instance) Release(gpa, n uint64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for n > 0 && !in.gone {
		done, err := in.backend.Release(in.handle, gpa, n)
		if err != nil || done == 0 || done > n {
			if !in.releaseFailed {
				in.releaseFailed = true
				in.log.Warn("memory that the guest gave back stays taken", "gpa", gpa, "bytes", n, "error", err)
			}
			return
		}
		gpa, n = gpa+done, n-done
	}
}

// Claim says that the guest is about to use memory that it gave back: it comes when it is touched.
func (in *instance) Claim(gpa, n uint64) {}

// absent handles the exit of a guest that touched memory which it had given back. It says whether that was it.
func (c *vcpu) absent(s *virt.State) bool {
	in := c.in
	gpa := s.Exit.GPA
	if !in.memory.Contains(gpa, 1) {
		return false
	}
	switch err := in.backend.Populate(in.handle, gpa); {
	case err == nil:
	case errors.Is(err, syscall.ENOMEM):
		c.crash("out of memory: the guest touched what it had given back, at %#x, and the host has %s left", gpa, seed.FormatSize(in.backend.FreeMemory()))
	default:
		c.crash("memory at %#x can't be given to the guest: %v", gpa, err)
	}
	return true
}
