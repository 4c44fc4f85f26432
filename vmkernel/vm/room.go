package vm

import (
	"errors"
	"fmt"
	"time"

	"keel/vmkernel/mem"
)

// Memory that the host's own work writes to or reads for a VM: what it boots from, and what device models touch. Who writes
// can't wait as a guest's processor can, and takes frames that nobody granted rather than fail. So there is room first, or there
// is no more of it than was counted when the VM was admitted.

// startPatience is how long a VM that is started waits for others to give memory back.
const startPatience = 30 * time.Second

// room has the machine hold enough that n bytes at gpa can be written to, and waits while others give that back: what is
// written beyond it would be the host's own memory. The machine gets 2 MiB at a time where it can.
func (s *share) room(gpa, n uint64, stop <-chan struct{}) error {
	s.m.mu.Lock()
	err := s.match(0, false)
	s.m.mu.Unlock()
	if err != nil {
		return short(err)
	}
	use, err := s.m.backend.MemoryUse(s.in.handle)
	if err != nil {
		return fmt.Errorf("vm: memory: %w", err)
	}
	missing := pages(s.in.spec.Memory.Size - use.Resident)
	span := func(unit uint64) uint64 { return min(((gpa+n+unit-1)&^(unit-1)-gpa&^(unit-1))/mem.PageSize, missing) }
	aside := pages(use.Granted)
	least, most := span(mem.PageSize), span(large*mem.PageSize)
	if aside >= most {
		return nil
	}
	err = s.gather(most-aside, stop)
	var r *mem.Refusal
	if errors.As(err, &r) && r.By != "" { // its limit is near
		if aside >= least {
			return nil
		}
		err = s.gather(least-aside, stop)
	}
	return short(err)
}

// gather grants so many pages, some at a time as others give them back.
func (s *share) gather(n uint64, stop <-chan struct{}) error {
	began, asked := time.Now(), false
	for step := n; n > 0; step = min(n, large) {
		s.m.mu.Lock()
		err := s.take(step, true)
		if errors.Is(err, mem.ErrPaced) || errors.Is(err, mem.ErrLater) && time.Since(began) > startPatience {
			err = s.take(step, false)
		}
		s.m.mu.Unlock()
		if err == nil {
			n -= step
			continue
		}
		if !errors.Is(err, mem.ErrLater) {
			return err
		}
		if !asked {
			asked = true
			s.m.soon() // others are
		}
		select {
		case <-stop:
			return ErrHalted
		case <-time.After(tryAgain):
		}
	}
	return nil
}

// short is refused for what keeps a VM from its memory, where that isn't its own end.
func short(err error) error {
	if err == nil || errors.Is(err, ErrHalted) || errors.Is(err, ErrNoShare) {
		return err
	}
	return refused(err)
}

// loadedAll says that nothing more is loaded: what is set aside beyond needs not be.
func (s *share) loadedAll() error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.loaded = true
	return short(s.match(0, false))
}

// What device models may take for a VM beyond what it was granted, in pages, before they and its processors wait: see
// sys.VCPUPage.Overdrawn. The host has to have it, so that it is admitted with what the VM costs, but isn't set aside.
const (
	mostOwed   = 64 // from then on no chain of the balloon is begun
	oneChain   = 80 // 32 buffers and a table, each across two pages, and the rings
	owedPerCPU = 24 // an instruction and what it accesses, with the page tables on the way
)

// owed is how many pages device models have taken for the VM that it hasn't been granted, and can't be.
func (s *share) owed() uint64 {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	err := s.match(0, true)
	if err == nil || !s.begun {
		return 0
	}
	held, err := s.m.backend.Grant(s.in.handle, 0)
	if err != nil {
		return 0
	}
	return pages(held) - min(pages(held), s.guest.Granted())
}
