package core

import (
	"keel/arch/amd64"
	"keel/boot/handover"
)

// A screen is VGA text memory, where the boot loader left text mode. It scrolls.
type screen struct {
	text       uintptr
	cols, rows int
	x, y       int
}

func (s *screen) init(h *handover.Handover) {
	s.text = 0
	if h.Framebuffer.Kind == handover.Text {
		s.text = amd64.DirectMap + uintptr(h.Framebuffer.Address)
		s.cols, s.rows = int(h.Framebuffer.Width), int(h.Framebuffer.Height)
	}
}

func (s *screen) put(b byte) {
	if s.text == 0 {
		return
	}
	switch {
	case b == '\n':
		s.x = s.cols
	case b == '\r':
		s.x = 0
		return
	case b < 0x20 || b > 0x7E:
		b = '?'
		fallthrough
	default:
		*at[uint16](s.text + uintptr(2*(s.y*s.cols+s.x))) = 0x0700 | uint16(b)
		s.x++
	}
	if s.x < s.cols {
		return
	}
	s.x = 0
	if s.y++; s.y < s.rows {
		return
	}
	s.y--
	n := s.cols * s.rows
	for i := 0; i < n; i++ {
		v := uint16(0x0720)
		if i+s.cols < n {
			v = *at[uint16](s.text + uintptr(2*(i+s.cols)))
		}
		*at[uint16](s.text + uintptr(2*i)) = v
	}
}
