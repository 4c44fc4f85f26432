package mem

import "slices"

// Home chooses the NUMA node of a VM: of those on which it fits wholly, the one that leaves the most free; else, where it
// must span nodes, the one from which on it needs the fewest; of equals the one with the most free. free has each node's
// free pages, order for each node all of them, itself first and then the nearest, and allowed the nodes of the processors
// that the VM may run on; nil is all. A host without an SRAT has one node.
func Home(pages uint64, free []uint64, order [][]uint8, allowed []int) int {
	best, bestSpan := -1, 0
	for node := range free {
		if allowed != nil && !slices.Contains(allowed, node) {
			continue
		}
		span, left := 0, pages
		for _, n := range order[node] {
			span++
			if left -= min(left, free[n]); left == 0 {
				break
			}
		}
		if best < 0 || span < bestSpan || span == bestSpan && free[node] > free[best] {
			best, bestSpan = node, span
		}
	}
	return max(best, 0)
}
