package handover

import "keel/boot/physmem"

// Option reports whether the word name stands on the command line. Words are separated by blanks;
// there is no quoting.
func (h *Handover) Option(name string) bool {
	for at := uint32(0); ; {
		start, end := h.word(at)
		if start == end {
			return false
		}
		if h.wordIs(start, end, name) {
			return true
		}
		at = end
	}
}

// Value is what follows the equals sign of the word name=value, the last one where there are
// several; found with an empty value is possible. The bytes are a part of h.CommandLine.
func (h *Handover) Value(name string) (value []byte, found bool) {
	n := uint32(len(name))
	for at := uint32(0); ; {
		start, end := h.word(at)
		if start == end {
			return value, found
		}
		if end-start > n && h.CommandLine[start+n] == '=' && h.wordIs(start, start+n, name) {
			value, found = h.CommandLine[start+n+1:end], true
		}
		at = end
	}
}

// word finds the first word at or behind at: [start, end), empty where there is none.
func (h *Handover) word(at uint32) (start, end uint32) {
	length := min(h.CommandLineLength, TextSize)
	start = at
	for start < length && blank(h.CommandLine[start]) {
		start++
	}
	end = start
	for end < length && !blank(h.CommandLine[end]) {
		end++
	}
	return start, end
}

func (h *Handover) wordIs(start, end uint32, name string) bool {
	if end-start != uint32(len(name)) {
		return false
	}
	for i := range len(name) {
		if h.CommandLine[start+uint32(i)] != name[i] {
			return false
		}
	}
	return true
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// copyText copies the zero-terminated string at pa, at most limit bytes of it, into to from used
// on. more says that the string goes on where to or the readable memory ends.
func copyText(mem physmem.Memory, pa, limit uint64, to *[TextSize]byte, used uint32) (length uint32, more bool) {
	for i := uint64(0); i < limit; i++ {
		if !mem.Holds(pa, i+1) {
			return length, true
		}
		c := mem.U8(pa + i)
		if c == 0 {
			return length, false
		}
		if used+length >= TextSize {
			return length, true
		}
		to[used+length] = c
		length++
	}
	return length, false
}

func (h *Handover) setCommandLine(mem physmem.Memory, pa, limit uint64) {
	h.CommandLineLength, h.CommandLineTruncated = copyText(mem, pa, limit, &h.CommandLine, 0)
}
