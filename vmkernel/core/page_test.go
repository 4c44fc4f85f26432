package core

import (
	"testing"

	"keel/vmkernel/sys"
)

// at reads a pixel or a text cell.
func (s *testScreen) at(x, y int) uint32 {
	bytes := max(int(s.pixel), 1)
	if s.pixel == 0 {
		bytes = 2
	}
	v := uint32(0)
	for i := range bytes {
		v |= uint32(s.video[y*int(s.pitch)+x*bytes+i]) << (8 * i)
	}
	return v
}

func TestPageTakesThePlaceOfTheTextAndGivesItBack(t *testing.T) {
	s := newTestScreen(t, textScreen(80, 25, 160))
	s.write("before\n")
	p := &sys.Page{}
	p[0], p[1999] = 0x1F00|'A', 0xF000|7 // white on blue; what blinks, and a control character
	s.showPage(p)
	s.write("behind")
	if got := s.at(0, 0); got != 0x1F00|'A' {
		t.Errorf("first cell %#x", got)
	}
	if got := s.at(79, 24); got != 0x7000|'?' {
		t.Errorf("last cell %#x", got)
	}
	if got := s.at(0, 1); got != 0x0000|'?' {
		t.Errorf("the text is drawn over the page: %#x", got)
	}
	s.showText()
	if s.text() != "before\nbehind" || s.at(0, 0) != greyText|'b' || s.at(0, 1) != greyText|'b' || s.at(79, 24) != greyText|' ' {
		t.Errorf("the text is %q, cells %#x %#x", s.text(), s.at(0, 0), s.at(79, 24))
	}
	s.checkGuard(t)
}

func TestPageIsDrawnInColourWhereverItFits(t *testing.T) {
	for _, c := range []struct {
		width, height uint32
		bits          uint8
		scale         int // 0: too small
	}{{480, 250, 32, 1}, {479, 250, 32, 0}, {480, 249, 32, 0}, {1024, 768, 24, 2}, {1920, 1080, 32, 4}, {800, 600, 16, 1}} {
		bytes := uint32(c.bits+7) / 8
		s := newTestScreen(t, rgbScreen(c.width, c.height, c.width*bytes+4, c.bits))
		if s.holdsPage() != (c.scale > 0) || s.pageScale() != c.scale {
			t.Errorf("%dx%d: scale %d, want %d", c.width, c.height, s.pageScale(), c.scale)
		}
		if c.scale == 0 {
			continue
		}
		p := &sys.Page{}
		for i := range p {
			p[i] = 0x1F00 | 'L'
		}
		s.showPage(p)
		left, top := (int(c.width)-480*c.scale)/2, (int(c.height)-250*c.scale)/2
		for i, want := range map[[2]int]uint32{
			{0, 0}:                             s.palette[15], // the stem
			{c.scale - 1, 7*c.scale - 1}:       s.palette[15],
			{5 * c.scale, 0}:                   s.palette[1], // right of the glyph
			{0, 9 * c.scale}:                   s.palette[1], // below
			{480*c.scale - 1, 250*c.scale - 1}: s.palette[1],
			{474 * c.scale, 240 * c.scale}:     s.palette[15],
		} {
			if got := s.at(left+i[0], top+i[1]); got != want {
				t.Errorf("%dx%d: pixel %v is %#x, want %#x", c.width, c.height, i, got, want)
			}
		}
		if left > 0 && s.at(left-1, top) != 0 {
			t.Errorf("%dx%d: left of the page", c.width, c.height)
		}
		// A change draws that cell only.
		p[1] = 0x4000 | ' '
		s.showPage(p)
		if got := s.at(left+6*c.scale, top); got != s.palette[4] {
			t.Errorf("%dx%d: the changed cell is %#x", c.width, c.height, got)
		}
		s.checkGuard(t)
	}
}
