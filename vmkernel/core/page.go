package core

import (
	"unsafe"

	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
)

// A page of cells, see sys.ShowPage, is shown in the place of the console's text, which goes on unseen
// and comes back when the lower half has something to report.

// callPage shows the page at p, or, for 0, the console's text again.
func callPage(p uintptr) int64 {
	if p != 0 && !ensure(p, unsafe.Sizeof(sys.Page{}), false) {
		return -int64(linux.EFAULT)
	}
	s := &console.screen
	r := int64(0)
	console.lock.lock()
	switch {
	case s.video == 0 || !s.holdsPage():
		r = -int64(linux.ENODEV)
	case p == 0:
		s.showText()
	default:
		s.showPage(at[sys.Page](p))
	}
	console.lock.unlock()
	return r
}

// holdsPage says whether the screen is large enough for a page.
func (s *screen) holdsPage() bool {
	if s.pixel == 0 {
		return s.cols >= sys.PageColumns && s.rows >= sys.PageRows
	}
	return s.pageScale() > 0
}

// pageScale is how many pixels a dot of the page's font has in each direction: as many as fit.
func (s *screen) pageScale() int {
	return min(s.width/(sys.PageColumns*cellWidth), s.height/(sys.PageRows*cellHeight))
}

// showPage draws the cells that are others than those of the page before.
func (s *screen) showPage(p *sys.Page) {
	all := !s.paged
	if all {
		s.blank()
		s.paged = true
	}
	for i := range p {
		c := p[i]
		if b := byte(c); b < ' ' || b > '~' {
			c = c&^0xFF | '?'
		}
		c &^= 1 << 15 // text memory may take that bit for blinking
		if all || s.page[i] != c {
			s.page[i] = c
			s.drawCell(i%sys.PageColumns, i/sys.PageColumns, c)
		}
	}
	fence()
}

// showText draws the console's text again.
func (s *screen) showText() {
	if s.paged {
		s.paged = false
		s.show(s.video)
	}
}

// blank makes all of the screen black.
func (s *screen) blank() {
	if s.pixel != 0 {
		for i := uintptr(0); i < uintptr(s.length)&^7; i += 8 {
			*at[uint64](s.video + i) = 0
		}
		return
	}
	for y := 0; y < s.rows; y++ {
		for x := 0; x < s.cols; x++ {
			*at[uint16](s.video + uintptr(y)*s.pitch + 2*uintptr(x)) = greyText | ' '
		}
	}
}

// drawCell draws a cell of a page that stands in the middle of the screen.
func (s *screen) drawCell(x, y int, c uint16) {
	if s.pixel == 0 {
		x += (s.cols - sys.PageColumns) / 2
		y += (s.rows - sys.PageRows) / 2
		*at[uint16](s.video + uintptr(y)*s.pitch + 2*uintptr(x)) = c
		return
	}
	scale := s.pageScale()
	x = (s.width-sys.PageColumns*cellWidth*scale)/2 + x*cellWidth*scale
	y = (s.height-sys.PageRows*cellHeight*scale)/2 + y*cellHeight*scale
	foreground, background := s.palette[c>>8&15], s.palette[c>>12&7]
	g := &s.glyphs[(byte(c)-0x20)%0x60]
	p := s.video + uintptr(y)*s.pitch + uintptr(x)*s.pixel
	for row := 0; row < cellHeight; row++ {
		dots := uint8(0)
		if row < glyphHeight {
			dots = g[row]
		}
		for i := 0; i < scale; i++ {
			q := p
			for dot := 0; dot < cellWidth; dot++ {
				v := background
				if dots>>dot&1 != 0 {
					v = foreground
				}
				for j := 0; j < scale; j++ {
					s.putPixel(q, v)
					q += s.pixel
				}
			}
			p += s.pitch
		}
	}
}

func (s *screen) putPixel(p uintptr, v uint32) {
	switch s.pixel {
	case 4:
		*at[uint32](p) = v
	case 3:
		*at[uint16](p) = uint16(v)
		*at[uint8](p + 2) = uint8(v >> 16)
	default:
		*at[uint16](p) = uint16(v)
	}
}
