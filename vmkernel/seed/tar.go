package seed

import (
	"bytes"
	"fmt"
	"strings"
)

// The ustar format: POSIX.1-2008, pax, "ustar Interchange Format". The offsets are of a header's fields.
const (
	block = 512

	tarName, tarNameEnd     = 0, 100
	tarSize, tarSizeEnd     = 124, 136
	tarSum, tarSumEnd       = 148, 156
	tarType                 = 156
	tarMagic, tarMagicEnd   = 257, 265
	tarPrefix, tarPrefixEnd = 345, 500
)

// entry is one regular file of an archive.
type entry struct {
	name string
	data []byte // a subslice of the archive
}

// walk returns the entries of an archive. It takes only what names regular files by clean relative paths, each once, and
// ends with two blocks of zeros; what follows them may only be zeros as well.
func walk(tar []byte) ([]entry, error) {
	if len(tar) == 0 {
		return nil, fmt.Errorf("seed: the archive is empty")
	}
	var entries []entry
	seen := map[string]bool{}
	for at := 0; ; {
		rest := tar[at:]
		if len(rest) < block {
			return nil, cutOff(at, len(rest), "a header or the end-of-archive mark", block)
		}
		head := rest[:block]
		if allZero(head) {
			if len(rest) < 2*block {
				return nil, cutOff(at, len(rest), "the end-of-archive mark", 2*block)
			}
			if !allZero(rest) {
				return nil, fmt.Errorf("seed: the archive goes on after its end at byte %d: give one archive", at)
			}
			return entries, nil
		}
		if len(entries) == MaxEntries {
			return nil, fmt.Errorf("seed: the archive has more than %d entries", MaxEntries)
		}
		if !sumHolds(head) {
			return nil, fmt.Errorf("seed: the archive is damaged or no tar archive: wrong checksum in the header at byte %d", at)
		}
		// GNU tar's own magic differs and its prefix field holds something else.
		var name string
		switch magic := string(head[tarMagic:tarMagicEnd]); magic {
		case "ustar\x0000":
			name = field(head[tarPrefix:tarPrefixEnd])
			if name != "" {
				name += "/"
			}
		case "ustar  \x00":
		default:
			return nil, fmt.Errorf("seed: the archive is not in ustar format: magic %q in the header at byte %d", magic, at)
		}
		name += field(head[tarName:tarNameEnd])
		who := fmt.Sprintf("seed: entry %d (%s)", len(entries)+1, quote(name))
		if what := typeName(head[tarType]); what != "" {
			return nil, fmt.Errorf("%s is %s: a seed holds only regular files", who, what)
		}
		if err := CheckName(name); err != nil {
			return nil, fmt.Errorf("%s: %w", who, err)
		}
		if seen[name] {
			return nil, fmt.Errorf("%s is there twice", who)
		}
		seen[name] = true
		size, ok := octal(head[tarSize:tarSizeEnd])
		if !ok {
			return nil, fmt.Errorf("%s has no readable size: %q", who, head[tarSize:tarSizeEnd])
		}
		// size is below 1<<36, so that rounding it up can't wrap.
		padded := (size + block - 1) &^ (block - 1)
		if left := uint64(len(rest) - block); padded > left {
			return nil, cutOff(at+block, int(left), who[len("seed: "):], padded)
		}
		entries = append(entries, entry{name, rest[block : block+size : block+size]})
		at += block + int(padded)
	}
}

func cutOff(at, have int, what string, need uint64) error {
	return fmt.Errorf("seed: the archive is cut off: %s needs %d bytes at byte %d, there are %d", what, need, at, have)
}

// CheckName reports why a name can't be that of a file in a seed: it has to be a clean relative path of at most 255
// printable ASCII bytes without a backslash or a colon, so that it means the same everywhere.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the name is empty")
	case len(name) > 255:
		return fmt.Errorf("the name has %d bytes; at most 255 are possible", len(name))
	case name[0] == '/':
		return fmt.Errorf("the name is absolute: give a relative one")
	}
	for _, c := range []byte(name) {
		if c < ' ' || c >= 0x7f || c == '\\' || c == ':' {
			return fmt.Errorf("the name has the character %q: use letters, digits and -_.+/", rune(c))
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "..":
			return fmt.Errorf("the name leads out of the archive (..)")
		case "", ".":
			return fmt.Errorf("the name has an empty part: write it without . and //")
		}
	}
	return nil
}

// typeName says what an entry is that is not a regular file, or nothing.
func typeName(flag byte) string {
	switch flag {
	case 0, '0':
		return ""
	case '1':
		return "a hard link"
	case '2':
		return "a symbolic link"
	case '3', '4':
		return "a device"
	case '5':
		return "a directory"
	case '6':
		return "a FIFO"
	case 'x', 'g', 'L', 'K':
		return "a header extension"
	}
	return fmt.Sprintf("of type %q", rune(flag))
}

// sumHolds reports whether a header's bytes, its checksum's own taken as spaces, add up to its checksum.
func sumHolds(head []byte) bool {
	want, ok := octal(head[tarSum:tarSumEnd])
	var sum uint64
	for i, c := range head {
		if i >= tarSum && i < tarSumEnd {
			c = ' '
		}
		sum += uint64(c)
	}
	return ok && sum == want
}

// octal reads a number of at most 12 octal digits, with spaces before and NULs or spaces after it.
func octal(f []byte) (n uint64, ok bool) {
	f = bytes.TrimLeft(f, " ")
	f = bytes.TrimRight(f, " \x00")
	for _, c := range f {
		if c < '0' || c > '7' {
			return 0, false
		}
		n = n<<3 | uint64(c-'0')
	}
	return n, len(f) > 0
}

// field returns a text field up to its first NUL.
func field(f []byte) string {
	text, _, _ := bytes.Cut(f, []byte{0})
	return string(text)
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
