package physmem_test

import (
	"math"
	"testing"

	"keel/boot/physmem"
	"keel/boot/physmem/memtest"
)

func TestHoldsDoesNotWrap(t *testing.T) {
	m := physmem.Memory{Limit: 0x1000}
	for _, c := range []struct {
		pa, n uint64
		want  bool
	}{
		{0, 0x1000, true}, {0, 0x1001, false}, {0xFFF, 1, true}, {0x1000, 0, true}, {0x1000, 1, false},
		{0x1001, 0, false}, {math.MaxUint64, 2, false}, {2, math.MaxUint64, false},
		{math.MaxUint64, math.MaxUint64, false},
	} {
		if got := m.Holds(c.pa, c.n); got != c.want {
			t.Errorf("Holds(%#x, %#x) = %v", c.pa, c.n, got)
		}
	}
}

// The image ends at an unmapped page: a read that crosses its end would crash the test.
func TestReadsStopAtTheLimit(t *testing.T) {
	image := memtest.New(t, 0x1003)
	image.Put(0xFFB, []byte{1, 2, 3, 4, 5, 6, 7, 8})
	m := image.Memory()
	if got := m.U64(0xFFB); got != 0x0807060504030201 {
		t.Errorf("U64 of the last 8 bytes = %#x", got)
	}
	if m.U32(0xFFF) != 0x08070605 || m.U16(0x1001) != 0x0807 || m.U8(0x1002) != 8 {
		t.Errorf("last bytes: %#x %#x %#x", m.U32(0xFFF), m.U16(0x1001), m.U8(0x1002))
	}
	if m.U64(0xFFC) != 0 || m.U32(0x1000) != 0 || m.U16(0x1002) != 0 || m.U8(0x1003) != 0 {
		t.Error("a read that crosses the limit is not 0")
	}
	if m.U8(math.MaxUint64) != 0 || m.U64(math.MaxUint64-3) != 0 {
		t.Error("a read at the end of the address space is not 0")
	}
	if sum, ok := m.Sum8(0xFFB, 8); sum != 36 || !ok {
		t.Errorf("Sum8 = %d, %v", sum, ok)
	}
	if _, ok := m.Sum8(0xFFB, 9); ok {
		t.Error("Sum8 beyond the limit is accepted")
	}
}
