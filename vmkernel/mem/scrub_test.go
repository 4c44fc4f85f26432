package mem

import "testing"

func TestWhatWasGivenBackIsScrubbedAndOfTheRestAsMuchAsIsUseful(t *testing.T) {
	s := NewScrubber(1 << 18)
	if s.Low == 0 || s.Low >= s.High || s.High > 1<<18/8 {
		t.Fatalf("%+v", s)
	}
	for i, c := range []struct {
		clean, soiled uint64
		want          bool
	}{
		{0, 0, true},           // at the start
		{s.High - 1, 0, true},  // it has begun
		{s.High, 0, false},     //
		{s.High, 1, true},      // somebody gave something back
		{1 << 17, 5000, true},  // however much is clean
		{s.Low, 0, false},      // not worth it yet
		{s.Low - 1, 0, true},   //
		{s.High - 1, 0, true},  //
		{1 << 17, 0, false},    //
		{s.High - 1, 0, false}, //
	} {
		if got := s.Next(c.clean, c.soiled); got != c.want {
			t.Errorf("step %d: %d clean, %d soiled: %v", i, c.clean, c.soiled, got)
		}
	}
}

func TestScrubberOfTheSmallestHostHasMarks(t *testing.T) {
	for _, pages := range []uint64{1, 1000, 1 << 40} {
		if s := NewScrubber(pages); s.Low < 1 || s.Low >= s.High {
			t.Errorf("%d pages: %+v", pages, s)
		}
	}
}
