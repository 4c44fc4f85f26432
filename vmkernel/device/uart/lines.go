package uart

import (
	"strconv"
	"sync"
	"unicode/utf8"
)

// MaxLine is the longest line in bytes, as the guest sent it; a longer one is
// split.
const MaxLine = 1024

// Lines assembles the bytes that a guest prints into lines that are safe on
// the host's console. A line ends at \n; every \r is dropped; a line longer
// than MaxLine is split, between characters. What isn't printable text
// becomes \xNN, byte by byte: control bytes with ESC and TAB, C1 controls,
// invalid UTF-8, and the invisible characters that reorder or break a line.
// So a guest can't drive a terminal, nor start a line of its own.
type Lines struct {
	mu   sync.Mutex
	emit func(line []byte)
	n    int
	raw  [MaxLine]byte
	safe [4 * MaxLine]byte
}

// NewLines returns a Lines that gives each line to emit, without a line end.
// The slice is valid only during the call. emit is called with a mutex held,
// from whatever goroutine the completing byte came from, so it must neither
// block nor call Lines.
func NewLines(emit func(line []byte)) *Lines { return &Lines{emit: emit} }

// Put takes one byte from the guest. It serves as a UART's send function.
func (l *Lines) Put(b byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch b {
	case '\n':
		l.emitRaw(l.n)
		return
	case '\r':
		return
	}
	if l.n == MaxLine {
		l.emitRaw(MaxLine - partialRune(l.raw[:]))
	}
	l.raw[l.n] = b
	l.n++
}

// Flush emits what has been printed since the last line end, if anything.
func (l *Lines) Flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n > 0 {
		l.emitRaw(l.n)
	}
}

// emitRaw emits the first n bytes and keeps the others as the next line's
// beginning.
func (l *Lines) emitRaw(n int) {
	l.emit(escape(l.safe[:0], l.raw[:n]))
	l.n = copy(l.raw[:], l.raw[n:l.n])
}

// partialRune returns how many bytes at the end of p begin a character that
// is not complete: 0 to 3.
func partialRune(p []byte) int {
	for k := 1; k < utf8.UTFMax && k <= len(p); k++ {
		if tail := p[len(p)-k:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return k
		}
	}
	return 0
}

// escape appends raw to dst, four bytes for each that is not part of a
// printable character. dst has the capacity for that.
func escape(dst, raw []byte) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(raw); {
		c := raw[i]
		if c >= ' ' && c < 0x7f {
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRune(raw[i:])
		if c >= utf8.RuneSelf && n > 1 && strconv.IsPrint(r) {
			dst = append(dst, raw[i:i+n]...)
		} else {
			for _, b := range raw[i : i+n] {
				dst = append(dst, '\\', 'x', hex[b>>4], hex[b&15])
			}
		}
		i += n
	}
	return dst
}
