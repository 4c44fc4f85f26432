package core

import (
	"keel/arch/amd64"
	"keel/boot/handover"
	"keel/vmkernel/sys"
)

// A screen shows the console's text in VGA text memory or, drawn with font, in the pixels that the
// firmware left. What it shows is kept in cells, so that video memory, which is slow to read, is
// only written, and only where a character changes. The text goes on while there is no video
// memory yet: show draws it later.
type screen struct {
	video      uintptr // virtual address of the first cell or pixel, 0: nothing to draw on
	pa, length uint64  // the same as physical memory
	pitch      uintptr // bytes from one line to the next

	pixel      uintptr // bytes a pixel, 0: text memory
	scale      int     // pixels to a dot of the font, in each direction
	foreground uint32  // of a pixel; the background is 0

	palette       [16]uint32 // VGA's colours as pixels
	width, height int        // pixels

	cols, rows int  // both 0: no screen
	x, y       int  // where the next character goes; x is cols where it begins a new line
	lead       byte // of a character that isn't ASCII, in UTF-8; 0 where none is begun
	cells      [maxCols * maxRows]byte
	glyphs     [0x60]glyph // of 0x20 to 0x7F

	paged bool // the page is shown, and not the text
	page  sys.Page
}

const (
	// A cell of the font's dots: a glyph with space to its right and below.
	cellWidth  = glyphWidth + 1
	cellHeight = glyphHeight + 1
	// A dot is one pixel wide on screens below scaleWidth, two below twice that, and so on: that makes
	// 85 columns or more from scaleWidth on, and never more than maxCols.
	scaleWidth = 1024
	maxCols    = scaleWidth / cellWidth
	maxRows    = 160

	lightGrey = 7              // of VGA's colours
	greyText  = lightGrey << 8 // in text memory, on black

	// Where PCs have text memory, and its size in characters, if nobody describes a screen.
	vgaText    = 0xB_8000
	vgaColumns = 80
	vgaLines   = 25

	// VGA's registers of the text mode's cursor: an index, and data at the next port.
	crtcIndex       = 0x3D4
	crtcCursorStart = 0x0A
	crtcCursorOff   = 1 << 5

	screenArea uintptr = 0xFFFF_D000_0000_0000 // where pixels are mapped
)

// init takes the screen that the loader describes, and clears it. Without a description a machine
// whose firmware isn't UEFI is in VGA's text mode. It runs on the boot page tables: video memory
// above earlyLimit has to wait for mapScreen.
func (s *screen) init(h *handover.Handover) {
	f := h.Framebuffer
	if f.Kind == handover.NoFramebuffer && !h.EFI && h.Notes&handover.NoteFramebufferRejected == 0 {
		f = handover.Framebuffer{Kind: handover.Text, Address: vgaText, Pitch: 2 * vgaColumns, Width: vgaColumns, Height: vgaLines, BitsPerPixel: 16}
	}
	s.describe(&f)
	if isUsable(h, s.pa, s.pa+s.length) {
		s.cols = 0
	}
	if s.cols == 0 || s.pa+s.length > earlyLimit {
		return
	}
	if s.pixel == 0 { // the cursor would blink where the loader left it
		amd64.OUT8(crtcIndex, crtcCursorStart)
		amd64.OUT8(crtcIndex+1, crtcCursorOff)
	}
	s.show(amd64.DirectMap + uintptr(s.pa))
}

// describe makes s an empty screen of f's geometry; it leaves cols 0 where f has no room for text.
// All that s draws lies within cols and rows, and so within length bytes.
func (s *screen) describe(f *handover.Framebuffer) {
	s.video, s.cols, s.rows, s.x, s.y, s.paged = 0, 0, 0, 0, 0, false
	s.pa, s.pitch, s.length = f.Address, uintptr(f.Pitch), uint64(f.Pitch)*uint64(f.Height)
	bytes := (uint32(f.BitsPerPixel) + 7) / 8
	if bytes < 2 || bytes > 4 {
		return
	}
	width, height := int(min(f.Width, f.Pitch/bytes)), int(f.Height)
	switch f.Kind {
	case handover.Text:
		s.pixel = 0
	case handover.RGB:
		s.pixel = uintptr(bytes)
		s.scale = 1 + width/scaleWidth
		for i := range s.palette {
			r, g, b := vgaColour(uint32(i))
			s.palette[i] = channel(r, f.RedPosition, f.RedSize) | channel(g, f.GreenPosition, f.GreenSize) | channel(b, f.BluePosition, f.BlueSize)
		}
		s.foreground = s.palette[lightGrey]
		s.width, s.height = width, height
		width /= cellWidth * s.scale
		height /= cellHeight * s.scale
	default:
		return
	}
	if width == 0 || height == 0 {
		return
	}
	s.cols, s.rows = min(width, maxCols), min(height, maxRows)
	for i := range s.cells {
		s.cells[i] = ' '
	}
	for i := range s.glyphs {
		for y := range s.glyphs[i] {
			s.glyphs[i][y] = glyphRow(0x20+byte(i), y)
		}
	}
}

// vgaColour is one of VGA's sixteen: bits for blue, green, red, and bright.
func vgaColour(i uint32) (r, g, b uint32) {
	bright := i >> 3 & 1 * 0x55
	return i>>2&1*0xAA + bright, i>>1&1*0xAA + bright, i&1*0xAA + bright
}

// channel is one colour of a pixel: v of 0 to 0xFF as a field of size bits at position.
func channel(v uint32, position, size uint8) uint32 {
	if size <= 8 {
		return v >> (8 - size) << position
	}
	return v << (size - 8) << position
}

// mapScreen maps pixels with write combining, wherever they are, and draws all that was written
// until now if they couldn't be reached. It runs when the kernel's page tables are in use and on
// one processor only.
func mapScreen() {
	s := &console.screen
	end := s.pa + s.length
	if s.cols == 0 || s.pixel == 0 || physBits < 52 && end > 1<<physBits {
		return
	}
	first := s.pa &^ (amd64.PageSize - 1)
	va := screenArea + uintptr(first&(1<<30-1)) // aligned as its physical address is
	if !mapRange(va, first, roundUp64(end)-first, amd64.PTE_W|amd64.PTE_NX|amd64.PTE_G|amd64.PTE_PWT) {
		return
	}
	va += uintptr(s.pa - first)
	if s.video != 0 {
		s.video = va
	} else {
		s.show(va)
	}
}

// isUsable says whether the memory map gives any of [start, end) to the kernel: no place for a
// screen, whatever its description says.
func isUsable(h *handover.Handover, start, end uint64) bool {
	for i := uint32(0); i < h.NumRanges; i++ {
		if r := &h.Ranges[i]; r.Type == handover.Usable && r.Base < end && r.End() > start {
			return true
		}
	}
	return false
}

// show draws everything at a virtual address where length bytes are mapped.
func (s *screen) show(video uintptr) {
	s.video = video
	s.blank()
	for y := 0; y < s.rows; y++ {
		for x := 0; x < s.cols; x++ {
			s.draw(x, y, ' ')
		}
	}
	fence()
}

// put writes one byte; the console's lock is held. What isn't ASCII shows as one question mark.
func (s *screen) put(b byte) {
	switch {
	case s.cols == 0:
		return
	case b == '\n':
		s.newLine()
		fence() // combined writes may otherwise stay in the processor for long
		return
	case b == '\r':
		s.x = 0
		return
	case b == '\t':
		b = ' '
	case b >= 0xC0:
		s.lead = b
		return
	case b >= 0x80:
		lead := s.lead
		s.lead = 0
		if lead == 0 {
			return // one of more bytes, or stray
		}
		if lead == 0xC2 && b == 0xB5 { // µ, of durations
			b = 'u'
		} else {
			b = '?'
		}
	case b < 0x20 || b > 0x7E:
		b = '?'
	}
	if s.x >= s.cols {
		s.newLine()
	}
	s.set(s.x, s.y, b)
	s.x++
}

// newLine goes to the next line, and scrolls at the last one.
func (s *screen) newLine() {
	s.x = 0
	if s.y+1 < s.rows {
		s.y++
		return
	}
	for y := 0; y < s.rows; y++ {
		for x := 0; x < s.cols; x++ {
			b := byte(' ')
			if y+1 < s.rows {
				b = s.cells[(y+1)*s.cols+x]
			}
			s.set(x, y, b)
		}
	}
}

// set puts a character into a cell, and draws it where it is a new one.
func (s *screen) set(x, y int, b byte) {
	c := &s.cells[y*s.cols+x]
	if old := *c; old != b {
		*c = b
		s.draw(x, y, old)
	}
}

// draw draws a cell, which shows old until now.
func (s *screen) draw(x, y int, old byte) {
	b := s.cells[y*s.cols+x]
	if s.video == 0 || s.paged {
		return
	}
	if s.pixel == 0 {
		*at[uint16](s.video + uintptr(y)*s.pitch + 2*uintptr(x)) = greyText | uint16(b)
		return
	}
	is, was := &s.glyphs[(b-0x20)%0x60], &s.glyphs[(old-0x20)%0x60]
	p := s.video + uintptr(y*cellHeight*s.scale)*s.pitch + uintptr(x*cellWidth*s.scale)*s.pixel
	for row := 0; row < glyphHeight; row++ {
		for i := 0; i < s.scale; i++ {
			if is[row] != was[row] {
				s.drawLine(p, uint32(is[row]))
			}
			p += s.pitch
		}
	}
}

// drawLine draws one line of a glyph's pixels from p on.
func (s *screen) drawLine(p uintptr, dots uint32) {
	pixel, scale := s.pixel, s.scale
	for x := 0; x < glyphWidth; x++ {
		v := s.foreground & -(dots & 1)
		dots >>= 1
		for i := 0; i < scale; i++ {
			s.putPixel(p, v)
			p += pixel
		}
	}
}
