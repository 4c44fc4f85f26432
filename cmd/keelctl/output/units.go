package output

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Clean makes text from elsewhere safe for a terminal: what can't be printed is escaped as Go does it.
func Clean(s string) string {
	safe := true
	for _, r := range s {
		safe = safe && strconv.IsPrint(r)
	}
	if safe {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// Size writes bytes to read, not to compute with.
func Size(n uint64) string {
	v, unit := float64(n), ""
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if v < 1024 {
			break
		}
		v, unit = v/1024, u
	}
	switch {
	case unit == "":
		return fmt.Sprintf("%d bytes", n)
	case v == float64(uint64(v)):
		return fmt.Sprintf("%d%s", uint64(v), unit)
	}
	return fmt.Sprintf("%.1f%s", v, unit)
}

// Age writes a span of time in its two largest units.
func Age(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Age(-d)
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// Time writes a moment to the second, in UTC as the host's log does. The zero time is empty.
func Time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// Printable returns a writer of text that a terminal is safe from: control characters but line ends and tabs are left
// out, and so are bytes that aren't UTF-8.
func Printable(w io.Writer) io.Writer { return &printable{w: w} }

type printable struct {
	w    io.Writer
	rest []byte // a rune that isn't complete yet
}

func (p *printable) Write(data []byte) (int, error) {
	text := append(p.rest, data...)
	out := make([]byte, 0, len(text))
	for len(text) > 0 && utf8.FullRune(text) {
		r, n := utf8.DecodeRune(text)
		if r == '\n' || r == '\t' || strconv.IsPrint(r) && (r != utf8.RuneError || n > 1) {
			out = append(out, text[:n]...)
		}
		text = text[n:]
	}
	p.rest = append([]byte(nil), text...)
	if _, err := p.w.Write(out); err != nil {
		return 0, err
	}
	return len(data), nil
}
