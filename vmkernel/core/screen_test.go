package core

import (
	"runtime"
	"strings"
	"testing"

	"keel/boot/handover"
)

// testScreen is a screen of f that draws into video, with guard bytes behind length.
type testScreen struct {
	screen
	video []byte
}

const guard = 4096

func newTestScreen(t *testing.T, f handover.Framebuffer) *testScreen {
	t.Helper()
	s := &testScreen{video: make([]byte, uint64(f.Pitch)*uint64(f.Height)+guard)}
	for i := range s.video {
		s.video[i] = 0xEE
	}
	s.describe(&f)
	if s.cols != 0 {
		s.show(addrOf(&s.video[0]))
	}
	t.Cleanup(func() { runtime.KeepAlive(s.video) })
	return s
}

func (s *testScreen) write(text string) {
	for i := 0; i < len(text); i++ {
		s.put(text[i])
	}
}

// text is what the cells hold, without blanks at the ends of lines and empty lines at the end.
func (s *testScreen) text() string {
	var b strings.Builder
	for y := 0; y < s.rows; y++ {
		b.WriteString(strings.TrimRight(string(s.cells[y*s.cols:(y+1)*s.cols]), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

// checkGuard asserts that nothing was drawn beyond pitch*height.
func (s *testScreen) checkGuard(t *testing.T) {
	t.Helper()
	for i, b := range s.video[len(s.video)-guard:] {
		if b != 0xEE {
			t.Fatalf("byte %d after the framebuffer was written", i)
		}
	}
}

func textScreen(cols, rows, pitch uint32) handover.Framebuffer {
	return handover.Framebuffer{Kind: handover.Text, Address: vgaText, Pitch: pitch, Width: cols, Height: rows, BitsPerPixel: 16}
}

func rgbScreen(width, height, pitch uint32, bits uint8) handover.Framebuffer {
	f := handover.Framebuffer{Kind: handover.RGB, Address: 8 << 30, Pitch: pitch, Width: width, Height: height, BitsPerPixel: bits,
		RedPosition: 16, RedSize: 8, GreenPosition: 8, GreenSize: 8, BlueSize: 8}
	switch bits {
	case 15:
		f.RedPosition, f.RedSize, f.GreenPosition, f.GreenSize, f.BlueSize = 10, 5, 5, 5, 5
	case 16:
		f.RedPosition, f.RedSize, f.GreenPosition, f.GreenSize, f.BlueSize = 11, 5, 5, 6, 5
	}
	return f
}

func TestEveryGlyphIsDistinctAndOnlyTheSpaceIsBlank(t *testing.T) {
	seen := map[string]byte{}
	for b := byte(' '); b <= '~'; b++ {
		var g strings.Builder
		for y := range glyphHeight {
			for x := range glyphWidth {
				if glyphRow(b, y)>>x&1 != 0 {
					g.WriteByte('#')
				} else {
					g.WriteByte('.')
				}
			}
		}
		if blank := !strings.Contains(g.String(), "#"); blank != (b == ' ') {
			t.Errorf("%q is blank: %v", b, blank)
		}
		if other, ok := seen[g.String()]; ok {
			t.Errorf("%q looks like %q", b, other)
		}
		seen[g.String()] = b
	}
	if want := fontStride * glyphHeight * 96 / fontPerRow; len(font) != want || strings.Trim(font, " #") != "" {
		t.Errorf("the font has %d dots, want %d of # and blanks", len(font), want)
	}
}

func TestGlyphIsDrawnInPixelsOfEveryDepth(t *testing.T) {
	for _, c := range []struct {
		bits  uint8
		bytes int
		want  uint32
	}{{15, 2, 0x56B5}, {16, 2, 0xAD55}, {24, 3, 0xAAAAAA}, {32, 4, 0xAAAAAA}} {
		pitch := 12*c.bytes + 5
		s := newTestScreen(t, rgbScreen(12, 20, uint32(pitch), c.bits))
		s.write("\n L")
		for y := range 20 {
			for x := range 12 {
				want := uint32(0)
				if gx, gy := x-6, y-10; gx >= 0 && gx < glyphWidth && gy >= 0 && gy < glyphHeight && glyphRow('L', gy)>>gx&1 != 0 {
					want = c.want
				}
				got := uint32(0)
				for i := range c.bytes {
					got |= uint32(s.video[y*pitch+x*c.bytes+i]) << (8 * i)
				}
				if got != want {
					t.Fatalf("%d bits: pixel %d,%d is %#x, want %#x", c.bits, x, y, got, want)
				}
			}
		}
		s.checkGuard(t)
	}
}

func TestGlyphIsScaledOnWideScreens(t *testing.T) {
	for _, c := range []struct {
		width             uint32
		scale, cols, rows int
	}{{640, 1, 106, 60}, {800, 1, 133, 60}, {1023, 1, 170, 60}, {1024, 2, 85, 30}, {1920, 2, 160, 30}, {3840, 4, 160, 15}} {
		s := newTestScreen(t, rgbScreen(c.width, 600, 4*c.width, 32))
		if s.scale != c.scale || s.cols != c.cols || s.rows != c.rows {
			t.Fatalf("%d pixels: scale %d, %dx%d, want %+v", c.width, s.scale, s.cols, s.rows, c)
		}
		s.write("I")
		set := 0
		for i := 0; i < len(s.video)-guard; i += 4 {
			if s.video[i] != 0 {
				set++
			}
		}
		if want := (3 + 5 + 3) * c.scale * c.scale; set != want {
			t.Errorf("scale %d: %d pixels of an I are set, want %d", c.scale, set, want)
		}
	}
}

func TestChannelFillsTheFieldWithItsHighestBits(t *testing.T) {
	for _, c := range []struct {
		v              uint32
		position, size uint8
		want           uint32
	}{{0xFF, 0, 8, 0xFF}, {0xAA, 16, 8, 0xAA0000}, {0x80, 11, 5, 0x8000}, {0xFF, 5, 6, 0x7E0}, {0xFF, 20, 10, 0x3FC00000}, {0x80, 3, 1, 8}} {
		if got := channel(c.v, c.position, c.size); got != c.want {
			t.Errorf("channel(%#x, %d, %d) = %#x, want %#x", c.v, c.position, c.size, got, c.want)
		}
	}
}

func TestLinesWrapAndScroll(t *testing.T) {
	for _, c := range []struct{ write, want string }{
		{"ab\ncd", "ab\ncd"},
		{"abcde", "abcd\ne"},
		{"abcd\ne", "abcd\ne"}, // a full line and its end make one line
		{"1\n2\n3", "1\n2\n3"},
		{"1\n2\n3\n", "2\n3"},
		{"1\n2\n3\n4\n5", "3\n4\n5"},
		{"12345678abcdEF", "5678\nabcd\nEF"},
		{"ab\rc", "cb"},
		{"a\tb\x01\x7F", "a b?\n?"},
		{"1µs€\x80", "1us?"},
		{"é", "?"},
	} {
		s := newTestScreen(t, textScreen(4, 3, 8))
		s.write(c.write)
		if got := s.text(); got != c.want {
			t.Errorf("%q shows %q, want %q", c.write, got, c.want)
		}
		for i := range s.cols * s.rows {
			if s.video[2*i] != s.cells[i] || s.video[2*i+1] != 7 {
				t.Fatalf("%q: cell %d shows %q in colour %#x, want %q", c.write, i, s.video[2*i], s.video[2*i+1], s.cells[i])
			}
		}
		s.checkGuard(t)
	}
}

func TestScrollingWritesOnlyWhatChanges(t *testing.T) {
	s := newTestScreen(t, textScreen(4, 3, 8))
	s.write("ab\nab\ncd")
	for i := range s.video {
		s.video[i] = 0xEE
	}
	s.write("\n")
	want := "\xEE\xEE\xEE\xEE\xEE\xEE\xEE\xEE" + "c\x07d\x07\xEE\xEE\xEE\xEE" + " \x07 \x07\xEE\xEE\xEE\xEE"
	if got := string(s.video[:24]); got != want {
		t.Errorf("scrolling wrote %q, want %q", got, want)
	}
}

// What was written before the pixels could be reached is there once they can.
func TestTextThatCameBeforeVideoMemoryIsShown(t *testing.T) {
	f := rgbScreen(60, 40, 240, 32)
	direct := newTestScreen(t, f)
	late := newTestScreen(t, f)
	late.describe(&f)
	direct.write("one\ntwo")
	late.write("one\ntwo")
	late.show(addrOf(&late.video[0]))
	if string(direct.video) != string(late.video) {
		t.Error("the screens differ")
	}
}

func TestNothingIsDrawnOutsideOddFramebuffers(t *testing.T) {
	narrow := rgbScreen(100, 33, 150, 15) // 100 pixels of 15 bits, but of 2 bytes only 75
	for _, c := range []struct {
		name       string
		f          handover.Framebuffer
		cols, rows int
	}{
		{"pitch for pixels of 15 bits", narrow, 12, 3},
		{"smaller than a cell", rgbScreen(5, 20, 20, 32), 0, 0},
		{"lower than a cell", rgbScreen(60, 9, 240, 32), 0, 0},
		{"one cell", rgbScreen(6, 10, 24, 32), 1, 1},
		{"more cells than fit", textScreen(300, 200, 600), maxCols, maxRows},
		{"high", rgbScreen(64, 4000, 256, 32), 10, maxRows},
		{"no pixels", handover.Framebuffer{Kind: handover.RGB, Pitch: 100, Width: 10, Height: 10}, 0, 0},
		{"palette", handover.Framebuffer{Kind: handover.Indexed, Pitch: 640, Width: 640, Height: 40, BitsPerPixel: 8}, 0, 0},
		{"none", handover.Framebuffer{}, 0, 0},
	} {
		s := newTestScreen(t, c.f)
		if s.cols != c.cols || s.rows != c.rows {
			t.Errorf("%s: %dx%d characters, want %dx%d", c.name, s.cols, s.rows, c.cols, c.rows)
		}
		for range c.rows + 2 {
			s.write(strings.Repeat("@", c.cols+c.cols/2+1) + "\n")
		}
		s.checkGuard(t)
	}
}

func TestScreenIsNotInMemoryOfTheKernel(t *testing.T) {
	var h handover.Handover
	h.NumRanges = 1
	h.Ranges[0] = handover.Range{Base: 1 << 20, Length: 1 << 20, Type: handover.Usable}
	for _, c := range []struct {
		start, end uint64
		want       bool
	}{{0, 1 << 20, false}, {0, 1<<20 + 1, true}, {2<<20 - 1, 3 << 20, true}, {2 << 20, 3 << 20, false}} {
		if got := isUsable(&h, c.start, c.end); got != c.want {
			t.Errorf("isUsable(%#x, %#x) = %v", c.start, c.end, got)
		}
	}
}
