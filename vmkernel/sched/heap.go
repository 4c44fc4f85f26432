package sched

// Heaps are leftist: the least key at the root, found at once; a node is added, and any is taken
// out, in a logarithmic time that holds for each single operation. They are made of the nodes'
// links, so that a world in the queue of any processor costs no memory there.
//
// The bound: the dist of the right
// child is never above that of the left one. So a right spine of length d has 2^d - 1 nodes under
// its top at least, and merging walks two right spines: 2 log2(n+1) steps, 34 for 100,000 worlds.
// Taking a node out merges its children and then corrects dist upwards while it changes; each step
// on that way makes a dist that is larger by one than the one below, so there are log2(n+1).
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
	if before(s.Nodes[b].link[k].key, s.Nodes[a].link[k].key) {
		a, b = b, a
	}
	top := a
	for {
		l := &s.Nodes[a].link[k]
		r := l.right
		if r == None {
			l.right = b
			s.Nodes[b].link[k].up = a
			break
		}
		if before(s.Nodes[b].link[k].key, s.Nodes[r].link[k].key) {
			l.right = b
			s.Nodes[b].link[k].up = a
			b, r = r, b
		}
		a = r
	}
	s.correct(a, b, k, s.Nodes[b].link[k].dist(), true)
	return top
}

// correct follows the way up from n, whose child has a new dist d (0: there is none any more, and
// child says where it was), and puts the children with the lesser one at the right. Unless all is
// set, it ends where nothing changes.
func (s *Scheduler) correct(n, child ID, k int, d uint8, all bool) {
	for n != None {
		l := &s.Nodes[n].link[k]
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
		if d == old && !all {
			return
		}
		n, child = l.up, n
	}
}

// insert adds a node to the heap with the root at top.
func (s *Scheduler) insert(top *ID, id ID, k int, key uint64) {
	l := &s.Nodes[id].link[k]
	l.key, l.left, l.right, l.up, l.ld, l.rd, l.in = key, None, None, None, 0, 0, true
	*top = s.merge(*top, id, k)
}

// remove takes a node out of the heap with the root at top, if it is in one.
func (s *Scheduler) remove(top *ID, id ID, k int) {
	l := &s.Nodes[id].link[k]
	if !l.in {
		return
	}
	l.in = false
	up := l.up
	if l.left != None {
		s.Nodes[l.left].link[k].up = None
	}
	if l.right != None {
		s.Nodes[l.right].link[k].up = None
	}
	m := s.merge(l.left, l.right, k)
	var d uint8
	if m != None {
		s.Nodes[m].link[k].up = up
		d = s.Nodes[m].link[k].dist()
	}
	if up == None {
		*top = m
		return
	}
	u := &s.Nodes[up].link[k]
	if u.left == id {
		u.left = m
	} else {
		u.right = m
	}
	s.correct(up, m, k, d, false)
}
