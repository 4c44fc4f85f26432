package vm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"keel/vmkernel/mem"
	"keel/vmkernel/seed"
	"keel/vmkernel/vm/guestmem"
)

// memory is the host's memory as its VMs share it: the policy (package mem) and what it decides about.
//
// Its mutex is the last to be taken: with it held nothing is called but the policy and the Backend.
type memory struct {
	backend Backend
	pause   time.Duration // of a processor that waits for memory, see waitmemory.go

	mu      sync.Mutex
	changed chan struct{} // closed when shares, reservations or limits change
	tree    *mem.Tree     // nil until there is a VM or a pool
	shares  []*share
	running bool          // balance is
	now     chan struct{} // has balance look at once
}

// A share is a VM's part of the host's memory, from before it has any until it is destroyed.
type share struct {
	m       *memory
	in      *instance
	guest   *mem.Guest
	node    int // the NUMA node that its memory comes from while there is any, once it has settled there
	settled bool
	costs   uint64 // bytes set aside for what it costs beyond
	begun   bool   // there is a machine
	loaded  bool   // with what it boots from: nothing is set aside for that any more
	active  activity
	wait    waiters
}

func newMemory(b Backend) *memory {
	return &memory{backend: b, pause: tryAgain, changed: make(chan struct{}), now: make(chan struct{}, 1)}
}

// HostShare is the memory, in bytes, that no VM gets of so much that is free before there are any: the host's own work
// needs it. What the host needs beyond is to be asked for, by Manager.HoldMemory.
func HostShare(free uint64) uint64 { return min(free, max(48<<20, free/32)) }

// init makes the tree of what is free now. The mutex is held.
func (m *memory) init() error {
	if m.tree != nil {
		return nil
	}
	free := m.backend.FreeMemory()
	tree, err := mem.New((free - HostShare(free)) &^ (1<<20 - 1) / mem.PageSize)
	if err != nil {
		return faultf(ErrNoMemory, "the host has no memory for VMs: give it more")
	}
	m.tree = tree
	return nil
}

// soon has balance look at once.
func (m *memory) soon() {
	select {
	case m.now <- struct{}{}:
	default:
	}
}

// policyChanged has all that wait for memory ask again, and balance look at once. The mutex is held.
func (m *memory) policyChanged() {
	close(m.changed)
	m.changed = make(chan struct{})
	m.soon()
}

func pages(bytes uint64) uint64 { return bytes / mem.PageSize }

// budget is a seed's share as the policy counts it. VMs of tests may have no shares.
func budget(s seed.Share, size uint64) mem.Budget {
	shares := uint64(s.Shares)
	if shares == 0 {
		shares = max(1, min(size>>20*seed.SharesPerMiB, mem.MaxShares))
	}
	return mem.Budget{Shares: shares, Reservation: pages(s.Reservation), Limit: pages(s.Limit)}
}

// refused is an error of the policy.
func refused(err error) error {
	return faultf(ErrNoMemory, "memory: %s", strings.TrimPrefix(err.Error(), "mem: "))
}

// HoldMemory takes so many bytes from what VMs can have, for the host's own use, or says with the numbers why they can't be
// had. It doesn't allocate them.
func (m *Manager) HoldMemory(bytes uint64) error {
	h := m.host.memory
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.init(); err != nil {
		return err
	}
	if err := h.tree.Hold(pages(bytes + mem.PageSize - 1)); err != nil {
		return refused(err)
	}
	return nil
}

// DropMemory gives back what HoldMemory took.
func (m *Manager) DropMemory(bytes uint64) {
	h := m.host.memory
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tree != nil {
		h.tree.Drop(pages(bytes + mem.PageSize - 1))
	}
}

// perCPU is what a virtual processor takes of page frames: its state, XSAVE area, local APIC, control structure, bitmaps,
// and a world; fixed is what a VM takes beside.
const (
	perCPU = 12
	fixed  = 4
)

// admit takes in a VM that is to be started, or says with the numbers why it can't be. It waits while others give back what is
// reserved for it.
func (m *memory) admit(in *instance, stop <-chan struct{}) (*share, error) {
	s, err := m.expect(in)
	for began := time.Now(); errors.Is(err, mem.ErrLater); {
		select {
		case <-stop:
			s.end()
			return nil, ErrHalted
		case <-time.After(m.pause):
		}
		m.mu.Lock()
		missing := s.guest.Arrive()
		m.mu.Unlock()
		switch {
		case missing == nil:
			err = nil
		case time.Since(began) > startPatience:
			s.end()
			err = refused(missing)
		}
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// expect is admit that doesn't wait: with mem.ErrLater the share's guest hasn't arrived yet.
func (m *memory) expect(in *instance) (*share, error) {
	spec := in.spec
	size := spec.Memory.Size
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.init(); err != nil {
		return nil, err
	}
	name := m.free(spec.Name, spec.ID)
	overhead := mem.Overhead(pages(size), uint64(spec.CPU.Count), perCPU) + fixed
	owed := uint64(mostOwed + oneChain + owedPerCPU*spec.CPU.Count)
	v := mem.VM{Name: name, Pool: spec.Memory.Pool, Size: pages(size), Overhead: overhead + owed, Budget: budget(spec.Memory.Share, size)}
	guest, later := m.tree.Admit(v)
	if later != nil && guest == nil {
		return nil, refused(later)
	}
	// Who reserves nothing is admitted by the tree, and would wait for ever where nobody gives anything back.
	needs := pages(size)
	if l := v.Budget.Limit; l != 0 {
		needs = min(needs, l)
	}
	if needs > v.Budget.Reservation {
		has := m.tree.Obtainable(v.Pool)
		if later == nil {
			has += v.Budget.Reservation
		} else {
			has -= v.Overhead
		}
		if needs > has {
			guest.Release()
			return nil, faultf(ErrNoMemory, "memory of %s is more than the %s that the host has left and other VMs can give back: make the VM smaller, limit its memory, stop a VM or give the host more memory",
				seed.FormatSize(needs*mem.PageSize), seed.FormatSize(has*mem.PageSize&^(1<<20-1)))
		}
	}
	s := &share{m: m, in: in, guest: guest, costs: overhead * mem.PageSize}
	s.wait.log = in.log
	m.shares = append(m.shares, s)
	if !m.running {
		m.running = true
		go m.balance()
	}
	if later != nil {
		m.soon()
	}
	return s, later
}

// free is a name that no VM has yet in the policy, for one of that name: see processors.free. The mutex is held.
func (m *memory) free(name, id string) string {
	if slices.ContainsFunc(m.shares, func(s *share) bool { return s.guest.Name() == name }) {
		name += " (" + id + ")"
	}
	return name
}

// rename has errors name a VM as it is called now.
func (s *share) rename(name, id string) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.guest.Name() != name {
		s.guest.Rename(s.m.free(name, id))
	}
}

// begin has the new machine hold what is reserved for it. Where all of its memory is, that is given to it at once in
// pages of 1 GiB, as far as there are such.
func (s *share) begin(stop <-chan struct{}) error {
	in, b := s.in, s.guest.Budget()
	err := s.m.backend.Reserve(in.handle, b.Reservation*mem.PageSize)
	if err != nil {
		return faultf(ErrNoMemory, "the reservation of %s can't be set aside: the host has %s left: %v",
			seed.FormatSize(b.Reservation*mem.PageSize), seed.FormatSize(s.m.backend.FreeMemory()), err)
	}
	s.m.mu.Lock()
	s.begun = true
	err = s.guest.Take(b.Reservation, false)
	s.m.mu.Unlock()
	if err != nil {
		return refused(err)
	}
	if b.Reservation < pages(in.spec.Memory.Size) {
		return nil
	}
	low, high := guestmem.Split(in.spec.Memory.Size)
	if !s.back(0, low, stop) || !s.back(guestmem.HighStart, high, stop) {
		return ErrHalted
	}
	return nil
}

// back has the machine hold so much from gpa on in pages of 1 GiB. What doesn't come so comes when it is touched.
// It is false where the VM is to stop.
func (s *share) back(gpa, n uint64, stop <-chan struct{}) bool {
	const gib = 1 << 30
	for ; n >= gib; gpa, n = gpa+gib, n-gib {
		for again := true; again; {
			select {
			case <-stop:
				return false
			default:
			}
			var err error
			if again, err = s.m.backend.Back(s.in.handle, gpa); err != nil {
				return true
			}
		}
	}
	return true
}

// take grants so many pages. The mutex is held.
func (s *share) take(n uint64, patient bool) error {
	if !s.begun {
		return ErrNoShare
	}
	if err := s.guest.Take(n, patient); err != nil {
		return err
	}
	if _, err := s.m.backend.Grant(s.in.handle, int64(n*mem.PageSize)); err != nil {
		s.guest.Give(n)
		return &shortage{s.guest.Name(), n * mem.PageSize, s.m.backend.FreeMemory()}
	}
	return nil
}

// A shortage is memory that the policy grants and the host doesn't have: its own work took more than was kept for it.
type shortage struct {
	name       string
	need, free uint64
}

func (e *shortage) Error() string {
	return fmt.Sprintf("mem: VM %s needs %s more, and the host has %s left: stop a VM or give the host more memory", e.name, seed.FormatSize(e.need), seed.FormatSize(e.free))
}

// match makes the policy's count that of the machine: what it released is others', and what it is overdrawn by is taken, or an
// error says why it can't be had. The mutex is held.
func (s *share) match(_ uint64, patient bool) error {
	if !s.begun {
		return ErrNoShare
	}
	held, err := s.m.backend.Grant(s.in.handle, 0)
	if err != nil {
		return fmt.Errorf("vm: memory: %w", err)
	}
	switch n, has := pages(held), s.guest.Granted(); {
	case n < has:
		s.guest.Give(has - n)
	case n > has:
		return s.guest.Take(n-has, patient)
	}
	return nil
}

// stay gives back all that the VM had, which is restarted: what is reserved for it stays so, whatever others want meanwhile. The
// machine is gone.
func (s *share) stay() {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.begun = false
	s.guest.Give(s.guest.Granted())
	s.guest.Observe(mem.Sample{})
}

// again has a share that stays be the one of a new instance of its VM, unless that can't be.
func (s *share) again(in *instance) bool {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	was, now := s.in.spec, in.spec
	if was.Memory.Size != now.Memory.Size || was.CPU.Count != now.CPU.Count ||
		s.guest.Move(now.Memory.Pool, budget(now.Memory.Share, now.Memory.Size)) != nil {
		return false
	}
	s.in, s.loaded, s.active, s.wait.log = in, false, activity{}, in.log
	return true
}

// end gives back all that the VM had. The machine is gone.
func (s *share) end() {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	for i, o := range s.m.shares {
		if o == s {
			s.m.shares = append(s.m.shares[:i], s.m.shares[i+1:]...)
			s.begun = false
			s.guest.Release()
			return
		}
	}
}

// rest says that the machine is about to go: nothing is asked of it any more.
func (s *share) rest() {
	s.m.mu.Lock()
	s.begun = false
	s.m.mu.Unlock()
}
