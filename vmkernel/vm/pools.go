package vm

import (
	"errors"
	"slices"
	"strings"

	"keel/vmkernel/seed"
)

// AddPools makes pools known, parents first. It is called before VMs are started. A pool that the host has too little of
// processors or of memory for isn't there, nor are those in it: the error says why.
func (m *Manager) AddPools(pools []seed.Pool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []error
	for i := range pools {
		p := &pools[i]
		err := m.host.memory.addPool(p)
		if err == nil {
			if err = m.host.processors.addPool(p); err != nil {
				m.host.memory.dropPool(p.Name)
			}
		}
		if err == nil {
			m.pools = append(m.pools, *p)
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

// Pools are the host's pools as they are now, parents first.
func (m *Manager) Pools() []seed.Pool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.pools)
}

// SetPool changes what a pool has of its parent's processors and memory, which are in range as the seed's Decoder makes them. It
// takes effect at once, and lasts until the host restarts. Errors: ErrNotFound, and with the numbers ErrNoProcessors and
// ErrNoMemory; then nothing has changed.
func (m *Manager) SetPool(name string, cpu, memory seed.Share) error {
	defer m.Hold()()
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.pools, func(p seed.Pool) bool { return p.Name == name })
	if i < 0 {
		return faultf(ErrNotFound, "there is no pool %s: %s", name, m.poolNames())
	}
	old, to := m.pools[i], m.pools[i]
	to.CPU, to.Memory = cpu, memory
	if err := m.host.memory.setPool(&to); err != nil {
		return err
	}
	if err := m.host.processors.setPool(&old, &to); err != nil {
		return errors.Join(err, m.host.memory.setPool(&old)) // it had that before
	}
	m.pools[i] = to
	return nil
}

// poolNames says which pools there are. The Manager's mutex is held.
func (m *Manager) poolNames() string {
	if len(m.pools) == 0 {
		return "the host has none; its seed names them, under pools"
	}
	var names []string
	for _, p := range m.pools {
		names = append(names, p.Name)
	}
	return "the host has " + strings.Join(names, ", ")
}

func (h *memory) addPool(p *seed.Pool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.init(); err != nil {
		return err
	}
	if err := h.tree.AddPool(p.Name, p.Parent, budget(p.Memory, 0)); err != nil {
		return refused(err)
	}
	return nil
}

func (h *memory) dropPool(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tree.DropPool(name)
}

// setPool changes what a pool has of memory, or says with the numbers why that can't be.
func (h *memory) setPool(p *seed.Pool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.init(); err != nil {
		return err
	}
	if err := h.tree.SetPool(p.Name, budget(p.Memory, 0)); err != nil {
		return refused(err)
	}
	h.policyChanged()
	return nil
}
