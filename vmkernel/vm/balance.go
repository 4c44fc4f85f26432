package vm

import (
	"math"
	"time"

	"keel/vmkernel/device/balloon"
	"keel/vmkernel/mem"
	"keel/vmkernel/seed"
)

// balanceEvery is how often memory is divided anew.
const balanceEvery = time.Second

// balance runs while there are VMs: it looks at what they use and sets their balloons.
func (m *memory) balance() {
	tick := time.NewTicker(balanceEvery)
	defer tick.Stop()
	for m.round() {
		select {
		case <-tick.C:
		case <-m.now:
		}
	}
}

// round is one look at all VMs. It returns false, and balance has ended, where there are none.
func (m *memory) round() bool {
	m.mu.Lock()
	if len(m.shares) == 0 {
		m.running = false
		m.mu.Unlock()
		return false
	}
	list := append([]*share(nil), m.shares...)
	balloons := make([]*balloon.Device, len(list))
	for i, s := range list {
		balloons[i] = s.in.board.balloon
	}
	m.mu.Unlock()
	// A balloon's mutex comes before that of memory.
	states := make([]balloon.State, len(list))
	for i, b := range balloons {
		states[i] = b.State()
	}
	targets, held, granted := make([]uint32, len(list)), make([]uint64, len(list)), make([]uint64, len(list))
	m.mu.Lock()
	m.observe(list, states)
	m.tree.Balance()
	for i, s := range list {
		if s.begun {
			targets[i] = uint32(min(s.guest.BalloonTarget(), math.MaxUint32))
			held[i], granted[i] = s.guest.Target(), s.guest.Granted()
		}
	}
	m.mu.Unlock()
	for i, s := range list {
		if states[i].Target != targets[i] {
			s.in.log.Debug("memory", "granted", seed.FormatSize(granted[i]*mem.PageSize), "target", seed.FormatSize(held[i]*mem.PageSize),
				"balloon", seed.FormatSize(uint64(states[i].Actual)*mem.PageSize), "asked", seed.FormatSize(uint64(targets[i])*mem.PageSize))
			balloons[i].SetTarget(targets[i])
		}
	}
	return true
}

// observe takes a sample of each VM, and takes back what was set aside for it and isn't used. The mutex is held.
func (m *memory) observe(list []*share, states []balloon.State) {
	for i, s := range list {
		if !s.begun {
			continue
		}
		if s.loaded {
			s.trim()
		}
		s.active.look(m.backend, s)
		active := s.guest.Granted() // what it is loaded with, it needs
		if s.loaded && s.active.known {
			active = pages(s.active.bytes)
		}
		s.guest.Observe(mem.Sample{Active: active, Balloon: states[i].Running, Held: uint64(states[i].Actual)})
	}
}

// leftAside is how much may stay set aside for a VM beyond its reservation and what it has, in bytes: a guest that grows
// needs not ask at each page.
const leftAside = 2 << 20

// trim gives back what is set aside and not needed.
func (s *share) trim() {
	use, err := s.m.backend.MemoryUse(s.in.handle)
	if err != nil || use.Granted <= leftAside {
		return
	}
	if _, err := s.m.backend.Grant(s.in.handle, -int64(use.Granted-leftAside)); err == nil {
		s.match(0, true)
	}
}

// activity is what of its memory a guest has touched lately, by the accessed flags of the nested page table: a page of
// 2 MiB counts as a whole.
type activity struct {
	known bool
	bytes uint64 // of the last looks at all of the memory
	sum   uint64 // of the one that is under way
}

// lookCalls bounds one look, in calls of Sample: 32 GiB in pages of 2 MiB.
const lookCalls = 16

func (a *activity) look(b Backend, s *share) {
	for range lookCalls {
		_, touched, last, err := b.Sample(s.in.handle)
		if err != nil {
			a.known = false
			return
		}
		a.sum += touched
		if last {
			// It falls slowly: what isn't touched within a second may well be soon.
			a.known, a.bytes, a.sum = true, max(a.sum, (a.bytes-a.bytes/8)&^(mem.PageSize-1)), 0
			return
		}
	}
}
