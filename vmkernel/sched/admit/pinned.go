package admit

import (
	"fmt"
	"slices"
	"strings"
)

// VMs that may only run on some processors.
//
// What they reserve has to fit there, all of it at once, beside what the system group may take of each processor: its threads
// can be anywhere. Sets that overlap have to be looked at together: two VMs of 200 % each fit on processors 0 and 1, and on 1
// and 2, but not both. So the reservations are dealt out to processors, one VM after another; where one finds no room, others
// are moved to further processors of theirs, in a chain where need be (the augmenting paths of a flow). Where no chain is left,
// the processors that were come to are full, and whoever has a part of them may run on no others: that is the contradiction to
// report, and there is none else (Hall's theorem).

// dealt is what VMs got of processors, in 1/1000.
type dealt struct {
	vms  []*Spec
	cpus [][]int         // by VM: those that it may use
	got  []map[int]int64 // by VM and processor
	left map[int]int64   // by processor
}

// pinned checks what VMs with an affinity reserve. Those with processors for themselves have all of them, and the system group is
// on the others.
func (t *Tree) pinned(s *Spec) error {
	owner := t.owners()
	each := 1000 - t.system/int64(t.processors-len(owner)) // one is left: see alone
	d := dealt{left: map[int]int64{}}
	for _, n := range t.nodes {
		if len(n.Affinity) != 0 && n.Reservation != 0 && !n.Exclusive {
			d.vms = append(d.vms, n)
		}
	}
	slices.SortFunc(d.vms, func(a, b *Spec) int { return strings.Compare(a.Name, b.Name) })
	d.got = make([]map[int]int64, len(d.vms))
	for i, n := range d.vms {
		d.got[i] = map[int]int64{}
		d.cpus = append(d.cpus, t.usable(n, owner))
		for _, c := range d.cpus[i] {
			d.left[c] = each
		}
	}
	for i, n := range d.vms {
		for need := n.Reservation; need > 0; {
			more, full := d.deal(i, need)
			if need -= more; more == 0 {
				return fmt.Errorf("%s: with it VMs that may run on %s only reserve %s, and there are %s (%s of each for the system)", s.what(), list(full),
					percent(d.within(full)), percent(int64(len(full))*each), percent(1000-each))
			}
		}
	}
	return nil
}

// deal gives VM i some of what it needs. It returns 0 where there is nothing to be had, and the processors that are full.
func (d *dealt) deal(i int, need int64) (more int64, full []int) {
	from := map[int]int{} // the VM by which a processor was come to
	by := map[int]int{i: -1}
	for queue := []int{i}; len(queue) > 0; queue = queue[1:] {
		for _, c := range d.cpus[queue[0]] {
			if _, seen := from[c]; seen {
				continue
			}
			from[c] = queue[0]
			full = append(full, c)
			if d.left[c] > 0 {
				return d.chain(c, need, from, by), nil
			}
			for j := range d.vms { // who could make room there
				if _, seen := by[j]; !seen && d.got[j][c] > 0 {
					by[j] = c
					queue = append(queue, j)
				}
			}
		}
	}
	slices.Sort(full)
	return 0, full
}

// chain follows the way back from processor c, where something is left: each VM on it moves there from the processor by which
// it was come to.
func (d *dealt) chain(c int, need int64, from, by map[int]int) int64 {
	more := min(need, d.left[c])
	for at := c; ; {
		j := from[at]
		if by[j] < 0 {
			break
		}
		at = by[j]
		more = min(more, d.got[j][at])
	}
	d.left[c] -= more
	for {
		j := from[c]
		d.got[j][c] += more
		if by[j] < 0 {
			return more
		}
		c = by[j]
		d.got[j][c] -= more
	}
}

// within is what VMs reserve that may run on no other processors.
func (d *dealt) within(set []int) (sum int64) {
	for i, n := range d.vms {
		if !slices.ContainsFunc(d.cpus[i], func(c int) bool { return !slices.Contains(set, c) }) {
			sum += n.Reservation
		}
	}
	return sum
}
