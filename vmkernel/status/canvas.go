package status

import "strings"

// Size of a page in cells.
const (
	Columns = 80
	Rows    = 25
)

// A Page is cells row by row: a character of ASCII, the foreground among VGA's sixteen colours in bits
// 8 to 11, the background among the first eight in bits 12 to 14.
type Page [Columns * Rows]uint16

// A colour is a cell's foreground and background.
type colour uint16

// Foregrounds, and backgrounds to add to them.
const (
	grey   colour = 0x0700
	dim    colour = 0x0300 // labels
	bright colour = 0x0F00
	yellow colour = 0x0E00
	red    colour = 0x0C00
	green  colour = 0x0A00

	onBlue    colour = 0x1000
	onGreen   colour = 0x2000
	onRed     colour = 0x4000
	onMagenta colour = 0x5000
	onBrown   colour = 0x6000
)

// Text returns row y as text, without blanks at its end.
func (p *Page) Text(y int) string {
	var b strings.Builder
	for _, c := range p[y*Columns : (y+1)*Columns] {
		b.WriteByte(byte(c))
	}
	return strings.TrimRight(b.String(), " ")
}

// String returns the page as lines of text.
func (p *Page) String() string {
	var b strings.Builder
	for y := range Rows {
		b.WriteString(p.Text(y) + "\n")
	}
	return b.String()
}

// fill makes all of row y blank, in a colour.
func (p *Page) fill(y int, c colour) {
	for x := range Columns {
		p[y*Columns+x] = uint16(c) | ' '
	}
}

// put writes text into row y from column x on, width columns at most, and returns the column behind it.
func (p *Page) put(x, y, width int, c colour, text string) int {
	width = min(width, Columns-x)
	if y >= Rows || width <= 0 {
		return x
	}
	for _, b := range []byte(clip(text, width)) {
		p[y*Columns+x] = uint16(c) | uint16(b)
		x++
	}
	return x
}

// clip makes text printable ASCII of width columns at most.
func clip(text string, width int) string {
	b := make([]byte, 0, min(len(text), width+1))
	for _, r := range text {
		if len(b) > width {
			break
		}
		if r < ' ' || r > '~' {
			r = '?'
		}
		b = append(b, byte(r))
	}
	if len(b) <= width {
		return string(b)
	}
	if width < 2 {
		return string(b[:width])
	}
	return string(b[:width-2]) + ".."
}
