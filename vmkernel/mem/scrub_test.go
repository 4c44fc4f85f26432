package mem

import (
	"math/rand/v2"
	"testing"
)

func TestScrubberFillsWhenIdleAndStops(t *testing.T) {
	s := NewScrubber(1 << 18) // 1 GiB
	clean, dirty := uint64(0), uint64(1<<18)
	calls := 0
	for n := s.Next(clean, dirty, true); n != 0; n = s.Next(clean, dirty, true) {
		if n > s.Batch || n > dirty {
			t.Fatalf("%d frames in one call", n)
		}
		clean, dirty = clean+n, dirty-n
		if calls++; calls > 1000 {
			t.Fatal("it doesn't end")
		}
	}
	if clean != s.High {
		t.Errorf("it stops with %d clean frames, want %d", clean, s.High)
	}
	// It begins again at Low, not before.
	for clean > s.Low {
		clean--
		if n := s.Next(clean, dirty, true); clean >= s.Low && n != 0 {
			t.Fatalf("it begins at %d, want below %d", clean, s.Low)
		}
	}
	if s.Next(s.Low-1, dirty, true) == 0 {
		t.Error("it doesn't begin")
	}
	if s.Next(s.Low, dirty, false) != 0 {
		t.Error("it works on a busy processor that has enough")
	}
	if n := s.Next(s.Least-1, dirty, false); n != s.Trickle {
		t.Errorf("behind, on a busy processor: %d, want %d", n, s.Trickle)
	}
	if s.Next(0, 0, true) != 0 || s.Next(0, 0, false) != 0 {
		t.Error("there is nothing to zero")
	}
}

// TestScrubberIsBounded promises that whatever it is told, it asks for no more than there is and no more than its bound.
func TestScrubberIsBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		s := NewScrubber(r.Uint64N(1 << r.IntN(40)))
		s.filling = r.IntN(2) == 0
		clean, dirty, idle := r.Uint64N(1<<r.IntN(40)), r.Uint64N(1<<r.IntN(40)), r.IntN(2) == 0
		n := s.Next(clean, dirty, idle)
		if n > dirty || n > s.Batch || !idle && n > s.Trickle || n != 0 && (clean >= s.High || n+clean > max(s.High, s.Least+s.Trickle)) {
			t.Fatalf("%+v: %d of %d dirty, %d clean, idle %v", s, n, dirty, clean, idle)
		}
	}
}

func BenchmarkScrubber(b *testing.B) {
	b.ReportAllocs()
	s := NewScrubber(1 << 18)
	for i := range b.N {
		s.Next(uint64(i)&0xFFFF, 1<<18, i&1 == 0)
	}
}

// BenchmarkZero is what a frame costs on this processor, for the bound of a call.
func BenchmarkZero(b *testing.B) {
	frames := make([]byte, 64<<20)
	b.SetBytes(PageSize)
	for i := range b.N {
		at := i * PageSize % len(frames)
		clear(frames[at : at+PageSize])
	}
}
