package server

import (
	"keel/vmkernel/api"
	"keel/vmkernel/seed"
)

// pools are the host's, as a VM's description is held against them.
func (s *Server) pools() []seed.Pool {
	var list []seed.Pool
	for _, p := range s.VMs.Pools() {
		list = append(list, seed.Pool{Name: p.Name, Parent: p.Parent, CPU: p.CPU, Memory: p.Memory})
	}
	return list
}

// decodePool reads what a pool is to have as a seed has it.
func decodePool(text []byte) (*api.PoolPolicy, error) {
	root, err := seed.ParseJSON(text)
	if err != nil {
		return nil, ofSeed(err)
	}
	var d seed.Decoder
	cpu, memory, problems := d.PoolPolicy(root)
	if len(problems) > 0 {
		return nil, ofSeed(problems)
	}
	return &api.PoolPolicy{CPU: cpu, Memory: memory}, nil
}

func listPools(c *call) (any, error) {
	list := c.s.VMs.Pools()
	if list == nil {
		list = []api.Pool{}
	}
	return api.Pools{Pools: list}, nil
}

// pool is the one that the path names.
func (c *call) pool() (api.Pool, error) {
	name := c.variable("pool")
	for _, p := range c.s.VMs.Pools() {
		if p.Name == name {
			return p, nil
		}
	}
	return api.Pool{}, failf(api.CodeNotFound, "there is no pool %s: /v1/pools lists them, and the host's seed names them", quote(name))
}

func poolTag(p *api.Pool) string { return tagOf(api.PoolPolicy{CPU: p.CPU, Memory: p.Memory}) }

func getPool(c *call) (any, error) {
	p, err := c.pool()
	if err != nil {
		return nil, err
	}
	c.tag(poolTag(&p))
	return p, nil
}

func setPool(c *call) (any, error) {
	in := c.in.(*api.PoolPolicy)
	c.s.changing.Lock()
	defer c.s.changing.Unlock()
	p, err := c.pool()
	if err != nil {
		return nil, err
	}
	if err := c.match(poolTag(&p)); err != nil {
		return nil, err
	}
	if err := c.s.VMs.SetPool(p.Name, in.CPU, in.Memory); err != nil {
		return nil, err
	}
	c.s.hostEvent("host.pool", "", map[string]string{"by": c.id.Name, "pool": p.Name})
	return getPool(c)
}
