package vm

import (
	"maps"
	"slices"

	"keel/vmkernel/mem"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
)

// PoolStats is what a pool has had of the host, and the pools in it.
type PoolStats struct {
	Name      string
	Used      uint64 // ns of processor time, of all VMs that were in it
	Paced     bool   // of seed.SystemPool: it is above its limit
	Granted   uint64 // bytes of memory that its VMs hold
	Committed uint64 // bytes of memory that are kept for it: Granted or reserved, with what its VMs cost beyond
	Reserved  uint64 // thousandths of a processor that are kept for it: reserved by it, or by what is in it if that is more
}

// PoolStats says it of Keel's own threads, which come first, and of each pool by its name.
func (m *Manager) PoolStats() []PoolStats {
	var list []PoolStats
	add := func(name string, id sys.Pool) {
		var s sys.PoolStats
		if m.host.processors.backend.PoolStats(id, &s) == nil {
			list = append(list, PoolStats{Name: name, Used: s.Used, Paced: s.Paced != 0, Reserved: m.host.processors.reserved(name)})
		}
	}
	add(seed.SystemPool, sys.SystemPool)
	p := m.host.processors
	p.mu.Lock()
	pools := maps.Clone(p.pools)
	p.mu.Unlock()
	delete(pools, "") // the host itself
	for _, name := range slices.Sorted(maps.Keys(pools)) {
		add(name, pools[name])
	}
	h := m.host.memory
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range list {
		if s := &list[i]; h.tree != nil && s.Name != seed.SystemPool {
			granted, committed := h.tree.PoolUse(s.Name)
			s.Granted, s.Committed = granted*mem.PageSize, committed*mem.PageSize
		}
	}
	return list
}
