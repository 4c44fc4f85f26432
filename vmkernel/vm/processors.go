package vm

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sync"

	"keel/vmkernel/sched/admit"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
)

// processors is the host's processors as its VMs share them: what was admitted, so that it can be kept. Who runs when is
// the lower half's to decide.
//
// Its mutex is the last to be taken: with it held nothing is called but package admit and the Backend.
type processors struct {
	backend Backend

	mu    sync.Mutex
	tree  *admit.Tree         // of the VMs that are on, and of all pools; nil until there is one
	pools map[string]sys.Pool // by name
}

// A slot is a running VM's part of the processors.
type slot struct {
	p    *processors
	name string // as the tree knows it
	spec admit.Spec
	pool sys.Pool
	node int  // the NUMA node of its memory
	over bool // it was given back
}

func newProcessors(b Backend) *processors {
	return &processors{backend: b, pools: map[string]sys.Pool{"": 0}}
}

// init makes the tree. The mutex is held.
func (p *processors) init() (err error) {
	if p.tree == nil {
		n := p.backend.Processors()
		if p.tree, err = admit.New(n, int64(n)*sys.SystemRate, sys.HostCPU); err == nil {
			p.tree.Near(near(p.backend.Nodes()))
		}
	}
	return err
}

// near are the processors of the NUMA nodes that have any.
func near(nodes *sys.Nodes) (list [][]int) {
	for i := range nodes.Node[:min(nodes.N, sys.MaxNodes)] {
		if cpus := nodes.Node[i].CPUs; cpus != 0 {
			list = append(list, processorsOf(cpus))
		}
	}
	return list
}

// processorsOf are those of a set, a bit each.
func processorsOf(set uint64) (list []int) {
	for ; set != 0; set &= set - 1 {
		list = append(list, bits.TrailingZeros64(set))
	}
	return list
}

// poolNode and vmNode keep pools and VMs of one name apart in the tree, and say in errors what is meant.
func poolNode(name string) string {
	if name == "" {
		return ""
	}
	return "pool " + name
}

func vmNode(name string) string { return "VM " + name }

// addPool makes a pool known and has the lower half make it. Its parent comes before it.
func (p *processors) addPool(pool *seed.Pool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.init(); err != nil {
		return err
	}
	s := poolSpec(pool)
	if err := p.tree.Set(s); err != nil {
		return faultf(ErrNoProcessors, "processors: %v", err)
	}
	id, err := p.backend.CreatePool(policyOf(&s, p.pools[pool.Parent]))
	if err != nil {
		p.tree.Remove(s.Name)
		return fmt.Errorf("vm: pool %s can't be made: %w", pool.Name, err)
	}
	p.pools[pool.Name] = id
	return nil
}

// setPool changes what a pool has, at once, or says with the numbers why that can't be.
func (p *processors) setPool(old, to *seed.Pool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := poolSpec(to)
	if err := p.tree.Set(s); err != nil {
		return faultf(ErrNoProcessors, "processors: %v", err)
	}
	if err := p.backend.SetPool(p.pools[to.Name], policyOf(&s, p.pools[to.Parent])); err != nil {
		return errors.Join(fmt.Errorf("vm: processors of pool %s: %w", to.Name, err), p.tree.Set(poolSpec(old)))
	}
	return nil
}

// reserved is what is kept for a pool, in thousandths of a processor.
func (p *processors) reserved(pool string) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tree == nil {
		return 0
	}
	return uint64(p.tree.Committed(poolNode(pool)))
}

// poolSpec is what a pool's description says of processors.
func poolSpec(pool *seed.Pool) admit.Spec {
	s := admit.Spec{Name: poolNode(pool.Name), Pool: poolNode(pool.Parent), IsPool: true,
		Shares: int64(pool.CPU.Shares), Reservation: int64(pool.CPU.Reservation), Limit: int64(pool.CPU.Limit)}
	if s.Shares == 0 {
		s.Shares = seed.PoolCPUShares
	}
	return s
}

// specOf is what a VM's description says of processors. VMs of tests may have no shares.
func specOf(node string, c *seed.CPU) admit.Spec {
	s := admit.Spec{Name: node, Pool: poolNode(c.Pool), Shares: int64(c.Shares), Reservation: int64(c.Reservation), Limit: int64(c.Limit),
		VCPUs: c.Count, Affinity: c.Affinity, Exclusive: c.Exclusive}
	if s.Shares == 0 {
		s.Shares = int64(c.Count) * seed.SharesPerCPU
	}
	return s
}

// policyOf is an admitted node as the lower half takes it.
func policyOf(s *admit.Spec, pool sys.Pool) *sys.CPUPolicy {
	c := &sys.CPUPolicy{Shares: uint32(s.Shares), Reservation: uint32(s.Reservation), Limit: uint32(s.Limit), Pool: pool}
	for _, i := range s.Affinity {
		c.Affinity |= 1 << i // admit has seen that the host has it
	}
	if s.Exclusive {
		c.Exclusive = 1
	}
	return c
}

// admit takes in a VM that is to be started, or says with the numbers why it can't be.
func (p *processors) admit(spec *seed.VM) (*slot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.init(); err != nil {
		return nil, err
	}
	s, err := p.take(specOf(p.free(spec.Name, spec.ID), &spec.CPU))
	if err != nil {
		return nil, err
	}
	return &slot{p: p, name: s.Name, spec: s, pool: p.pools[spec.CPU.Pool]}, nil
}

// free is a node that no VM has yet, for one of that name. The name's own may be another's for a moment: of one that is being
// started, and was renamed meanwhile.
func (p *processors) free(name, id string) string {
	node := vmNode(name)
	if p.tree.Has(node) {
		node += " (" + id + ")"
	}
	return node
}

// rename has errors name a running VM as it is called now.
func (s *slot) rename(name, id string) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if node := s.p.free(name, id); s.name != vmNode(name) && s.p.tree.Rename(s.name, node) == nil {
		s.name, s.spec.Name = node, node
	}
}

// take has the tree admit a VM, or a change of one, and returns it with the processors that it has for itself. The mutex is
// held.
func (p *processors) take(s admit.Spec) (admit.Spec, error) {
	s, err := p.tree.Place(s)
	if err == nil {
		err = p.tree.Set(s)
	}
	if err != nil {
		return s, faultf(ErrNoProcessors, "processors: %v", err)
	}
	return s, nil
}

// policy is what the VM's machine is made with.
func (s *slot) policy() sys.CPUPolicy { return *policyOf(&s.spec, s.pool) }

// settle notes the NUMA node of the VM's memory.
func (s *slot) settle(node int) {
	s.p.mu.Lock()
	s.node = node
	s.p.mu.Unlock()
}

// again has a part that was kept while its VM is restarted be the next instance's.
func (s *slot) again(spec *seed.VM) error {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	to, err := s.p.take(specOf(s.name, &spec.CPU))
	if err == nil {
		s.spec, s.pool = to, s.p.pools[spec.CPU.Pool]
	}
	return err
}

// end gives a VM's part back.
func (s *slot) end() {
	s.p.mu.Lock()
	if !s.over {
		s.p.tree.Remove(s.name)
	}
	s.over = true
	s.p.mu.Unlock()
}

// set changes what a running VM has, at once, or says with the numbers why that can't be.
func (s *slot) set(in *instance, c *seed.CPU) error {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.over {
		return nil // its machine has just ended, and nobody would give back what was admitted now
	}
	want := specOf(s.name, c)
	want.Home = processorsOf(s.p.backend.Nodes().Node[s.node].CPUs)
	to, err := s.p.take(want)
	if err != nil {
		return err
	}
	pool := s.p.pools[c.Pool]
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.gone {
		if err := s.p.backend.SetCPU(in.handle, policyOf(&to, pool)); err != nil {
			return errors.Join(fmt.Errorf("vm: processors of %s: %w", s.name, err), s.p.tree.Set(s.spec))
		}
	}
	s.spec, s.pool = to, pool
	return nil
}

// exclusive are the processors that the VM has for itself, nil for none.
func (s *slot) exclusive() []int {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if !s.spec.Exclusive {
		return nil
	}
	return slices.Sorted(slices.Values(s.spec.Affinity))
}

// check says whether a VM that is off, or is to be made, makes sense on this host. What others have reserved is looked at when it is started.
func (p *processors) check(spec *seed.VM) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.backend.Processors()
	alone, err := admit.New(n, int64(n)*sys.SystemRate, sys.HostCPU)
	if err != nil {
		return err
	}
	s := specOf(vmNode(spec.Name), &spec.CPU)
	s.Pool = ""
	s, err = alone.Place(s)
	if err == nil {
		err = alone.Set(s)
	}
	if err != nil {
		return faultf(ErrInvalid, "processors: %v", err)
	}
	return nil
}

// ProcessorUse is where the time of a VM's virtual processors went since it was switched on, in ns, summed over them: see
// sys.WorldStats.
type ProcessorUse struct {
	Used, Ready, Limited, Paused, Blocked, Stolen, Outside uint64
	LongestWait                                            uint64 // of one of them, for a processor
}

// use reads it. The instance's mutex is held, and there is a machine.
func (in *instance) use() (u ProcessorUse) {
	for i := range in.cpus {
		var s sys.WorldStats
		if in.backend.VCPUStats(in.handle, i, &s) != nil {
			continue
		}
		u.Used += s.Used
		u.Ready += s.Ready
		u.Limited += s.Limited
		u.Paused += s.Paused
		u.Blocked += s.Blocked
		u.Stolen += s.Stolen
		u.Outside += s.Outside
		u.LongestWait = max(u.LongestWait, s.MaxReady)
	}
	return u
}
