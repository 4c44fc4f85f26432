package vm

import (
	"errors"
	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
	"math"
	"sync/atomic"

	"keel/arch/amd64/virt"
	"keel/vmkernel/device/balloon"
)

// An instance is its balloon's balloon.Host: what the guest has no use for goes back to the host's page frames, and
// comes again, zeroed, when the guest or a device touches it.

// Release notes that n bytes of the guest's memory at gpa are given back; Settle does it.
func (in *instance) Release(gpa, n uint64) {
	if len(in.given) == cap(in.given) {
		in.Settle()
	}
	in.given = append(in.given, sys.Range{GPA: gpa, Bytes: n})
}

// Settle gives what was released back to the host, and says whether the guest owes no more memory than it may, which device
// models took for it. What the host can't take back stays the guest's.
func (in *instance) Settle() bool {
	list := in.given
	in.given = in.given[:0]
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.gone {
		return true
	}
	for len(list) > 0 {
		done, err := in.backend.Release(in.handle, list)
		if err != nil || done == 0 {
			if !in.releaseFailed {
				in.releaseFailed = true
				in.log.Warn("memory that the guest gave back stays taken", "gpa", list[0].GPA, "bytes", list[0].Bytes, "error", err)
			}
			break
		}
		for len(list) > 0 && done >= list[0].Bytes {
			done -= list[0].Bytes
			list = list[1:]
		}
		if len(list) > 0 {
			list[0].GPA, list[0].Bytes = list[0].GPA+done, list[0].Bytes-done
		}
	}
	return in.share.owed() <= mostOwed
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
	for whole := true; ; {
		err := in.backend.Populate(in.handle, gpa, whole)
		if err == nil {
			return true
		}
		if !errors.Is(err, linux.ENOMEM) {
			c.crash("memory at %#x can't be given to the guest: %v", gpa, err)
			return true
		}
		got, ok := in.share.grow()
		if !ok {
			return true // the VM is to stop
		}
		whole = got > 1
	}
}

// repay has the processor wait until the policy has granted what device models took for its VM.
func (c *vcpu) repay() {
	for atomic.SwapUint32(&c.page.Overdrawn, 0) != 0 && c.in.share.repay() {
		c.in.board.balloon.GoOn() // which may take some more
	}
}
