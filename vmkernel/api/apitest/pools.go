package apitest

import (
	"slices"

	"keel/vmkernel/api"
	"keel/vmkernel/seed"
)

// AddPools adds pools, parents first.
func (f *VMs) AddPools(pools ...seed.Pool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range pools {
		f.pools = append(f.pools, api.Pool{Name: p.Name, Parent: p.Parent, CPU: p.CPU, Memory: p.Memory, Used: 3e9, Granted: 12 << 20, Committed: 16 << 20})
	}
}

// Pools is the server's, as is SetPool.
func (f *VMs) Pools() []api.Pool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.pools)
}

// SetPool refuses what is more than four processors, as a machine that has them does.
func (f *VMs) SetPool(name string, cpu, memory seed.Share) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.pools {
		p := &f.pools[i]
		if p.Name != name {
			continue
		}
		if cpu.Reservation > 4*seed.Processor {
			return failf(api.CodeFull, "processors: pool %s: reservation: %s: the machine has 4 processors: 400%%", name, seed.FormatPercent(cpu.Reservation))
		}
		p.CPU, p.Memory, p.Reserved = cpu, memory, cpu.Reservation
		return nil
	}
	return failf(api.CodeNotFound, "there is no pool %s", name)
}
