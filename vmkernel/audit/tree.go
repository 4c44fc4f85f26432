package audit

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrForgotten says that hashes which a proof needs aren't kept any more.
var ErrForgotten = errors.New("audit: the log no longer keeps the hashes for so old a head")

// How many hashes are kept. Level 0 has one for each record, level l one for 2^l records.
//
// A proof that a log of n records goes on from an older one of m needs hashes beside the path to record m-1, so with
// all of them a log would grow by 64 bytes a record for ever. Each level keeps its latest alone: level 0 as many as
// there can be records (maxRecords) and some, and each level above half of that, but no fewer than minHashes. A proof
// then reaches back by some minHashes<<l records at level l. Of those that leave, the ones that proofs for heads
// which clients have got would need are pinned: 2 a level and head, so a client that comes back after a year can
// still check.
const (
	ring0     = 16384
	minHashes = 1024
	maxLevels = 63
	maxHeads  = 256 // heads remembered for clients
)

// tree holds the hashes of a Merkle tree of n leaves.
type tree struct {
	n      int64
	levels [][]tlog.Hash // of each level the latest, a ring once full: node i is at i modulo ring(level)
	heads  []int64       // sizes that clients have got, ascending
	pins   map[int64]tlog.Hash
}

// ring is how many hashes a level keeps.
func ring(level int) int64 { return max(ring0>>level, int64(minHashes)) }

// add appends a leaf.
func (t *tree) add(h tlog.Hash) {
	i := t.n
	t.n++
	for level := 0; ; level++ {
		t.put(level, i, h)
		if i&1 == 0 {
			return
		}
		left, _ := t.get(level, i-1) // there: no ring is shorter than 2
		h = tlog.NodeHash(left, h)
		i >>= 1
	}
}

// put stores node i of a level, in place of one that is pinned if a head needs it.
func (t *tree) put(level int, i int64, h tlog.Hash) {
	if level == len(t.levels) {
		t.levels = append(t.levels, nil)
	}
	l := t.levels[level]
	size := ring(level)
	if int64(len(l)) < size {
		t.levels[level] = append(l, h)
		return
	}
	if old := i - size; t.needed(level, old) {
		if t.pins == nil {
			t.pins = map[int64]tlog.Hash{}
		}
		t.pins[tlog.StoredHashIndex(level, old)] = l[i%size]
	}
	l[i%size] = h
}

// get returns node i of a level.
func (t *tree) get(level int, i int64) (tlog.Hash, bool) {
	if level < len(t.levels) {
		if n := t.n >> level; i < n && i >= n-ring(level) {
			return t.levels[level][i%ring(level)], true
		}
	}
	h, ok := t.pins[tlog.StoredHashIndex(level, i)]
	return h, ok
}

// needed says whether a proof for a head would need node i of a level. For a head of m records such nodes are,
// at each level, that on the path to record m-1 and its sibling.
func (t *tree) needed(level int, i int64) bool {
	lo := i &^ 1 << level
	k, _ := slices.BinarySearch(t.heads, lo+1) // the first head that has record lo
	return k < len(t.heads) && t.heads[k] <= lo+2<<level
}

// handOut remembers that a client has got the head of the tree as it is.
func (t *tree) handOut() {
	if k := len(t.heads); t.n == 0 || k > 0 && t.heads[k-1] == t.n {
		return
	}
	if len(t.heads) == maxHeads {
		// Every other one of the older half goes: those that are left reach as far back as before.
		k := 0
		for i, n := range t.heads {
			if i >= maxHeads/2 || i&1 == 0 {
				t.heads[k] = n
				k++
			}
		}
		t.heads = t.heads[:k]
		for x := range t.pins {
			if level, i := tlog.SplitStoredHashIndex(x); !t.needed(level, i) {
				delete(t.pins, x)
			}
		}
	}
	t.heads = append(t.heads, t.n)
}

// ReadHashes is tlog.HashReader.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for k, x := range indexes {
		level, i := tlog.SplitStoredHashIndex(x)
		h, ok := t.get(level, i)
		if !ok {
			return nil, fmt.Errorf("%w: hash %d of level %d", ErrForgotten, i, level)
		}
		hashes[k] = h
	}
	return hashes, nil
}

func (t *tree) root() tlog.Hash {
	h, err := tlog.TreeHash(t.n, t)
	if err != nil {
		panic(err) // the right edge is always kept
	}
	return h
}

// prefix returns the hashes of the complete subtrees that make up the first n records, the largest first.
func (t *tree) prefix(n int64) ([]tlog.Hash, error) {
	return t.ReadHashes(subtrees(n))
}

// subtrees lists the stored indexes of the complete subtrees that make up the first n records, the largest first:
// one for each bit of n.
func subtrees(n int64) []int64 {
	var list []int64
	for level := maxLevels - 1; level >= 0; level-- {
		if n>>level&1 == 1 {
			list = append(list, tlog.StoredHashIndex(level, n>>level-1))
		}
	}
	return list
}

// head is the tree as a checkpoint has it.
func (t *tree) head() tlog.Tree { return tlog.Tree{N: t.n, Hash: t.root()} }
