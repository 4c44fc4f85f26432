package vm

import (
	"errors"
	"keel/vmkernel/linux"
	"math"
	"sync/atomic"

	"keel/arch/amd64/virt"
	"keel/vmkernel/device/balloon"
)

// An instance is its balloon's balloon.Host: what the guest has no use for goes back to the host's page frames, and
// comes again, zeroed, when the guest or a device touches it.

// Release gives n bytes of the guest's memory at gpa back. What the host can't take back stays the guest's.
func (in *instance) Release(gpa, n uint64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	defer in.share.settle(true) // it can only be overdrawn, which its processors are told
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

// SetBalloon asks the guest to give back so many bytes and to keep them given back, 0 for none: whole pages, and no more
// than it has. It says whether the VM runs. A guest without a driver, or one that can't spare as much, doesn't do it.
func (v *VM) SetBalloon(bytes uint64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.run == nil || v.run.in == nil {
		return false
	}
	pages := min(bytes, v.spec.Memory.Size) / balloon.PageSize
	v.run.in.board.balloon.SetTarget(uint32(min(pages, math.MaxUint32)))
	return true
}

// Balloon says how the balloon of a running VM stands, and asks the guest for new statistics.
func (v *VM) Balloon() (s balloon.State, running bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.run == nil || v.run.in == nil {
		return s, false
	}
	b := v.run.in.board.balloon
	s = b.State()
	b.AskStats()
	return s, true
}

// absent handles the exit of a guest that touched memory which isn't there, because it never was or was given back. It says
// whether that was it. Where there is no memory to be had the processor waits: nothing is lost but time.
func (c *vcpu) absent(s *virt.State) bool {
	in := c.in
	gpa := s.Exit.GPA
	if !in.memory.Contains(gpa, 1) {
		return false
	}
	for {
		err := in.backend.Populate(in.handle, gpa)
		if err == nil {
			return true
		}
		if !errors.Is(err, linux.ENOMEM) {
			c.crash("memory at %#x can't be given to the guest: %v", gpa, err)
			return true
		}
		if !in.share.grow() {
			return true // the VM is to stop
		}
	}
}

// repay has the processor wait until the policy has granted what device models took for its VM.
func (c *vcpu) repay() {
	atomic.StoreUint32(&c.page.Overdrawn, 0)
	c.in.share.repay()
}
