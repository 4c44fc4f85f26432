package sched

// Heaps are leftist: the least key at the root, found at once; a node is added, and any is taken
// out, in a logarithmic time that holds for each single operation. They are made of the nodes'
// links, so that a world in the queue of any processor costs no memory there. (There are four links: k&3 spares
// the check of the index.)
//
// The bound: the dist of the right child is never above that of the left one. So a right spine of length d has
// 2^d - 1 nodes under its top at least, and merging walks two right spines down and up again: 2 log2(n+1) steps, 34
// for 100,000 worlds. Adding a node walks one. Both, and taking a node out, which merges its children, then correct
// dist upwards while it changes; each step on that way makes a dist that is larger by one than the one below, so there
// are log2(n+1).
//
// Keys are compared by their signed difference, so they may wrap; what is in one heap is less than
// 2^63 apart, see tags.go.

func before(a, b uint64) bool { return int64(a-b) < 0 }

// dist is that of a node: the length of the shortest way down to a missing child. It is kept beside
// the links to the node, so that correcting it touches no node that isn't on the way.
func (l *link) dist() uint8 { return l.rd + 1 }

// merge joins two heaps, neither with anything above it.
func (s *Scheduler) merge(a, b ID, k int) ID {
	if a == None {
		return b
	}
	if b == None {
		return a
	}
	nodes := s.Nodes
	x, y := &nodes[a].link[k&3], &nodes[b].link[k&3]
	if before(y.key, x.key) {
		a, b, x, y = b, a, y, x
	}
	top := a
	// Down the right spines: the lesser of the two goes on, and what is next on its own meets the other.
	for x.right != None {
		r := x.right
		z := &nodes[r].link[k&3]
		if before(y.key, z.key) {
			x.right, y.up = b, a
			a, x = b, y
			b, y = r, z
		} else {
			a, x = r, z
		}
	}
	x.right, y.up = b, a
	// And up again: all that is on the way has a new right child.
	for d := y.dist(); ; {
		x.rd = d
		if x.ld < d {
			x.left, x.right = x.right, x.left
			x.ld, x.rd = d, x.ld
		}
		if a == top {
			return top
		}
		d, a = x.dist(), x.up
		x = &nodes[a].link[k&3]
	}
}

// correct follows the way up from n, whose child has a new dist d (None: there is none any more, and child says
// where it was), and puts the children with the lesser one at the right. It ends where nothing changes.
func (s *Scheduler) correct(n, child ID, k int, d uint8) {
	for n != None {
		l := &s.Nodes[n].link[k&3]
		old := l.dist()
		if l.left == child {
			l.ld = d
		} else {
			l.rd = d
		}
		if l.ld < l.rd {
			l.left, l.right = l.right, l.left
			l.ld, l.rd = l.rd, l.ld
		}
		d = l.dist()
		if d == old {
			return
		}
		n, child = l.up, n
	}
}

// insert adds a node to the heap with the root at top.
func (s *Scheduler) insert(top *ID, id ID, k int, key uint64) {
	l := &s.Nodes[id].link[k&3]
	*l = link{key: key, in: true}
	a := *top
	if a == None {
		*top = id
		return
	}
	t := &s.Nodes[a].link[k&3]
	if before(key, t.key) {
		l.left, l.ld, t.up = a, t.dist(), id
		*top = id
		return
	}
	// It takes its place on the right spine, and what was there is its left child.
	for {
		r := t.right
		if r == None {
			if t.left == None {
				t.left, t.ld, l.up = id, 1, a
				return
			}
			break
		}
		x := &s.Nodes[r].link[k&3]
		if before(key, x.key) {
			l.left, l.ld, x.up = r, x.dist(), id
			break
		}
		a, t = r, x
	}
	t.right, l.up = id, a
	s.correct(a, id, k, 1)
}

// remove takes a node out of the heap with the root at top, if it is in one.
func (s *Scheduler) remove(top *ID, id ID, k int) {
	l := &s.Nodes[id].link[k&3]
	if !l.in {
		return
	}
	l.in = false
	up := l.up
	if l.left != None {
		s.Nodes[l.left].link[k&3].up = None
	}
	if l.right != None {
		s.Nodes[l.right].link[k&3].up = None
	}
	m := s.merge(l.left, l.right, k)
	var d uint8
	if m != None {
		s.Nodes[m].link[k&3].up = up
		d = s.Nodes[m].link[k&3].dist()
	}
	if up == None {
		*top = m
		return
	}
	u := &s.Nodes[up].link[k&3]
	if u.left == id {
		u.left = m
	} else {
		u.right = m
	}
	s.correct(up, m, k, d)
}
