package guestmem

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

// gapped is RAM at [0, 64) and [128, 160).
func gapped(t testing.TB) *Memory {
	t.Helper()
	return build(t, Range{0, make([]byte, 64)}, Range{128, make([]byte, 32)})
}

// adjacent is RAM at [16, 80) in two ranges that meet at 48.
func adjacent(t testing.TB) *Memory {
	t.Helper()
	return build(t, Range{16, make([]byte, 32)}, Range{48, make([]byte, 32)})
}

func build(t testing.TB, ranges ...Range) *Memory {
	t.Helper()
	m, err := New(ranges...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestNewRefusesRangesThatCannotBeRAM(t *testing.T) {
	page := make([]byte, 4096)
	for _, c := range []struct {
		name   string
		ranges []Range
		want   string
	}{
		{"none", nil, "no range"},
		{"three", []Range{{0, page}, {8192, page}, {16384, page}}, "3 ranges"},
		{"empty", []Range{{0x1000, nil}}, "0x1000 is empty"},
		{"wraps", []Range{{math.MaxUint64 - 4094, page}}, "wraps"},
		{"overlap", []Range{{0, page}, {4095, page}}, "starts before"},
		{"descending", []Range{{8192, page}, {0, page}}, "starts before"},
	} {
		if _, err := New(c.ranges...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
	build(t, Range{math.MaxUint64 - 4096, page}) // ends just below the top
}

func TestAccessSucceedsExactlyInsideRAM(t *testing.T) {
	const max = math.MaxUint64
	for _, c := range []struct {
		name          string
		m             *Memory
		gpa, n        uint64
		access, slice bool // whether ReadAt and friends, and Slice, succeed
	}{
		{"whole low range", gapped(t), 0, 64, true, true},
		{"whole high range", gapped(t), 128, 32, true, true},
		{"last byte", gapped(t), 159, 1, true, true},
		{"one past the end", gapped(t), 160, 1, false, false},
		{"into the gap", gapped(t), 60, 5, false, false},
		{"in the gap", gapped(t), 100, 1, false, false},
		{"across the gap", gapped(t), 60, 100, false, false},
		{"past the end", gapped(t), 150, 11, false, false},
		{"empty inside", gapped(t), 10, 0, true, true},
		{"empty at an end", gapped(t), 64, 0, true, true},
		{"empty in the gap", gapped(t), 100, 0, false, false},
		{"top of the address space", gapped(t), max, 1, false, false},
		{"wraps to 0", gapped(t), max, 2, false, false},
		{"wraps to itself", gapped(t), 10, max, false, false},
		{"wraps from the high range", gapped(t), 130, max - 100, false, false},
		{"below the first range", adjacent(t), 15, 2, false, false},
		{"across the seam", adjacent(t), 40, 16, true, false},
		{"both ranges", adjacent(t), 16, 64, true, false},
		{"across the seam and out", adjacent(t), 40, 41, false, false},
		{"across the seam, wrapping", adjacent(t), 40, max - 2, false, false},
	} {
		_, err := c.m.Slice(c.gpa, c.n)
		if (err == nil) != c.slice {
			t.Errorf("%s: Slice: %v", c.name, err)
		}
		if err := c.m.Zero(c.gpa, c.n); (err == nil) != c.access {
			t.Errorf("%s: Zero: %v", c.name, err)
		}
		if c.n > 1<<20 {
			continue
		}
		p := make([]byte, c.n)
		if err := c.m.ReadAt(p, c.gpa); (err == nil) != c.access {
			t.Errorf("%s: ReadAt: %v", c.name, err)
		}
		if err := c.m.WriteAt(p, c.gpa); (err == nil) != c.access {
			t.Errorf("%s: WriteAt: %v", c.name, err)
		}
	}
}

func TestBytesGoWhereTheyShouldAcrossASeam(t *testing.T) {
	lo, hi := make([]byte, 32), make([]byte, 32)
	m := build(t, Range{16, lo}, Range{48, hi})
	if err := m.WriteAt([]byte{1, 2, 3, 4, 5}, 46); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(lo[29:], []byte{0, 1, 2}) || !bytes.Equal(hi[:4], []byte{3, 4, 5, 0}) {
		t.Errorf("after WriteAt: % x | % x", lo[29:], hi[:4])
	}
	got := make([]byte, 5)
	if err := m.ReadAt(got, 46); err != nil || !bytes.Equal(got, []byte{1, 2, 3, 4, 5}) {
		t.Errorf("ReadAt: % x, %v", got, err)
	}
	if err := m.Zero(47, 2); err != nil {
		t.Fatal(err)
	}
	if err := m.ReadAt(got, 46); err != nil || !bytes.Equal(got, []byte{1, 0, 0, 4, 5}) {
		t.Errorf("after Zero: % x, %v", got, err)
	}
}

func TestFailedAccessChangesNothing(t *testing.T) {
	m := gapped(t)
	if err := m.WriteAt([]byte{1, 2, 3, 4}, 62); err == nil {
		t.Error("a write into the gap succeeded")
	}
	if v, _ := m.Read16(62); v != 0 {
		t.Errorf("a failed write left %#x", v)
	}
	p := []byte{7, 7, 7, 7}
	if m.ReadAt(p, 62) == nil || !bytes.Equal(p, []byte{7, 7, 7, 7}) {
		t.Errorf("a failed read gave % x", p)
	}
}

func TestTypedAccessesAreLittleEndianOfTheirWidth(t *testing.T) {
	m := adjacent(t)
	const at = 45 // the 64-bit access crosses the seam
	if err := m.Write64(at, 0x8877665544332211); err != nil {
		t.Fatal(err)
	}
	v8, e8 := m.Read8(at)
	v16, e16 := m.Read16(at)
	v32, e32 := m.Read32(at)
	v64, e64 := m.Read64(at)
	if e8 != nil || e16 != nil || e32 != nil || e64 != nil {
		t.Fatal(e8, e16, e32, e64)
	}
	if v8 != 0x11 || v16 != 0x2211 || v32 != 0x44332211 || v64 != 0x8877665544332211 {
		t.Errorf("read %#x %#x %#x %#x", v8, v16, v32, v64)
	}
	for _, w := range []struct {
		write func() error
		want  uint64
	}{
		{func() error { return m.Write8(at, 0xaa) }, 0x88776655443322aa},
		{func() error { return m.Write16(at, 0xbbbb) }, 0x887766554433bbbb},
		{func() error { return m.Write32(at, 0xcccccccc) }, 0x88776655cccccccc},
	} {
		err := w.write()
		if v, _ := m.Read64(at); err != nil || v != w.want {
			t.Errorf("after a write: %#x, %v, want %#x", v, err, w.want)
		}
	}
	if _, err := m.Read32(77); err == nil {
		t.Error("Read32 past the end succeeded")
	}
	if err := m.Write64(73, 1); err == nil {
		t.Error("Write64 past the end succeeded")
	}
}

func TestSliceIsTheMemoryAndCannotGrowIntoMore(t *testing.T) {
	m := gapped(t)
	s, err := m.Slice(8, 4)
	if err != nil {
		t.Fatal(err)
	}
	s[0] = 0x5a
	if v, _ := m.Read8(8); v != 0x5a {
		t.Errorf("a write through the slice gave %#x in RAM", v)
	}
	if cap(s) != 4 {
		t.Errorf("the slice can grow to %d bytes", cap(s))
	}
}

func TestSplitKeepsTheHoleFreeAndLosesNothing(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct{ size, low, high uint64 }{
		{0, 0, 0},
		{256 << 20, 256 << 20, 0},
		{3*gib - 1, 3*gib - 1, 0},
		{3 * gib, 3 * gib, 0},
		{3*gib + 1, 3 * gib, 1},
		{4 * gib, 3 * gib, gib},
		{16 * gib, 3 * gib, 13 * gib},
		{math.MaxUint64, 3 * gib, math.MaxUint64 - 3*gib},
	} {
		if low, high := Split(c.size); low != c.low || high != c.high {
			t.Errorf("Split(%#x) = %#x, %#x, want %#x, %#x", c.size, low, high, c.low, c.high)
		}
	}
}

func TestRangesDescribeTheMemory(t *testing.T) {
	m := gapped(t)
	if m.Size() != 96 || m.Ranges() != 2 {
		t.Errorf("size %d in %d ranges", m.Size(), m.Ranges())
	}
	if gpa, size := m.Range(1); gpa != 128 || size != 32 {
		t.Errorf("range 1 is %d bytes at %d", size, gpa)
	}
}

func TestErrorsNameTheAccess(t *testing.T) {
	m := gapped(t)
	_, err := m.Read32(0x64)
	if err == nil || err.Error() != "guestmem: 0x4 bytes at 0x64 are not all in guest RAM" {
		t.Errorf("error %v", err)
	}
	_, err = m.Read32(math.MaxUint64)
	if err == nil || !strings.Contains(err.Error(), "wrap") {
		t.Errorf("error %v", err)
	}
}

func TestAccessesDoNotAllocate(t *testing.T) {
	m := gapped(t)
	buf := make([]byte, 16)
	n := testing.AllocsPerRun(100, func() {
		m.ReadAt(buf, 0)
		m.WriteAt(buf, 130)
		m.Zero(0, 32)
		m.Write8(0, 1)
		m.Write16(0, 1)
		m.Write32(0, 1)
		m.Write64(0, 1)
		m.Read8(0)
		m.Read16(0)
		m.Read32(0)
		m.Read64(0)
		m.Slice(0, 64)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzAccess compares every access with the obvious model: a byte-by-byte
// walk over a map of the addresses that are RAM.
func FuzzAccess(f *testing.F) {
	f.Add(uint64(0), uint16(64), false)
	f.Add(uint64(40), uint16(16), true)
	f.Add(uint64(60), uint16(100), false)
	f.Add(uint64(math.MaxUint64), uint16(2), true)
	f.Fuzz(func(t *testing.T, gpa uint64, n uint16, touching bool) {
		m := gapped(t)
		isRAM := func(a uint64) bool { return a < 64 || a >= 128 && a < 160 }
		if touching {
			m = adjacent(t)
			isRAM = func(a uint64) bool { return a >= 16 && a < 80 }
		}
		want := n > 0
		for i := range uint64(n) {
			want = want && gpa+i >= gpa && isRAM(gpa+i)
		}
		if n == 0 {
			return
		}
		if got := m.WriteAt(make([]byte, n), gpa) == nil; got != want {
			t.Errorf("write of %d at %#x: success %v, want %v", n, gpa, got, want)
		}
		if got := m.ReadAt(make([]byte, n), gpa) == nil; got != want {
			t.Errorf("read of %d at %#x: success %v, want %v", n, gpa, got, want)
		}
	})
}
