package output

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Style is how a cell looks on a terminal with colours.
type Style string

const (
	Plain Style = ""
	Good  Style = "\x1b[32m"
	Warn  Style = "\x1b[33m"
	Bad   Style = "\x1b[31m"
	Dim   Style = "\x1b[2m"
	Bold  Style = "\x1b[1m"

	reset = "\x1b[0m"
)

// Cell is one value of a table with its style.
type Cell struct {
	Text  string
	Style Style
}

// State colours the word for a state of a VM, a host or an operation.
func State(word string) Cell {
	styles := map[string]Style{
		"running": Good, "ready": Good, "ok": Good, "succeeded": Good, "done": Good, "good": Good,
		"paused": Warn, "starting": Warn, "stopping": Warn, "pending": Warn, "warning": Warn, "cancelled": Warn,
		"failed": Bad, "crashed": Bad, "unreachable": Bad, "error": Bad,
		"stopped": Dim,
	}
	return Cell{word, styles[word]}
}

// Rows are the rows of a table, or lines of names and values.
type Rows struct {
	color bool
	rows  [][]Cell
	out   bytes.Buffer
}

// Header begins a table. It is left out of one without rows.
func (r *Rows) Header(names ...string) {
	cells := make([]Cell, len(names))
	for i, name := range names {
		cells[i] = Cell{strings.ToUpper(name), Bold}
	}
	r.rows = append(r.rows, cells)
}

// Row adds a row. A value is a Cell, or what fmt.Sprint makes of it; what is empty is shown as a dash.
func (r *Rows) Row(values ...any) {
	cells := make([]Cell, len(values))
	for i, v := range values {
		if cell, ok := v.(Cell); ok {
			cells[i] = cell
		} else {
			cells[i] = Cell{Text: fmt.Sprint(v)}
		}
		cells[i].Text = Clean(cells[i].Text)
		if cells[i].Text == "" {
			cells[i].Text = "-"
		}
	}
	r.rows = append(r.rows, cells)
}

// Field adds a line of a name and a value, unless the value is empty.
func (r *Rows) Field(name string, value any) {
	text := fmt.Sprint(value)
	if cell, ok := value.(Cell); ok {
		text = cell.Text
	}
	if name == "" {
		name = " " // it goes on with the one before
	}
	if text != "" {
		r.Row(Cell{name, Dim}, value)
	}
}

// Break ends a table, so that the next has columns of its own.
func (r *Rows) Break() {
	r.flush()
	if r.out.Len() > 0 {
		r.out.WriteByte('\n')
	}
}

// Line adds a line that belongs to no column.
func (r *Rows) Line(format string, args ...any) {
	r.flush()
	r.out.WriteString(Clean(fmt.Sprintf(format, args...)))
	r.out.WriteByte('\n')
}

func (r *Rows) bytes() []byte {
	r.flush()
	return r.out.Bytes()
}

// flush writes the rows so far with their columns aligned.
func (r *Rows) flush() {
	var widths []int
	for _, row := range r.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.Text))
		}
	}
	for _, row := range r.rows {
		for i, c := range row {
			text := c.Text
			if r.color && c.Style != Plain {
				text = string(c.Style) + text + reset
			}
			if i < len(row)-1 {
				text += strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.Text)+2)
			}
			r.out.WriteString(text)
		}
		r.out.WriteByte('\n')
	}
	r.rows = nil
}

// Cut cuts a line of a table to a number of columns, its colours not counted.
func Cut(line string, columns int) string {
	var b strings.Builder
	seen, colored := 0, false
	for i := 0; i < len(line); {
		if line[i] == 0x1b {
			if end := strings.IndexByte(line[i:], 'm'); end >= 0 {
				code := line[i : i+end+1]
				b.WriteString(code)
				colored = code != reset
				i += end + 1
				continue
			}
		}
		_, n := utf8.DecodeRuneInString(line[i:])
		if seen == columns {
			break
		}
		b.WriteString(line[i : i+n])
		seen++
		i += n
	}
	if colored {
		b.WriteString(reset)
	}
	return b.String()
}
