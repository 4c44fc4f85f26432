// Package admit decides, before a pool or a VM is made or changed, whether its processor policy makes
// sense and its reservation can be met. It is ordinary Go of the upper half; package sched relies on it.
//
// The rule: what is admitted can be kept, all at once. What is kept for a pool is its reservation, or what those in it reserve
// together if that is more: a reservation is a floor, which what is in the pool may pass, one VM or several. What passes it is had
// from the pool above, and in the end from the machine. What may not be passed is a limit. A refusal is one line that names the node, the
// value, and the numbers by which it doesn't fit. The package changes nothing but its own Tree, and
// that only when it returns no error.
package admit

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"keel/vmkernel/sched"
)

// A Spec is what a pool or VM is to have. Reservation and Limit are in 1/1000 of a processor.
type Spec struct {
	Name        string
	Pool        string // the pool that it is in, "" for none
	IsPool      bool
	Shares      int64
	Reservation int64
	Limit       int64 // 0: none
	VCPUs       int   // of a VM
	Affinity    []int // processors, empty: all
	Home        []int // those next to its memory, empty where it has none yet
	Exclusive   bool  // nobody else is to run on those of Affinity, of which there is one at least
}

// keeps is what has to be kept for a node itself: its reservation, or all of the processors that are its alone.
func (s *Spec) keeps() int64 {
	if s.Exclusive {
		return max(s.Reservation, int64(len(s.Affinity))*1000)
	}
	return s.Reservation
}

// what names in errors what it is that keeps asks for.
func (s *Spec) what() string {
	if s.Exclusive {
		return fmt.Sprintf("%s: exclusive: %s, %s", s.Name, list(s.Affinity), percent(s.keeps()))
	}
	return fmt.Sprintf("%s: reservation: %s", s.Name, percent(s.Reservation))
}

// A Tree is all that was admitted.
type Tree struct {
	processors int
	system     int64   // reserved for the system group
	host       int     // the processor that is never a VM's alone
	near       [][]int // processors by NUMA node, see Near
	nodes      map[string]*Spec
}

// New makes a Tree for a machine with a number of processors, of which the system group has a
// part reserved, in 1/1000. The one with the number host takes the host's interrupts.
func New(processors int, system int64, host int) (*Tree, error) {
	if processors < 1 || processors > sched.MaxCPUs {
		return nil, fmt.Errorf("%d processors: 1 to %d", processors, sched.MaxCPUs)
	}
	if system < 0 || system > int64(processors)*1000 {
		return nil, fmt.Errorf("system: a reservation of %s: 0%% to %s", percent(system), percent(int64(processors)*1000))
	}
	return &Tree{processors: processors, system: system, host: host, nodes: map[string]*Spec{}}, nil
}

// Near says which processors are next to the same memory, so that a VM that is to have some for itself gets such, where there are
// enough.
func (t *Tree) Near(nodes [][]int) { t.near = nodes }

func percent(rate int64) string {
	if rate%10 == 0 {
		return fmt.Sprintf("%d%%", rate/10)
	}
	return fmt.Sprintf("%.1f%%", float64(rate)/10)
}

// processors counts them in words.
func processors(n int, of string) string {
	if n == 1 {
		return "1 " + of + "processor"
	}
	return fmt.Sprintf("%d %sprocessors", n, of)
}

// has says which processors the machine has.
func (t *Tree) has() string {
	if t.processors == 1 {
		return "the machine has 1 processor: 0"
	}
	return fmt.Sprintf("the machine has %d processors: 0 to %d", t.processors, t.processors-1)
}

// Set admits a new node, or a change of one.
func (t *Tree) Set(s Spec) error {
	if err := t.plain(&s); err != nil {
		return err
	}
	old := t.nodes[s.Name]
	if old != nil && old.IsPool != s.IsPool {
		return fmt.Errorf("%s: the name is taken by a pool or VM", s.Name)
	}
	s.Affinity = slices.Clone(s.Affinity)
	slices.Sort(s.Affinity)
	s.Affinity = slices.Compact(s.Affinity)
	t.nodes[s.Name] = &s
	err := t.fits(&s)
	if err != nil {
		if old == nil {
			delete(t.nodes, s.Name)
		} else {
			t.nodes[s.Name] = old
		}
	}
	return err
}

// Has says whether there is a node of that name.
func (t *Tree) Has(name string) bool { return t.nodes[name] != nil }

// Rename gives a VM another name, which is free.
func (t *Tree) Rename(old, name string) error {
	n := t.nodes[old]
	switch {
	case n == nil || n.IsPool:
		return fmt.Errorf("%s: there is no such VM", old)
	case name == "" || t.nodes[name] != nil:
		return fmt.Errorf("%s: the name %q is taken", old, name)
	}
	delete(t.nodes, old)
	n.Name = name
	t.nodes[name] = n
	return nil
}

// Remove forgets a node. A pool has to be empty.
func (t *Tree) Remove(name string) error {
	if t.nodes[name] == nil {
		return fmt.Errorf("%s: there is none", name)
	}
	for _, n := range t.nodes {
		if n.Pool == name {
			return fmt.Errorf("%s: %s is in it", name, n.Name)
		}
	}
	delete(t.nodes, name)
	return nil
}

// plain checks what doesn't depend on other nodes.
func (t *Tree) plain(s *Spec) error {
	machine := int64(t.processors) * 1000
	switch {
	case s.Name == "":
		return errors.New("a pool or VM without a name")
	case s.Shares < 1 || s.Shares > sched.MaxShares:
		return fmt.Errorf("%s: shares: %d: 1 to %d", s.Name, s.Shares, sched.MaxShares)
	case s.Reservation < 0:
		return fmt.Errorf("%s: reservation: %s: it is negative", s.Name, percent(s.Reservation))
	case s.Reservation > machine:
		return fmt.Errorf("%s: reservation: %s: the machine has %s: %s", s.Name, percent(s.Reservation), processors(t.processors, ""), percent(machine))
	case s.Limit < 0:
		return fmt.Errorf("%s: limit: %s: it is negative", s.Name, percent(s.Limit))
	case s.Limit > sched.MaxRate:
		return fmt.Errorf("%s: limit: %s: at most %s", s.Name, percent(s.Limit), percent(sched.MaxRate))
	case s.Limit != 0 && s.Limit < s.Reservation:
		return fmt.Errorf("%s: limit: %s: it is below the reservation of %s", s.Name, percent(s.Limit), percent(s.Reservation))
	case !s.IsPool && (s.VCPUs < 1 || s.VCPUs > sched.MaxSiblings):
		return fmt.Errorf("%s: %d virtual processors: 1 to %d", s.Name, s.VCPUs, sched.MaxSiblings)
	case s.Exclusive && (s.IsPool || len(s.Affinity) == 0):
		return fmt.Errorf("%s: exclusive: it has no affinity", s.Name)
	case s.Exclusive && s.Limit != 0 && s.Limit < s.keeps():
		return fmt.Errorf("%s: limit: %s: it is below the %s of the processors that it is to have for itself", s.Name, percent(s.Limit), percent(s.keeps()))
	case !s.IsPool && s.Reservation > int64(s.VCPUs)*1000:
		return fmt.Errorf("%s: reservation: %s: its %s can use %s", s.Name, percent(s.Reservation), processors(s.VCPUs, "virtual "), percent(int64(s.VCPUs)*1000))
	}
	set := map[int]bool{}
	for _, c := range s.Affinity {
		if c < 0 || c >= t.processors {
			return fmt.Errorf("%s: affinity: processor %d: %s", s.Name, c, t.has())
		}
		set[c] = true
	}
	if s.Exclusive && set[t.host] {
		return fmt.Errorf("%s: processor %d takes the host's interrupts and is never a VM's alone: name another", s.what(), t.host)
	}
	if n := int64(len(set)) * 1000; n != 0 && s.Reservation > n {
		return fmt.Errorf("%s: reservation: %s: its affinity has %s", s.Name, percent(s.Reservation), processors(len(set), ""))
	}
	return nil
}

// fits checks a node, which is in the tree already, against the others.
func (t *Tree) fits(s *Spec) error {
	depth := 1 // below the root; worlds are one level below their VM
	for p := s.Pool; p != ""; depth++ {
		n := t.nodes[p]
		if n == nil || !n.IsPool {
			return fmt.Errorf("%s: pool: there is no pool %q", s.Name, p)
		}
		if n == s || depth > len(t.nodes) {
			return fmt.Errorf("%s: pool: %q is in %s itself: a circle", s.Name, s.Pool, s.Name)
		}
		p = n.Pool
	}
	deepest := depth + t.height(s.Name)
	if deepest+1 > sched.MaxDepth {
		return fmt.Errorf("%s: pool: %d levels deep: at most %d", s.Name, deepest, sched.MaxDepth-1)
	}
	// Up to the root, what is committed below each node has to fit into its limit...
	for n := s; n != nil; n = t.nodes[n.Pool] {
		switch c := t.committed(n.Name); {
		case n.Limit == 0 || c <= n.Limit:
		case n == s:
			return fmt.Errorf("%s: limit: %s: what is in it reserves %s", s.Name, percent(s.Limit), percent(c))
		default:
			return fmt.Errorf("%s: with it %s reserves %s, and its limit is %s", s.what(), n.Name, percent(c), percent(n.Limit))
		}
	}
	if err := t.unlimited(s); err != nil {
		return err
	}
	// ...and all together into the machine.
	machine := int64(t.processors)*1000 - t.system
	if all := t.committed(""); all > machine {
		return fmt.Errorf("%s: %s of %s are left (%s, %s for the system, %s reserved by others)", s.what(),
			percent(max(0, machine-(all-t.gain(s)))), percent(machine), processors(t.processors, ""), percent(t.system), percent(all-t.gain(s)))
	}
	if err := t.alone(s); err != nil {
		return err
	}
	return t.pinned(s)
}

// alone checks that a processor that a VM has for itself is nobody else's only one.
func (t *Tree) alone(s *Spec) error {
	owner := t.owners()
	for _, n := range t.nodes {
		for _, c := range n.Affinity {
			if o := owner[c]; n.Exclusive && o != n {
				return fmt.Errorf("%s: processor %d is to be %s's alone, and %s's", s.what(), c, n.Name, o.Name)
			}
		}
		if len(n.Affinity) != 0 && len(t.usable(n, owner)) == 0 {
			return fmt.Errorf("%s: affinity: %s may run on %s only, which others are to have for themselves", s.Name, n.Name, list(n.Affinity))
		}
	}
	return nil
}

// unlimited checks that no VM with processors for itself is in a pool with a limit: the others there could use that up.
func (t *Tree) unlimited(s *Spec) error {
	for _, n := range t.nodes {
		for p := t.nodes[n.Pool]; n.Exclusive && p != nil; p = t.nodes[p.Pool] {
			if p.Limit != 0 {
				return fmt.Errorf("%s: exclusive: %s is to have %s for itself in %s, whose limit of %s others can use up: put it elsewhere", s.Name, n.Name,
					list(n.Affinity), p.Name, percent(p.Limit))
			}
		}
	}
	return nil
}

// owners are the VMs that have processors for themselves, by processor.
func (t *Tree) owners() map[int]*Spec {
	owner := map[int]*Spec{}
	for _, n := range t.nodes {
		for _, c := range n.Affinity {
			if n.Exclusive && (owner[c] == nil || n.Name < owner[c].Name) {
				owner[c] = n
			}
		}
	}
	return owner
}

// usable are the processors of a node's affinity that no other has for itself.
func (t *Tree) usable(n *Spec, owner map[int]*Spec) (cpus []int) {
	for _, c := range n.Affinity {
		if o := owner[c]; o == nil || o == n {
			cpus = append(cpus, c)
		}
	}
	return cpus
}

func list(cpus []int) string {
	if len(cpus) == 1 {
		return fmt.Sprintf("processor %d", cpus[0])
	}
	return "processors " + strings.Trim(strings.ReplaceAll(fmt.Sprint(cpus), " ", ", "), "[]")
}

// Place gives a VM that is to have processors for itself, and says not which, as many as it has virtual ones: the last of those
// that no other VM's affinity names, or those that it has; all of one NUMA node if one has enough, that of the last of them, or its
// Home. What it then can't have Set refuses.
func (t *Tree) Place(s Spec) (Spec, error) {
	if !s.Exclusive || len(s.Affinity) != 0 {
		return s, nil
	}
	if old := t.nodes[s.Name]; old != nil && old.Exclusive && len(old.Affinity) == s.VCPUs {
		s.Affinity = old.Affinity
		return s, nil
	}
	named := map[int]bool{}
	for _, n := range t.nodes {
		for _, c := range n.Affinity {
			named[c] = named[c] || n.Name != s.Name
		}
	}
	var free []int
	for c := t.processors - 1; c >= 0; c-- {
		if !named[c] && c != t.host {
			free = append(free, c)
		}
	}
	s.Affinity = t.nearest(free, &s)
	if len(s.Affinity) < s.VCPUs {
		return s, fmt.Errorf("%s: exclusive: processors of its own: it needs %d and %d of %d can be had: the others are in VMs' affinities, or take the host's interrupts",
			s.Name, s.VCPUs, len(s.Affinity), t.processors)
	}
	return s, nil
}

// nearest chooses as many of some processors as a VM needs, or all.
func (t *Tree) nearest(free []int, s *Spec) []int {
	for _, want := range append([][]int{s.Home}, t.byLast()...) {
		var near []int
		for _, c := range free {
			if slices.Contains(want, c) && len(near) < s.VCPUs {
				near = append(near, c)
			}
		}
		if len(near) == s.VCPUs {
			return near
		}
	}
	return free[:min(len(free), s.VCPUs)]
}

// byLast are the NUMA nodes, that of the last processor first.
func (t *Tree) byLast() [][]int {
	return slices.SortedFunc(slices.Values(t.near), func(a, b []int) int { return cmp.Compare(slices.Max(b), slices.Max(a)) })
}

// gain is what a node, with all that is in it, adds to what the machine has to keep.
func (t *Tree) gain(s *Spec) int64 {
	all := t.committed("")
	delete(t.nodes, s.Name)
	without := t.committed("")
	t.nodes[s.Name] = s
	return all - without
}

// height is the number of levels below a node.
func (t *Tree) height(name string) (h int) {
	for _, n := range t.nodes {
		if n.Pool == name {
			h = max(h, 1+t.height(n.Name))
		}
	}
	return h
}

// committed is what has to be kept for a node: its reservation, or what those below it add up to, if
// that is more (see the package's rule).
func (t *Tree) committed(name string) int64 {
	var sum int64
	for _, n := range t.nodes {
		if n.Pool == name && n.Name != name {
			sum += t.committed(n.Name)
		}
	}
	if n := t.nodes[name]; n != nil {
		return max(sum, n.keeps())
	}
	return sum
}

// Committed is what is kept for a node, in 1/1000; 0 for one that there isn't.
func (t *Tree) Committed(name string) int64 {
	if t.nodes[name] == nil {
		return 0
	}
	return t.committed(name)
}
