package core

import (
	"keel/arch/amd64"
	"keel/boot/acpi"
	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
)

// NUMA nodes are the proximity domains of the SRAT that have memory, in the order of their numbers;
// a machine without an SRAT, or with one that contradicts itself, has one. A block of page frames is
// of the node that its first byte is of, and what the SRAT doesn't name is node 0's, as are processors of domains without memory.
const maxNodes = sys.MaxNodes

// A node's order has all nodes, itself first and then the next ones, so that not all fall back on node 0: how
// far they are from each other (the SLIT) isn't looked at. Free and clean frames are counted
// under the frames' lock.
type node struct {
	domain             uint32
	total, free, clean uint64 // frames
	order              [maxNodes]uint8
}

var (
	nodes    [maxNodes]node
	numNodes = 1
)

// initNodes finds the nodes and sorts the blocks of page frames to them; nobody uses these yet but the
// processor that starts.
func initNodes(t *acpi.Tables) {
	nodes[0].total = frames.total
	if t.Has&acpi.HasSRAT == 0 {
		return
	}
	numNodes = 0
	for i := uint32(0); i < t.NumAffinities; i++ {
		addNode(t.Affinities[i].Domain)
	}
	for i := 0; i < numNodes; i++ {
		for k := 0; k < numNodes; k++ {
			nodes[i].order[k] = uint8((i + k) % numNodes)
		}
	}
	for i := uint32(0); i < frames.n; i++ {
		pa := uint64(i) * amd64.HugeSize
		for k := uint32(0); k < t.NumAffinities; k++ {
			if a := &t.Affinities[k]; pa >= a.Base && pa-a.Base < a.Length {
				moveBlock(i, nodeOf(a.Domain))
			}
		}
	}
}

// addNode enters a domain in the order of numbers, if there is room and it isn't there.
func addNode(domain uint32) {
	at := 0
	for at < numNodes && nodes[at].domain < domain {
		at++
	}
	if numNodes == maxNodes || at < numNodes && nodes[at].domain == domain {
		return
	}
	for i := numNodes; i > at; i-- {
		nodes[i].domain = nodes[i-1].domain
	}
	nodes[at].domain = domain
	numNodes++
}

func nodeOf(domain uint32) uint8 {
	for i := 0; i < numNodes; i++ {
		if nodes[i].domain == domain {
			return uint8(i)
		}
	}
	return 0
}

// moveBlock makes block i one of another node.
func moveBlock(i uint32, to uint8) {
	b := blockAt(i)
	if b.node == to {
		return
	}
	if b.list != listNone {
		frames.lists[b.node][b.list].remove(i)
	}
	from, n := &nodes[b.node], &nodes[to]
	from.total -= uint64(b.usable)
	n.total += uint64(b.usable)
	from.free -= uint64(b.count)
	n.free += uint64(b.count)
	from.clean -= uint64(b.zero)
	n.clean += uint64(b.zero)
	b.node = to
	relist(i, 0, 0)
}

// callNodes tells what each node has.
func callNodes(p uintptr) int64 {
	if !ensure(p, nodesSize, true) {
		return -int64(linux.EFAULT)
	}
	out := at[sys.Nodes](p)
	out.N = uint64(numNodes)
	for i := 0; i < numNodes; i++ {
		n, o := &nodes[i], &out.Node[i]
		o.Domain, o.Total, o.Free, o.Clean = uint64(n.domain), n.total*amd64.PageSize, n.free*amd64.PageSize, n.clean*amd64.PageSize
		o.CPUs, o.Order = 0, n.order
	}
	for i := 0; i < nCPUs; i++ {
		out.Node[nodeOfCPU(&tables, cpus[i].apicID)].CPUs |= 1 << i
	}
	return 0
}

// nodeOfCPU is the node of the processor with a local APIC ID.
func nodeOfCPU(t *acpi.Tables, id uint32) uint8 {
	for i := uint32(0); i < t.NumCPUDomains; i++ {
		if d := &t.CPUDomains[i]; d.APICID == id {
			return nodeOf(d.Domain)
		}
	}
	return 0
}
