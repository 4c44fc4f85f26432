package mem

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// PageSize is what the package counts in, in bytes.
const PageSize = 4096

// Limits of what a Tree takes: products of shares and pages then stay below 2⁸⁴.
const (
	MaxPages  = 1 << 40 // of anything
	MaxShares = 1 << 24
	MaxDepth  = 9 // of a VM below the host, pools between included
)

// A Budget is what a VM or a pool has of its parent's memory, in pages.
type Budget struct {
	Shares      uint64 // against those of siblings; 1 to MaxShares
	Reservation uint64 // there at once, always
	Limit       uint64 // never exceeded; 0: none
}

// Check says what of b a VM of so many pages can't have, wherever it is.
func (b Budget) Check(pages uint64) error {
	if err := b.check(); err != nil {
		return err
	}
	if b.Reservation > pages {
		return fmt.Errorf("reservation of %s is more than its memory, %s", size(b.Reservation), size(pages))
	}
	return nil
}

func (b *Budget) check() error {
	switch {
	case b.Shares < 1 || b.Shares > MaxShares:
		return fmt.Errorf("%d shares are not possible: give 1 to %d", b.Shares, MaxShares)
	case b.Reservation > MaxPages:
		return fmt.Errorf("reservation of %s is above the maximum of %s", size(b.Reservation), size(MaxPages))
	case b.Limit > MaxPages:
		return fmt.Errorf("limit of %s is above the maximum of %s", size(b.Limit), size(MaxPages))
	case b.Limit != 0 && b.Limit < b.Reservation:
		return fmt.Errorf("limit of %s is below the reservation of %s: raise the limit or lower the reservation", size(b.Limit), size(b.Reservation))
	}
	return nil
}

// A node is the host, a pool or a VM.
//
// committed is what its parent must keep for it: the larger of its reservation and what it uses, where a pool uses what
// its children have committed, and a VM what it has been granted, plus its overhead.
type node struct {
	name     string
	parent   *node
	children []*node
	budget   Budget
	overhead uint64 // of a VM
	uses     uint64 // VM: granted; else the sum of the children's committed
	granted  uint64 // to the VM, or to all below
	guest    *Guest // of a VM
}

func (n *node) committed() uint64 { return n.overhead + max(n.budget.Reservation, n.uses) }

// most is how many pages a node may be granted.
func (n *node) most() uint64 {
	if n.budget.Limit == 0 {
		return math.MaxUint64
	}
	return n.budget.Limit
}

// add changes what n uses, which can't make it less than nothing, and what follows for the nodes above.
func (n *node) add(pages int64) {
	for ; n != nil; n = n.parent {
		before := n.committed()
		n.uses = uint64(int64(n.uses) + pages)
		pages = int64(n.committed()) - int64(before)
	}
}

// short returns the pool, or the host, that can't commit what VM n would use with more pages; nil where all can.
func (n *node) short(pages uint64) *node {
	for n.parent != nil {
		pages = n.overhead + max(n.budget.Reservation, n.uses+pages) - n.committed()
		n = n.parent
		if n.uses+pages > n.most() && pages != 0 {
			return n
		}
	}
	return nil
}

// A Tree is a host's memory with the pools and VMs that share it. Its methods must not be called at once.
type Tree struct {
	host  node
	pools map[string]*node
	names map[string]*node // of VMs

	low, high uint64 // see Balance
	pressure  bool
	held      uint64 // pages, see Hold
	sum       uint64 // of the targets of the last Balance
}

// New returns a Tree of a host that has so many pages for VMs and what they cost: Keel's own are not among them.
func New(pages uint64) (*Tree, error) {
	if pages == 0 || pages > MaxPages {
		return nil, fmt.Errorf("mem: a host with %d pages is not possible: 1 to %d are", pages, uint64(MaxPages))
	}
	t := &Tree{pools: map[string]*node{}, names: map[string]*node{}}
	t.host.name = "the host"
	t.host.budget = Budget{Shares: 1, Limit: pages}
	t.high = max(pages/highShare, min(highLeast, pages/4))
	t.low = t.high / 2
	return t, nil
}

// Pages is how many pages there are, but for those that are held.
func (t *Tree) Pages() uint64 { return t.host.budget.Limit }

// Hold takes pages away for the host's own use; Drop gives them back.
func (t *Tree) Hold(pages uint64) error {
	if left := t.Unreserved(); pages >= t.Pages() || pages > left {
		return fmt.Errorf("mem: %s for the host itself are more than the %s that it has left (of %s): stop a VM or give the host more memory",
			size(pages), size(left), size(t.Pages()))
	}
	t.host.budget.Limit -= pages
	t.held += pages
	return nil
}

// Drop gives back pages that Hold took.
func (t *Tree) Drop(pages uint64) {
	pages = min(pages, t.held)
	t.host.budget.Limit += pages
	t.held -= pages
}

// Free is how many pages nobody holds.
func (t *Tree) Free() uint64 { return t.Pages() - t.host.granted - t.overheads() }

// Unreserved is how many of the free pages nobody has reserved.
func (t *Tree) Unreserved() uint64 { return t.Pages() - t.host.uses }

// Obtainable is how many pages a new VM in a pool, or below the host where pool is empty, could be granted, if all VMs that
// have a balloon gave back what isn't reserved for them: what is left, and what of its pools' reservations nobody uses.
func (t *Tree) Obtainable(pool string) uint64 {
	n, err := t.pool(pool)
	if err != nil {
		return 0
	}
	room := uint64(math.MaxUint64)
	for ; ; n = n.parent {
		has := n.reclaimable()
		if most := n.most(); n.uses < most {
			has += most - n.uses
		}
		room = min(room, has)
		if n.parent == nil {
			return room
		}
		if unused := n.budget.Reservation; unused > n.uses {
			room = min(room, t.Unreserved()+t.host.reclaimable()+unused-n.uses)
			return room
		}
	}
}

// reclaimable is what the VMs below n would give back.
func (n *node) reclaimable() (sum uint64) {
	if g := n.guest; g != nil {
		if g.sample.Balloon {
			sum = n.granted - min(n.granted, n.budget.Reservation)
		}
		return sum
	}
	for _, c := range n.children {
		sum += c.reclaimable()
	}
	return sum
}

func (t *Tree) overheads() (sum uint64) {
	for _, n := range t.names {
		sum += n.overhead
	}
	return sum
}

// AddPool adds a pool below another, or below the host where parent is empty. Its reservation is what its VMs have
// together at least; one VM's own may be above it, and then counts at the parent.
func (t *Tree) AddPool(name, parent string, b Budget) error {
	if err := b.check(); err != nil {
		return fmt.Errorf("mem: pool %s: %w", name, err)
	}
	above, err := t.pool(parent)
	switch {
	case err != nil:
		return fmt.Errorf("mem: pool %s: %w", name, err)
	case name == "" || t.pools[name] != nil:
		return fmt.Errorf("mem: there is a pool %q already: give this one another name", name)
	case above.depth() >= MaxDepth-1:
		return fmt.Errorf("mem: pool %s would be more than %d deep", name, MaxDepth-1)
	}
	n := &node{name: "pool " + name, parent: above, budget: b}
	if err := t.admit(n, 0); err != nil {
		return err
	}
	t.pools[name] = n
	return nil
}

// DropPool takes away a pool that nothing is in.
func (t *Tree) DropPool(name string) {
	if n := t.pools[name]; n != nil && len(n.children) == 0 {
		n.unlink()
		delete(t.pools, name)
	}
}

// SetPool changes what a pool has, or says why that can't be: then nothing has changed. A limit below what those in it hold
// or have reserved is refused: only their own limits make them give it back.
func (t *Tree) SetPool(name string, b Budget) error {
	n := t.pools[name]
	if n == nil {
		return fmt.Errorf("mem: there is no pool %q", name)
	}
	if err := b.check(); err != nil {
		return fmt.Errorf("mem: %s: %w", n.name, err)
	}
	if b.Limit != 0 && b.Limit < n.uses {
		return fmt.Errorf("mem: %s: limit of %s is below the %s that the VMs in it hold and have reserved: lower theirs first or stop one",
			n.name, size(b.Limit), size(n.uses))
	}
	parent, old := n.parent, n.budget
	n.unlink()
	n.budget = b
	err := t.fits(parent, n, n.committed())
	if err != nil {
		n.budget = old
	}
	n.link(parent)
	return err
}

func (t *Tree) pool(name string) (*node, error) {
	if name == "" {
		return &t.host, nil
	}
	if n := t.pools[name]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("there is no pool %q", name)
}

// PoolUse is how many pages the VMs in a pool hold, and how many are kept for it; none where there is no such pool.
func (t *Tree) PoolUse(name string) (granted, committed uint64) {
	if n := t.pools[name]; n != nil {
		return n.granted, n.committed()
	}
	return 0, 0
}

func (n *node) depth() (d int) {
	for ; n.parent != nil; n = n.parent {
		d++
	}
	return d
}

// unlink takes a VM or a pool with all that it holds out of its parent.
func (n *node) unlink() {
	n.parent.add(-int64(n.committed()))
	for at := n.parent; at != nil; at = at.parent {
		at.granted -= n.granted
	}
	i := slices.Index(n.parent.children, n)
	n.parent.children = slices.Delete(n.parent.children, i, i+1)
}

// link is the reverse.
func (n *node) link(parent *node) {
	n.parent = parent
	parent.children = append(parent.children, n)
	parent.add(int64(n.committed()))
	for at := parent; at != nil; at = at.parent {
		at.granted += n.granted
	}
}

// admit links n to its parent, if what it has to commit can be had.
func (t *Tree) admit(n *node, uses uint64) error {
	n.uses = uses
	if err := t.fits(n.parent, n, n.committed()); err != nil {
		n.uses = 0
		return err
	}
	n.parent.children = append(n.parent.children, n)
	n.parent.add(int64(n.committed()))
	return nil
}

// fits says why n's pages can't be committed below parent.
func (t *Tree) fits(parent, n *node, pages uint64) error {
	what := "a reservation of " + size(n.budget.Reservation)
	if n.uses > n.budget.Reservation {
		what = "what it holds, " + size(n.uses) + ","
	}
	if n.overhead != 0 {
		what += " and an overhead of " + size(n.overhead) + " are"
	} else {
		what += " is"
	}
	for at, needs := parent, pages; at != nil && needs != 0; at = at.parent {
		if at.uses+needs > at.most() {
			return fmt.Errorf("mem: %s: %s more than the %s that %s has left (of %s): reserve less, stop a VM or give %s more memory",
				n.name, what, size(at.most()-min(at.uses, at.most())), at.name, size(at.most()), at.name)
		}
		needs = max(at.budget.Reservation, at.uses+needs) - max(at.budget.Reservation, at.uses)
	}
	return nil
}

// Overhead is what a VM of so many pages and virtual processors costs at most beyond them, in pages, where its memory is
// mapped by 4 KiB: the nested page table and the upper half's window on it, 8 bytes a page each, what these have above
// that, and perCPU for each virtual processor.
func Overhead(pages, cpus, perCPU uint64) uint64 {
	const entries, levels, tables = 512, 4, 2
	sum := cpus * perCPU
	for range levels {
		pages = (pages + entries - 1) / entries
		sum += tables * pages
	}
	return sum
}

// size is a number of pages to read.
func size(pages uint64) string {
	switch {
	case pages >= MaxPages:
		return strconv.FormatUint(pages, 10) + " pages"
	case pages != 0 && pages%(256<<10) == 0:
		return strconv.FormatUint(pages/(256<<10), 10) + "GiB"
	case pages != 0 && pages%256 == 0:
		return strconv.FormatUint(pages/256, 10) + "MiB"
	case pages > 256:
		return strconv.FormatUint(pages/256, 10) + "." + strconv.FormatUint(pages%256*10/256, 10) + "MiB"
	}
	return strconv.FormatUint(pages*4, 10) + "KiB"
}
