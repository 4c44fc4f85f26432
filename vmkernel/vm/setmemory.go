package vm

import (
	"keel/vmkernel/mem"
	"keel/vmkernel/seed"
)

// SetMemory changes shares, reservation and limit of the VM's memory, whether it is on or not; of one that is on at once. It
// is refused with the numbers where it can't be. Errors: those of Update, ErrNoMemory.
func (v *VM) SetMemory(to seed.Share) error {
	spec := *v.Spec()
	spec.Memory.Share = to
	return v.Update(spec, 0)
}

// setMemory has a description's policy of memory take effect, or refuses it. The VM's mutex is held.
func (v *VM) setMemory(spec *seed.VM) error {
	size := spec.Memory.Size
	b := budget(spec.Memory.Share, size)
	if err := b.Check(pages(size)); err != nil {
		return faultf(ErrInvalid, "memory of %s: %v", spec.Name, err)
	}
	if v.run == nil || v.run.in == nil || v.run.in.share == nil {
		return nil // it takes effect when it is started
	}
	return v.run.in.share.set(spec.Memory.Pool, b)
}

// set changes the pool that a running VM is in, and what it has of that one's memory.
func (s *share) set(pool string, b mem.Budget) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if !s.begun {
		return ErrNoShare
	}
	was, old := s.guest.Pool(), s.guest.Budget()
	if err := s.guest.Move(pool, b); err != nil {
		return refused(err)
	}
	if err := s.m.backend.Reserve(s.in.handle, b.Reservation*mem.PageSize); err != nil {
		s.guest.Move(was, old)
		return faultf(ErrNoMemory, "memory: VM %s: a reservation of %s can't be set aside: the host has %s left: %v", s.guest.Name(),
			seed.FormatSize(b.Reservation*mem.PageSize), seed.FormatSize(s.m.backend.FreeMemory()), err)
	}
	if held, err := s.m.backend.Grant(s.in.handle, 0); err == nil && pages(held) > s.guest.Granted() {
		s.guest.Take(pages(held)-s.guest.Granted(), false) // within the reservation: it can't fail
	}
	s.m.policyChanged()
	return nil
}
