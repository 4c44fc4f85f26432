package sched

import "math/bits"

// Sets of processors are bitmaps, side by side in Memory.Bits.
const (
	setIdle   = iota // online, with nothing to run and nobody waiting there
	setGuest         // running a world that isn't of the system group
	setKick          // to be made to call Pick
	setAway          // running a world that isn't at home there
	fixedSets        // from here on: the affinity sets
)

func (s *Scheduler) setBit(set, c uint32)   { s.Bits[set*s.words+c/64] |= 1 << (c % 64) }
func (s *Scheduler) clearBit(set, c uint32) { s.Bits[set*s.words+c/64] &^= 1 << (c % 64) }
func (s *Scheduler) bit(set, c uint32) bool { return s.Bits[set*s.words+c/64]>>(c%64)&1 != 0 }

// allowed says whether a world may run on processor c.
func (s *Scheduler) allowed(id ID, c uint32) bool {
	n, p := &s.Nodes[id], &s.CPUs[c]
	if n.set == 0 {
		return p.online && p.exclusive == 0 // as set 0 has it
	}
	return p.online && (p.exclusive == 0 || p.exclusive == n.set) && s.bit(fixedSets+n.set, c)
}

// after is the first processor of a set after processor c, which is the last of them itself, noCPU where the set is empty.
func (s *Scheduler) after(set, c uint32) uint32 {
	for i := uint32(0); i <= s.words; i++ {
		w := (c/64 + i) % s.words
		m := s.Bits[set*s.words+w]
		if i == 0 {
			m &^= uint64(2)<<(c%64) - 1
		}
		if m != 0 {
			return w*64 + lowest(m)
		}
	}
	return noCPU
}

// find returns a processor of a set (setIdle, setGuest) on which the world may run, the first from
// processor from on, noCPU where there is none. It looks at one word for 64 processors.
func (s *Scheduler) find(set uint32, id ID, from uint32) uint32 {
	return s.findIn(set, fixedSets+s.Nodes[id].set, id, from)
}

// findIn is that of the processors that are in another set as well.
func (s *Scheduler) findIn(set, other uint32, id ID, from uint32) uint32 {
	aff := fixedSets + s.Nodes[id].set
	w := from / 64
	// The word of from is looked at twice, its lower bits last.
	for i := uint32(0); i <= s.words; i++ {
		m := s.Bits[set*s.words+w] & s.Bits[aff*s.words+w] & s.Bits[other*s.words+w]
		if i == 0 {
			m &= ^uint64(0) << (from % 64)
		}
		for m != 0 {
			c := w*64 + uint32(bits.TrailingZeros64(m))
			if s.allowed(id, c) {
				return c
			}
			m &= m - 1
		}
		if w++; w == s.words {
			w = 0
		}
	}
	return noCPU
}

// count returns the number of a set's processors.
func (s *Scheduler) count(set uint32) (n int) {
	for w := uint32(0); w < s.words; w++ {
		for m := s.Bits[set*s.words+w]; m != 0; m &= m - 1 { // math/bits asks the processor for an instruction
			n++
		}
	}
	return n
}

const noCPU = ^uint32(0)

// Tournaments find the processor whose queue has the least key of all: trees over the processors,
// each inner node naming the winner of the two below it. The processors that don't take part, for
// want of a world in that queue, are noCPU.
const (
	cupAny    = iota // by qAny
	cupSystem        // by qSystem
	cupDue           // by qDue
	cups
)

// entry is what processor c takes part with, and its key.
func (s *Scheduler) entry(cup int, c uint32) ID {
	switch cup {
	case cupAny:
		return s.CPUs[c].queue[qAny]
	case cupSystem:
		return s.CPUs[c].queue[qSystem]
	}
	return s.CPUs[c].queue[qDue]
}

func (s *Scheduler) cupKey(cup int, c uint32) uint64 {
	l := &s.Nodes[s.entry(cup, c)].link
	if cup == cupAny {
		return l[byKey].key
	}
	return l[byDue].key
}

// replay has processor c play again, after the head of its queue has changed: log2(processors) steps.
func (s *Scheduler) replay(cup int, c uint32) {
	base := uint32(cup) * 2 * s.leaves
	i := s.leaves + c
	s.Trees[base+i] = c
	if s.entry(cup, c) == None {
		s.Trees[base+i] = noCPU
	}
	for i > 1 {
		a, b := s.Trees[base+i], s.Trees[base+(i^1)]
		if a == noCPU || b != noCPU && before(s.cupKey(cup, b), s.cupKey(cup, a)) {
			a = b
		}
		i /= 2
		s.Trees[base+i] = a
	}
}

// winner is the processor whose queue has the least key, noCPU when all are empty.
func (s *Scheduler) winner(cup int) uint32 { return s.Trees[uint32(cup)*2*s.leaves+1] }

func lowest(m uint64) uint32 { return uint32(bits.TrailingZeros64(m)) }
