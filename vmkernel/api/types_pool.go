package api

import "keel/vmkernel/seed"

// Pool is a pool of VMs and what it has of the host. Processors are counted in thousandths of a logical one, memory in bytes.
type Pool struct {
	Name      string     `json:"name"`
	Parent    string     `json:"parent,omitempty"` // a pool's name; empty: the host itself
	CPU       seed.Share `json:"cpu"`
	Memory    seed.Share `json:"memory"`
	VMs       int        `json:"vms"`       // that are in it for processors, for memory or for both, running or not
	Used      uint64     `json:"usedNS"`    // processor time of all VMs that were in it, or in a pool in it
	Reserved  uint64     `json:"reserved"`  // thousandths of a processor that are kept for it: its reservation, or what running VMs in it reserve if that is more
	Granted   uint64     `json:"granted"`   // bytes of memory that its VMs hold
	Committed uint64     `json:"committed"` // bytes of memory that are kept for it: held or reserved, with what its VMs cost beyond their memory
}

// Pools is the answer to a list of them, parents first.
type Pools struct {
	Pools []Pool `json:"pools"`
}

// PoolPolicy is what a pool is to have, as a seed's host says it of a pool, in JSON; what is left out is as there.
type PoolPolicy struct {
	CPU    seed.Share `json:"cpu"`
	Memory seed.Share `json:"memory"`
}
