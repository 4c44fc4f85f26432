package machines

import (
	"keel/vmkernel/api"
	"keel/vmkernel/seed"
	"keel/vmkernel/vm"
)

// Pools are the Manager's, with what they have had.
func (s VMs) Pools() []api.Pool {
	stats, in := map[string]vm.PoolStats{}, map[string]int{}
	for _, p := range s.m.PoolStats() {
		stats[p.Name] = p
	}
	for _, v := range s.m.List() {
		spec := v.Spec()
		in[spec.CPU.Pool]++
		if spec.Memory.Pool != spec.CPU.Pool {
			in[spec.Memory.Pool]++
		}
	}
	var list []api.Pool
	for _, p := range s.m.Pools() {
		has := stats[p.Name]
		list = append(list, api.Pool{Name: p.Name, Parent: p.Parent, CPU: p.CPU, Memory: p.Memory, VMs: in[p.Name],
			Used: has.Used, Reserved: has.Reserved, Granted: has.Granted, Committed: has.Committed})
	}
	return list
}

// SetPool changes what a pool has.
func (s VMs) SetPool(name string, cpu, memory seed.Share) error {
	return fault(s.m.SetPool(name, cpu, memory))
}
