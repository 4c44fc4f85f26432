package guestmem

import (
	"errors"
	"fmt"
	"math"
)

// MaxRanges is the greatest number of ranges that a Memory is built from: RAM
// below the device hole and RAM above it.
const MaxRanges = 2

// A Range is RAM that is contiguous for the guest and for the host.
type Range struct {
	GPA   uint64 // guest-physical address of Bytes[0]
	Bytes []byte // the RAM itself
}

// contains reports whether [gpa, gpa+n) lies within r. It cannot wrap: New
// made sure that GPA + len(Bytes) does not.
func (r *Range) contains(gpa, n uint64) bool {
	size := uint64(len(r.Bytes))
	return gpa >= r.GPA && gpa-r.GPA <= size && n <= size-(gpa-r.GPA)
}

// A Memory is the RAM of one guest. Its ranges never change; its methods may
// be called from any goroutine, with the ordering that plain loads and stores
// have.
type Memory struct {
	ranges [MaxRanges]Range // ascending, disjoint
	n      int
}

// New builds a Memory of one or two non-empty ranges, in ascending order of
// address, that neither overlap nor reach past the end of the 64-bit space.
func New(ranges ...Range) (*Memory, error) {
	if len(ranges) == 0 {
		return nil, errors.New("guestmem: no range given: a guest needs RAM")
	}
	if len(ranges) > MaxRanges {
		return nil, fmt.Errorf("guestmem: %d ranges given, at most %d are possible", len(ranges), MaxRanges)
	}
	m := &Memory{n: len(ranges)}
	next := uint64(0) // lowest address that the range may start at
	for i, r := range ranges {
		size := uint64(len(r.Bytes))
		switch {
		case size == 0:
			return nil, fmt.Errorf("guestmem: range %d at %#x is empty", i, r.GPA)
		case size > math.MaxUint64-r.GPA:
			return nil, fmt.Errorf("guestmem: range %d at %#x wraps: it has %#x bytes", i, r.GPA, size)
		case r.GPA < next:
			return nil, fmt.Errorf("guestmem: range %d at %#x starts before the end of the one before it, %#x", i, r.GPA, next)
		}
		next = r.GPA + size
		m.ranges[i] = r
	}
	return m, nil
}

// Size returns the bytes of RAM in all ranges.
func (m *Memory) Size() uint64 {
	var sum uint64
	for i := range m.n {
		sum += uint64(len(m.ranges[i].Bytes))
	}
	return sum
}

// Ranges returns the number of ranges, 1 or 2.
func (m *Memory) Ranges() int { return m.n }

// Range returns where range i, below Ranges(), starts and how many bytes it
// has.
func (m *Memory) Range(i int) (gpa, size uint64) {
	r := &m.ranges[:m.n][i]
	return r.GPA, uint64(len(r.Bytes))
}

// An AccessError is an access that is not wholly within a guest's RAM.
type AccessError struct {
	GPA uint64 // guest-physical address of the first byte
	Len uint64 // bytes
}

func (e *AccessError) Error() string {
	if e.Len > 0 && e.Len-1 > math.MaxUint64-e.GPA {
		return fmt.Sprintf("guestmem: %#x bytes at %#x wrap around the address space", e.Len, e.GPA)
	}
	return fmt.Sprintf("guestmem: %#x bytes at %#x are not all in guest RAM", e.Len, e.GPA)
}

// Slice returns the n bytes of RAM at gpa themselves, not a copy: the guest
// sees what is written to them and may change them at any time. They must lie
// within one range. The slice can't be grown past its end.
func (m *Memory) Slice(gpa, n uint64) ([]byte, error) {
	for i := range m.n {
		r := &m.ranges[i]
		if r.contains(gpa, n) {
			off := gpa - r.GPA
			return r.Bytes[off : off+n : off+n], nil
		}
	}
	return nil, &AccessError{gpa, n}
}

// Contains reports whether the n bytes at gpa are RAM within one range.
func (m *Memory) Contains(gpa, n uint64) bool {
	for i := range m.n {
		if m.ranges[i].contains(gpa, n) {
			return true
		}
	}
	return false
}

// pieces returns the n bytes at gpa as one or two slices: two where the
// access crosses from one range into another that follows it without a gap.
func (m *Memory) pieces(gpa, n uint64) (a, b []byte, err error) {
	for i := range m.n {
		r := &m.ranges[i]
		if r.contains(gpa, n) {
			off := gpa - r.GPA
			return r.Bytes[off : off+n], nil, nil
		}
	}
	if m.n == 2 {
		lo, hi := &m.ranges[0], &m.ranges[1]
		end := lo.GPA + uint64(len(lo.Bytes))
		if end == hi.GPA && gpa >= lo.GPA && gpa < end {
			first := end - gpa // < n, or lo would contain the access
			if n-first <= uint64(len(hi.Bytes)) {
				return lo.Bytes[gpa-lo.GPA:], hi.Bytes[:n-first], nil
			}
		}
	}
	return nil, nil, &AccessError{gpa, n}
}

// ReadAt fills p from RAM at gpa. On error p is untouched.
func (m *Memory) ReadAt(p []byte, gpa uint64) error {
	a, b, err := m.pieces(gpa, uint64(len(p)))
	if err != nil {
		return err
	}
	copy(p[copy(p, a):], b)
	return nil
}

// WriteAt copies p to RAM at gpa. On error RAM is untouched.
func (m *Memory) WriteAt(p []byte, gpa uint64) error {
	a, b, err := m.pieces(gpa, uint64(len(p)))
	if err != nil {
		return err
	}
	copy(b, p[copy(a, p):])
	return nil
}

// Zero clears n bytes of RAM at gpa. On error RAM is untouched.
func (m *Memory) Zero(gpa, n uint64) error {
	a, b, err := m.pieces(gpa, n)
	if err != nil {
		return err
	}
	clear(a)
	clear(b)
	return nil
}
