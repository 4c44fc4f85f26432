package vm

import (
	"keel/vmkernel/mem"
	"keel/vmkernel/sys"
)

// MemoryStats is how a running VM stands with the host's memory. Amounts are in bytes.
type MemoryStats struct {
	Size        uint64
	Shares      uint64
	Reservation uint64
	Limit       uint64 // 0: none
	Granted     uint64 // it holds them: Resident, and what is set aside for it
	Resident    uint64 // of its memory, what is there
	Large       uint64 // of Resident, in pages of 2 MiB or 1 GiB
	Active      uint64 // of Resident, in pages that the guest touched of late; where ActiveKnown
	ActiveKnown bool   // false: the processor doesn't keep it, or nobody has looked yet
	Target      uint64 // what it is to hold at most
	Ballooned   uint64 // what its balloon holds, as the guest says
	Balloon     bool   // it has a driver for its balloon
	Overhead    uint64 // what it costs beyond its memory: page tables, virtual processors
	SetAside    uint64 // what Overhead can become at most
	Node        int    // the NUMA node that its memory comes from while there is any
	Waiting     int    // virtual processors that wait for memory
}

// MemoryStats says how the VM's memory stands, and whether the VM runs.
func (v *VM) MemoryStats() (st MemoryStats, running bool) {
	v.mu.Lock()
	r := v.run
	if r == nil || r.in == nil || r.in.share == nil {
		v.mu.Unlock()
		return st, false
	}
	in := r.in
	v.mu.Unlock()
	state := in.board.balloon.State()
	s := in.share
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if !s.begun {
		return st, false
	}
	use, err := s.m.backend.MemoryUse(s.in.handle) // of in, or of the next instance of the VM
	if err != nil {
		return st, false
	}
	b := s.guest.Budget()
	return MemoryStats{
		Size: in.spec.Memory.Size, Shares: b.Shares, Reservation: b.Reservation * mem.PageSize, Limit: b.Limit * mem.PageSize,
		Granted: use.Resident + use.Granted, Resident: use.Resident, Large: use.Large,
		Active: min(s.active.bytes, use.Resident), ActiveKnown: s.active.known,
		Target: s.guest.Target() * mem.PageSize, Ballooned: uint64(state.Actual) * mem.PageSize, Balloon: state.Running,
		Overhead: use.Overhead, SetAside: s.costs, Node: s.node, Waiting: s.wait.waiting(),
	}, true
}

// HostMemory is how the host's memory stands. Amounts are in bytes.
type HostMemory struct {
	Total      uint64 // page frames
	Keel       uint64 // taken by the host itself
	Free       uint64 // nobody has them
	Clean      uint64 // of Free, zeroed
	VMs        uint64 // what VMs can have together, with what they cost; 0 until there was one
	Granted    uint64 // what VMs hold
	Unreserved uint64 // of VMs, what nobody holds or has reserved
	Pressure   bool   // there is so little that VMs grow slowly
	Nodes      []NodeMemory
}

// NodeMemory is the memory of a NUMA node.
type NodeMemory struct {
	Domain             uint64 // ACPI's number
	Total, Free, Clean uint64
}

// MemoryStats says how the host's memory stands.
func (m *Manager) MemoryStats() HostMemory {
	h := m.host.memory
	h.mu.Lock()
	defer h.mu.Unlock()
	st := HostMemory{Keel: h.backend.UsedMemory()}
	nodes := h.backend.Nodes()
	for _, n := range nodes.Node[:min(nodes.N, sys.MaxNodes)] {
		st.Nodes = append(st.Nodes, NodeMemory{n.Domain, n.Total, n.Free, n.Clean})
		st.Total, st.Free, st.Clean = st.Total+n.Total, st.Free+n.Free, st.Clean+n.Clean
	}
	if h.tree != nil {
		st.VMs, st.Unreserved, st.Pressure = h.tree.Pages()*mem.PageSize, h.tree.Unreserved()*mem.PageSize, h.tree.Pressure()
		for _, s := range h.shares {
			st.Granted += s.guest.Granted() * mem.PageSize
		}
	}
	return st
}
