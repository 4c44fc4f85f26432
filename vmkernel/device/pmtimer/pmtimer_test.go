package pmtimer

import (
	"math/big"
	"testing"

	"keel/vmkernel/device/internal/lowercheck"
)

func TestLowerHalf(t *testing.T) { lowercheck.Check(t) }

func TestCount(t *testing.T) {
	for _, c := range []struct {
		now  uint64
		want uint32
	}{
		{0, 0},
		{279, 0},
		{280, 1}, // the first tick ends after 279.365 ns
		{1e9, Hz},
		{3600e9, 3600 * Hz & 0xFFFFFFFF},
		{1199864031881, 0xFFFFFFFF}, // the last nanosecond before the wrap...
		{1199864031882, 0},          // ...and the next
	} {
		if got := Count(c.now); got != c.want {
			t.Errorf("Count(%d) = %d, want %d", c.now, got, c.want)
		}
	}
}

// exact is the definition in unbounded arithmetic.
func exact(now uint64) *big.Int {
	x := new(big.Int).SetUint64(now)
	x.Mul(x, big.NewInt(Hz))
	return x.Div(x, big.NewInt(1e9))
}

func FuzzCount(f *testing.F) {
	for _, now := range []uint64{0, 1, 279, 280, 1e9, 1 << 40, 1 << 63, ^uint64(0)} {
		f.Add(now)
	}
	f.Fuzz(func(t *testing.T, now uint64) {
		x := exact(now)
		if got, want := Count(now), uint32(x.Uint64()); got != want {
			t.Errorf("Count(%d) = %d, want %d", now, got, want)
		}
		if got, want := Toggles(now), x.Rsh(x, 31).Uint64(); got != want {
			t.Errorf("Toggles(%d) = %d, want %d", now, got, want)
		}
	})
}

func TestRead(t *testing.T) {
	const now = 1000e9
	c := Count(now)
	for _, tc := range []struct{ off, size, want uint32 }{
		{0, 4, c},
		{0, 1, c & 0xFF},
		{1, 1, c >> 8 & 0xFF},
		{3, 1, c >> 24},
		{2, 2, c >> 16},
		{3, 2, c>>24 | 0xFF00},
		{2, 4, c>>16 | 0xFFFF0000},
		{4, 4, 0xFFFFFFFF},
		{1 << 31, 1, 0xFF},
	} {
		if got := Read(tc.off, tc.size, now); got != tc.want {
			t.Errorf("Read(%d, %d) = %#x, want %#x", tc.off, tc.size, got, tc.want)
		}
	}
}
