package loader

import (
	"fmt"
	"slices"
	"strings"
)

// A span is the addresses from start to end-1, which is never below start.
type span struct {
	start, end uint64
	what       string
}

// A space keeps account of which usable RAM is taken, by what.
type space struct {
	usable []span // ascending, disjoint
	taken  []span // likewise; each within one of usable
}

func newSpace(memmap []MapEntry) *space {
	s := &space{}
	for _, e := range memmap {
		if e.Type == MapRAM {
			s.usable = append(s.usable, span{e.Start, e.Start + e.Size, "RAM"})
		}
	}
	return s
}

// claim takes the size bytes at start, which an image asks for by address.
// size is not 0.
func (s *space) claim(start, size uint64, what string) error {
	end := start + size
	if end < start {
		return fmt.Errorf("%s: %#x bytes at %#x wrap around the address space", what, size, start)
	}
	if !slices.ContainsFunc(s.usable, func(u span) bool { return start >= u.start && end <= u.end }) {
		return fmt.Errorf("%s at %s is not all in usable RAM, which is %s; give the VM more memory or check the file",
			what, bounds(start, size), s.ram())
	}
	at := 0 // index of the first that is not wholly below
	for at < len(s.taken) && s.taken[at].end <= start {
		at++
	}
	if at < len(s.taken) && s.taken[at].start < end {
		t := s.taken[at]
		return fmt.Errorf("%s at %s overlaps %s at %s", what, bounds(start, size), t.what, bounds(t.start, t.end-t.start))
	}
	s.taken = slices.Insert(s.taken, at, span{start, end, what})
	return nil
}

// A request is for memory whose place is free within limits.
type request struct {
	size, align uint64 // bytes; align is a power of two
	low, high   uint64 // the memory lies within [low, high)
	top         bool   // as high as possible; otherwise as low
	what        string
}

// place takes memory as r asks and returns its address.
func (s *space) place(r request) (uint64, error) {
	r.size = max(r.size, 1)
	free, largest := s.free(r.low, r.high), uint64(0)
	if r.top {
		slices.Reverse(free)
	}
	for _, f := range free {
		largest = max(largest, f.end-f.start)
		start := (f.start + r.align - 1) &^ (r.align - 1)
		if start > f.end || f.end-start < r.size {
			continue
		}
		if r.top {
			start = (f.end - r.size) &^ (r.align - 1)
		}
		return start, s.claim(start, r.size, r.what)
	}
	return 0, fmt.Errorf("%s of %d bytes does not fit: the largest free piece of RAM from %#x to %#x has %d bytes; give the VM more memory",
		r.what, r.size, r.low, r.high-1, largest)
}

// free returns what is usable and not taken within [low, high), ascending.
func (s *space) free(low, high uint64) []span {
	var list []span
	add := func(start, end uint64) {
		start, end = max(start, low), min(end, high)
		if start < end {
			list = append(list, span{start: start, end: end})
		}
	}
	i := 0
	for _, u := range s.usable {
		at := u.start
		for ; i < len(s.taken) && s.taken[i].start < u.end; i++ {
			add(at, s.taken[i].start)
			at = s.taken[i].end
		}
		add(at, u.end)
	}
	return list
}

// ram lists the usable RAM for an error.
func (s *space) ram() string {
	var list []string
	for _, u := range s.usable {
		list = append(list, bounds(u.start, u.end-u.start))
	}
	return strings.Join(list, ", ")
}

// bounds writes an area of at least 1 byte by its first and last address.
func bounds(start, size uint64) string { return fmt.Sprintf("%#x-%#x", start, start+size-1) }
