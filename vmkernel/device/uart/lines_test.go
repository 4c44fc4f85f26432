package uart

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func collect(in string) []string {
	var got []string
	l := NewLines(func(line []byte) { got = append(got, string(line)) })
	for i := range len(in) {
		l.Put(in[i])
	}
	l.Flush()
	l.Flush()
	return got
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", MaxLine)
	for _, tc := range []struct {
		name, in string
		want     []string
	}{
		{"nothing", "", nil},
		{"two lines", "one\r\ntwo\n", []string{"one", "two"}},
		{"line feed before carriage return", "one\n\rtwo\n\r", []string{"one", "two"}},
		{"empty lines", "\n\r\n", []string{"", ""}},
		{"partial line at the end", "one\nlog", []string{"one", "log"}},
		{"carriage return inside", "10%\r20%\n", []string{"10%20%"}},
		{"terminal escape", "\x1b[2J\x1b]0;t\a\n", []string{`\x1b[2J\x1b]0;t\x07`}},
		{"control bytes", "\x00\t\b\v\f\x7f\n", []string{`\x00\x09\x08\x0b\x0c\x7f`}},
		{"C1 in UTF-8", "\u009b31m\n", []string{`\xc2\x9b31m`}},
		{"C1 raw", "\x9b31m\n", []string{`\x9b31m`}},
		{"invalid UTF-8", "a\xff\xc0\xafb\xe2\x82\n", []string{`a\xff\xc0\xafb\xe2\x82`}},
		{"surrogate", "\xed\xa0\x80\n", []string{`\xed\xa0\x80`}},
		{"text", "Grüße, 世界 ✓ 🙂\n", []string{"Grüße, 世界 ✓ 🙂"}},
		{"bidirectional override", "a\u202eb\n", []string{`a\xe2\x80\xaeb`}},
		{"line separators", "a\u2028b\u0085c\n", []string{`a\xe2\x80\xa8b\xc2\x85c`}},
		{"exactly the longest", long + "\n", []string{long}},
		{"one more", long + "y\n", []string{long, "y"}},
		{"split between characters", long[1:] + "é\n", []string{long[1:], "é"}},
		{"split in four bytes", long[3:] + "🙂\n", []string{long[3:], "🙂"}},
		{"split of invalid", long[1:] + "\xff\xff\n", []string{long[1:] + `\xff`, `\xff`}},
		{"all continuation bytes", strings.Repeat("\x80", MaxLine+1), []string{strings.Repeat(`\x80`, MaxLine), `\x80`}},
	} {
		got := collect(tc.in)
		if strings.Join(got, "\n") != strings.Join(tc.want, "\n") || len(got) != len(tc.want) {
			t.Errorf("%s: lines %q, want %q", tc.name, got, tc.want)
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("level=INFO msg=ready\r\n\x1b[A"))
	f.Add([]byte("\xe2\x80\xae\xf0\x9f\n\x9b"))
	f.Add([]byte(strings.Repeat("é", MaxLine)))
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, line := range collect(string(in)) {
			if len(line) > 4*MaxLine || !utf8.ValidString(line) {
				t.Fatalf("line %q is too long or not UTF-8", line)
			}
			for _, r := range line {
				if r < ' ' || r >= 0x7f && r < 0xa0 {
					t.Fatalf("line %q has the control character %U", line, r)
				}
			}
		}
	})
}
