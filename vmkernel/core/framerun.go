package core

import (
	"math/bits"

	"keel/arch/amd64"
)

// allocPages takes n consecutive frames for o, zeroed, n at most 512; 0 means that there are none.
// Only for structures that the processor or a device wants in one piece.
func allocPages(n int, o owner) uint64 {
	pa, zero := takePages(n, o)
	for i := 0; pa != 0 && !zero && i < n; i++ {
		*phys[page](pa + uint64(i)*amd64.PageSize) = page{}
	}
	return pa
}

// takePages takes n consecutive frames for o, which needn't have been set aside for it, and says whether they are
// known to be zero; 0 means that there are none. A block that is split already goes before a whole one: else every few
// such frames would split another, until there is none.
func takePages(n int, o owner) (pa uint64, zero bool) {
	frames.lock.lock()
	i, first := findPages(n, o.home())
	if i == noBlock {
		frames.lock.unlock()
		return 0, false
	}
	b := blockAt(i)
	frames.lists[b.node][b.list].remove(i) // before used changes what it counts for
	b.used = true
	clean := 0
	for f := first; f < first+n; f++ {
		w, bit := f/64, uint64(1)<<(f%64)
		if b.clean[w]&bit != 0 {
			clean++
		}
		b.free[w] &^= bit
		b.clean[w] &^= bit
	}
	relist(i, -n, -clean)
	pa = uint64(i)*amd64.HugeSize + uint64(first)*amd64.PageSize
	o.got(pa/amd64.PageSize, uint64(n))
	frames.lock.unlock()
	return pa, clean == n
}

// splitLook is how many of a node's split blocks are looked at for consecutive frames: those that were split, or given
// something back, last.
const splitLook = 8

// findPages finds n consecutive free frames, nearest to node home: their block, noBlock for none, and the first of them.
// The lock is held.
func findPages(n int, home uint8) (i uint32, first int) {
	for k := 0; k < numNodes; k++ {
		lists := &frames.lists[nodes[home].order[k]]
		i = lists[listSplit].head
		for look := 0; i != noBlock && look < splitLook; look++ {
			b := blockAt(i)
			if first = b.run(n); first >= 0 {
				return i, first
			}
			i = b.next
		}
		if i = lists[listDirty].head; i == noBlock { // whole blocks of zeros are for VMs
			i = lists[listClean].head
		}
		if i != noBlock {
			return i, 0
		}
	}
	return noBlock, 0
}

// run finds n consecutive free frames of a block within a word of its bits, -1 for none.
func (b *block) run(n int) int {
	if n > 64 {
		return -1
	}
	for w, x := range b.free {
		for k := 1; k < n && x != 0; k++ {
			x &= x >> 1 // a bit for each that k more follow
		}
		if x != 0 {
			return w*64 + bits.TrailingZeros64(x)
		}
	}
	return -1
}
