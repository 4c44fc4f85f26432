package sched

// Rings are what is short, or in the order in which it came: a ring of links, by left to the one before and by
// right to the next, of which the caller keeps the first.
//
// The virtual processors of one VM that wait are in rings sorted by tag and by progress. Who comes is looked for a
// place from the end, and was served last, so that it is most often the last; at most MaxSiblings steps.

// append puts a node at the end of a ring.
func (s *Scheduler) append(first *ID, id ID, k int, key uint64) {
	l := &s.Nodes[id].link[k&3]
	l.key, l.in = key, true
	if *first == None {
		l.left, l.right = id, id
		*first = id
		return
	}
	f := &s.Nodes[*first].link[k&3]
	l.left, l.right = f.left, *first
	s.Nodes[f.left].link[k&3].right = id
	f.left = id
}

// sort puts a node into its place in a ring sorted by key, behind its equals.
func (s *Scheduler) sort(first *ID, id ID, k int, key uint64) {
	l := &s.Nodes[id].link[k&3]
	l.key, l.in = key, true
	next := *first
	if next == None {
		l.left, l.right = id, id
		*first = id
		return
	}
	n := &s.Nodes[next].link[k&3]
	prev := n.left
	p := &s.Nodes[prev].link[k&3]
	if before(key, n.key) {
		*first = id
	} else {
		for before(key, p.key) {
			next, n = prev, p
			prev = p.left
			p = &s.Nodes[prev].link[k&3]
		}
	}
	l.left, l.right, p.right, n.left = prev, next, id, id
}

// unlink takes a node out of its ring, if it is in one.
func (s *Scheduler) unlink(first *ID, id ID, k int) {
	l := &s.Nodes[id].link[k&3]
	if !l.in {
		return
	}
	l.in = false
	if l.right == id {
		*first = None
		return
	}
	s.Nodes[l.left].link[k&3].right = l.right
	s.Nodes[l.right].link[k&3].left = l.left
	if *first == id {
		*first = l.right
	}
}

// rank puts a child into the order by tag of its group g: a ring in a group with bounded skew, else a heap.
func (s *Scheduler) rank(g *Node, id ID, tag uint64) {
	if g.flags&Cosched != 0 {
		s.sort(&g.least, id, byTag, tag)
	} else {
		s.insert(&g.least, id, byTag, tag)
	}
}

// unrank takes it out.
func (s *Scheduler) unrank(g *Node, id ID) {
	if g.flags&Cosched != 0 {
		s.unlink(&g.least, id, byTag)
	} else {
		s.remove(&g.least, id, byTag)
	}
}
