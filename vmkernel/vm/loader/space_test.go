package loader

import (
	"strings"
	"testing"
)

func testSpace() *space {
	return newSpace([]MapEntry{{0, 0x1000, MapRAM}, {0x1000, 0x1000, MapReserved}, {0x2000, 0x8000, MapRAM}})
}

func TestClaimTakesOnlyFreeUsableRAM(t *testing.T) {
	for _, c := range []struct {
		name        string
		start, size uint64
		want        string // part of the error, or none
	}{
		{"whole range", 0, 0x1000, ""},
		{"before the taken", 0x2000, 0x1000, ""},
		{"after the taken", 0x5000, 0x5000, ""},
		{"reserved", 0x1000, 1, "not all in usable RAM, which is 0x0-0xfff, 0x2000-0x9fff"},
		{"into reserved", 0xFFF, 2, "x at 0xfff-0x1000 is not all"},
		{"past the end", 0x9FFF, 2, "not all"},
		{"wraps", 0xFFFFFFFFFFFFF000, 0x2000, "wrap"},
		{"same", 0x3000, 0x2000, "overlaps kernel at 0x3000-0x4fff"},
		{"last byte of the taken", 0x4FFF, 1, "overlaps"},
		{"first byte of the taken", 0x2000, 0x1001, "overlaps"},
		{"around the taken", 0x2000, 0x8000, "overlaps"},
	} {
		s := testSpace()
		if err := s.claim(0x3000, 0x2000, "kernel"); err != nil {
			t.Fatal(err)
		}
		err := s.claim(c.start, c.size, "x")
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

func TestPlaceFindsTheEndItIsAskedFor(t *testing.T) {
	const all = 1 << 40
	for _, c := range []struct {
		name string
		r    request
		want uint64
		err  string
	}{
		{"lowest", request{size: 0x100, align: 1, high: all}, 0, ""},
		{"lowest aligned", request{size: 0x100, align: 0x800, low: 1, high: all}, 0x800, ""},
		{"over a reserved area", request{size: 0x1000, align: 1, low: 1, high: all}, 0x2000, ""},
		{"over the taken", request{size: 0x1001, align: 1, high: all}, 0x5000, ""},
		{"highest", request{size: 0x100, align: 0x1000, high: all, top: true}, 0x9000, ""},
		{"highest below a limit", request{size: 0x100, align: 1, high: 0x3000, top: true}, 0x2F00, ""},
		{"highest under the taken", request{size: 0x1000, align: 1, high: 0x5FFF, top: true}, 0x2000, ""},
		{"nothing is large enough", request{size: 0x5001, align: 1, high: all}, 0,
			"x of 20481 bytes does not fit: the largest free piece of RAM from 0x0 to 0xffffffffff has 20480 bytes"},
		{"alignment makes it too large", request{size: 0x4000, align: 0x4000, low: 0x5000, high: 0xB000}, 0, "does not fit"},
		{"empty window", request{size: 1, align: 1, low: 0x3000, high: 0x3000}, 0, "does not fit"},
	} {
		s := testSpace()
		if err := s.claim(0x3000, 0x2000, "kernel"); err != nil {
			t.Fatal(err)
		}
		c.r.what = "x"
		got, err := s.place(c.r)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %#x, error %v, want %q", c.name, got, err, c.err)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %#x, error %v, want %#x", c.name, got, err, c.want)
		}
		if err == nil && s.claim(got, 1, "again") == nil {
			t.Errorf("%s: what was placed can be claimed again", c.name)
		}
	}
}
