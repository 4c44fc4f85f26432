package mem

import (
	"errors"
	"fmt"
)

// A VM is what Admit has to know. Amounts are in pages.
type VM struct {
	Name     string
	Pool     string // empty: below the host
	Size     uint64
	Overhead uint64 // what it costs beyond its memory: see Overhead
	Budget
}

// A Guest is a VM that was admitted, or is expected.
type Guest struct {
	tree   *Tree
	wants  *VM   // what it is to have once others have given that back, see Arrive; nil: it has it
	node   *node // nil once it was released
	name   string
	pool   string
	size   uint64
	sample Sample
	target uint64
	asked  uint64 // of its balloon: see BalloonTarget
	hungry bool   // it was refused pages since the last Balance
}

// Admit takes a VM, if its reservation and overhead can be had; it holds nothing yet. Where only memory that is lent to others
// is in the way, and those can give it back, the error is ErrLater, and there is a Guest: it is expected, and Arrive is to be called
// until it has come, or Release.
func (t *Tree) Admit(v VM) (*Guest, error) {
	if err := v.Budget.check(); err != nil {
		return nil, fmt.Errorf("mem: VM %s: %w", v.Name, err)
	}
	above, err := t.pool(v.Pool)
	switch {
	case err != nil:
		return nil, fmt.Errorf("mem: VM %s: %w", v.Name, err)
	case v.Size == 0 || v.Size > MaxPages || v.Overhead > MaxPages:
		return nil, fmt.Errorf("mem: VM %s: memory of %s with an overhead of %s is not possible", v.Name, size(v.Size), size(v.Overhead))
	case v.Reservation > v.Size:
		return nil, fmt.Errorf("mem: VM %s: %w", v.Name, v.Check(v.Size))
	case t.names[v.Name] != nil:
		return nil, fmt.Errorf("mem: there is a VM %s already", v.Name)
	}
	n := &node{name: "VM " + v.Name, parent: above, budget: v.Budget, overhead: v.Overhead}
	g := &Guest{tree: t, node: n, name: v.Name, pool: v.Pool, size: v.Size}
	n.guest = g
	err = t.admit(n, 0)
	if err != nil {
		if t.Obtainable(v.Pool) < v.Reservation+v.Overhead {
			return nil, err
		}
		g.wants, n.budget, n.overhead = &v, Budget{Shares: v.Shares}, 0
		n.link(above)
		err = ErrLater
	}
	t.names[v.Name] = n
	g.target = g.max()
	return g, err
}

// Arrive gives an expected guest its reservation and overhead, or as much of them as there is by now: others can't take that any
// more. What is free for those who are to give back stays so meanwhile. An error says what is missing still.
func (g *Guest) Arrive() error {
	v, n := g.wants, g.node
	if v == nil {
		return nil
	}
	parent, had := n.parent, n.budget.Reservation
	n.unlink()
	n.budget, n.overhead = v.Budget, v.Overhead
	err := g.tree.fits(parent, n, n.committed())
	if err == nil {
		g.wants = nil
	} else {
		n.budget, n.overhead = Budget{Shares: v.Shares, Reservation: had}, 0
		if left := g.tree.Unreserved(); left > had+g.tree.high {
			n.budget.Reservation = min(left-g.tree.high, v.Reservation+v.Overhead)
			if g.tree.fits(parent, n, n.committed()) != nil {
				n.budget.Reservation = had
			}
		}
	}
	n.link(parent)
	return err
}

// Release gives back all that g has. It is of no use afterwards.
func (g *Guest) Release() {
	t, n := g.tree, g.node
	if n == nil {
		return
	}
	g.Give(n.granted)
	n.unlink()
	delete(t.names, g.name)
	g.node = nil
}

// SetBudget changes what g has while it runs, or says why that can't be. A lower limit takes effect with the balloon.
func (g *Guest) SetBudget(b Budget) error { return g.Move(g.pool, b) }

// Move puts g into a pool, below the host where that is empty, with all that it holds, and changes what it has there, or says
// why that can't be: then nothing has changed.
func (g *Guest) Move(pool string, b Budget) error {
	n := g.node
	if err := b.Check(g.size); err != nil {
		return fmt.Errorf("mem: %s: %w", n.name, err)
	}
	to, err := g.tree.pool(pool)
	if err != nil {
		return fmt.Errorf("mem: %s: %w", n.name, err)
	}
	from, old := n.parent, n.budget
	n.unlink()
	n.budget = b
	if err := g.tree.fits(to, n, n.committed()); err != nil {
		n.budget = old
		n.link(from)
		return err
	}
	n.link(to)
	g.pool = pool
	g.target = min(g.target, g.max())
	return nil
}

// max is what g can ever have.
func (g *Guest) max() uint64 { return min(g.size, g.node.most()) }

// Budget is what g has of its parent's memory.
func (g *Guest) Budget() Budget { return g.node.budget }

// Name is what errors call g.
func (g *Guest) Name() string { return g.name }

// Rename has them call g otherwise, unless another guest has that name.
func (g *Guest) Rename(name string) {
	if n := g.node; n != nil && g.tree.names[name] == nil {
		delete(g.tree.names, g.name)
		g.name, n.name = name, "VM "+name
		g.tree.names[name] = n
	}
}

// Pool is the pool that g is in, empty for none.
func (g *Guest) Pool() string { return g.pool }

// Granted is how many pages g holds.
func (g *Guest) Granted() uint64 { return g.node.granted }

// Errors of a Take that is worth trying again.
var (
	// ErrLater is that what is missing can be had from others, who are asked for it.
	ErrLater = errors.New("mem: others are giving memory back")
	// ErrPaced is that there is memory, but little, and that others have a better claim: to be tried again soon, and
	// impatiently then, since the balloon of a guest that waits can't fill.
	ErrPaced = errors.New("mem: there is little memory left")
)

// A Refusal is a Take that can't be had.
type Refusal struct {
	VM             string
	Pages, Granted uint64 // wanted, and held
	Reservation    uint64
	By             string // whose limit stands in the way; empty: there is no memory left
	Limit          uint64 // By's
	Unreserved     uint64 // what nobody on the host holds or has reserved
}

func (r *Refusal) Error() string {
	has := fmt.Sprintf("mem: %s has %s and needs %s more", r.VM, size(r.Granted), size(r.Pages))
	if r.By != "" {
		return fmt.Sprintf("%s, which is above the limit of %s, %s: raise that", has, r.By, size(r.Limit))
	}
	return fmt.Sprintf("%s; %s of it are reserved, the host has %s left, and no VM gives any back: reserve more for it, stop a VM or give the host more memory",
		has, size(r.Reservation), size(r.Unreserved))
}

// Take grants g more pages. Within its reservation it never fails. Beyond it, it may fail with ErrLater or ErrPaced
// unless the caller has lost its patience; any other error is a *Refusal.
func (g *Guest) Take(pages uint64, patient bool) error {
	t, n := g.tree, g.node
	if pages == 0 {
		return nil
	}
	refusal := &Refusal{VM: n.name, Pages: pages, Granted: n.granted, Reservation: n.budget.Reservation}
	if most := g.max(); pages > most-min(n.granted, most) {
		refusal.By, refusal.Limit = n.name, most
		return refusal
	}
	if short := n.short(pages); short != nil {
		g.hungry = true
		if patient && short.canReclaim(g) {
			return ErrLater
		}
		if refusal.Unreserved = t.Unreserved(); short != &t.host {
			refusal.By, refusal.Limit = short.name, short.most()
		}
		return refusal
	}
	if cost := n.cost(pages); cost > 0 && t.Unreserved() < cost+t.last() {
		// The last of it is for those who are to give back: a guest that waits can't. Others wait for that.
		g.hungry = true
		switch {
		case g.owes() && pages <= 16 && !patient:
		case g.owes() && patient:
			return ErrPaced
		case patient && t.host.canReclaim(g):
			return ErrLater
		default:
			refusal.Unreserved = t.Unreserved()
			return refusal
		}
	}
	if patient && t.pressure && n.granted+pages > max(g.target, n.budget.Reservation) {
		g.hungry = true
		return ErrPaced
	}
	n.add(int64(pages))
	for at := n; at != nil; at = at.parent {
		at.granted += pages
	}
	return nil
}

// cost is by how much the host has less that is unreserved once n has been granted pages.
func (n *node) cost(pages uint64) uint64 {
	for n.parent != nil {
		pages = n.overhead + max(n.budget.Reservation, n.uses+pages) - n.committed()
		n = n.parent
	}
	return pages
}

// last is the memory that only those get who are to give back, in pages.
func (t *Tree) last() uint64 { return t.low / 2 }

// owes says whether g has a balloon that is to hold more than it does.
func (g *Guest) owes() bool { return g.sample.Balloon && g.BalloonTarget() > g.sample.Held }

// Scarcity is how much longer than usual those are to wait who are given some of the last memory: the less there is the
// longer, so that it doesn't end before balloons have filled. 1 is as usual.
func (t *Tree) Scarcity() uint64 {
	return max(1, min(t.last()/max(t.Unreserved(), 1), 200))
}

// canReclaim says whether a VM below n other than g has more than is reserved for it, and a balloon to give it back.
func (n *node) canReclaim(g *Guest) bool {
	if n.guest != nil {
		return n.guest != g && n.guest.sample.Balloon && n.granted > n.budget.Reservation
	}
	for _, c := range n.children {
		if c.canReclaim(g) {
			return true
		}
	}
	return false
}

// Give takes back pages that g holds. More than it holds is all of it.
func (g *Guest) Give(pages uint64) {
	n := g.node
	pages = min(pages, n.granted)
	n.add(-int64(pages))
	for at := n; at != nil; at = at.parent {
		at.granted -= pages
	}
}
