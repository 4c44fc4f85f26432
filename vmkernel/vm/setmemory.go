package vm

import (
	"fmt"

	"keel/vmkernel/mem"
	"keel/vmkernel/seed"
)

// SetMemory changes shares, reservation and limit of a VM's memory, running or not; of a running one at once. It is refused
// with the numbers where it can't be.
func (m *Manager) SetMemory(name string, to seed.Share) error {
	v := m.Find(name)
	if v == nil {
		return fmt.Errorf("vm: there is no VM named %s", name)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	size := v.spec.Memory.Size
	b := budget(to, size)
	if v.current != nil && v.current.share != nil {
		if err := v.current.share.set(b); err != nil {
			return err
		}
	} else if err := b.Check(pages(size)); err != nil {
		return fmt.Errorf("vm: memory of %s: %w", name, err)
	}
	to.Shares = uint32(b.Shares)
	v.spec.Memory.Share = to
	return nil
}

// set changes what a running VM has of its parent's memory.
func (s *share) set(b mem.Budget) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if !s.begun {
		return errNoShare
	}
	old := s.guest.Budget()
	if err := s.guest.SetBudget(b); err != nil {
		return fmt.Errorf("vm: memory: %w", err)
	}
	if err := s.m.backend.Reserve(s.in.handle, b.Reservation*mem.PageSize); err != nil {
		s.guest.SetBudget(old)
		return fmt.Errorf("vm: memory: VM %s: a reservation of %s can't be set aside: the host has %s left: %w", s.in.spec.Name,
			seed.FormatSize(b.Reservation*mem.PageSize), seed.FormatSize(s.m.backend.FreeMemory()), err)
	}
	if held, err := s.m.backend.Grant(s.in.handle, 0); err == nil && pages(held) > s.guest.Granted() {
		s.guest.Take(pages(held)-s.guest.Granted(), false) // within the reservation: it can't fail
	}
	s.m.stir()
	select {
	case s.m.now <- struct{}{}:
	default:
	}
	return nil
}
