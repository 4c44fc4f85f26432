package server

import (
	"bytes"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"keel/vmkernel/api"
	"keel/vmkernel/seed"
)

// Limits of what is kept of the host's log.
const (
	maxLines = 2000
	maxLine  = 1024 // bytes; the rest of a line is cut
)

// Lines keeps the last lines of the host's log: an io.Writer that cmd/keel writes to beside the console. It is ready from
// the first instant on, before there is a Server.
type Lines struct {
	ring ring[api.LogLine]

	mu      sync.Mutex
	partial []byte
}

// NewLines returns a Lines that keeps nothing yet.
func NewLines() *Lines {
	l := &Lines{}
	l.ring.init(maxLines)
	return l
}

// Write keeps p's lines. It never fails.
func (l *Lines) Write(p []byte) (int, error) {
	n := len(p)
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		line, rest, ends := bytes.Cut(p, []byte("\n"))
		room := maxLine - len(l.partial)
		l.partial = append(l.partial, line[:min(len(line), max(room, 0))]...)
		if !ends {
			return n, nil
		}
		text := string(bytes.TrimRight(l.partial, "\r"))
		if !utf8.ValidString(text) {
			text = string(bytes.ToValidUTF8(l.partial, []byte("?")))
		}
		l.ring.add(func(number uint64) api.LogLine {
			return api.LogLine{Sequence: number, Time: time.Now().UTC(), Text: text}
		})
		l.partial = l.partial[:0]
		p = rest
	}
}

func getHostLog(c *call) (any, error) {
	return nil, stream(c, &c.s.Lines.ring, func(l api.LogLine) (any, bool) { return l, true }, func(missed, next uint64) any {
		return api.LogLine{Sequence: next - 1, Time: c.s.Now().UTC(), Text: "(earlier lines are no longer kept)"}
	})
}

// isGuests says whether a line of the host's log is of a guest's console: NAME| TEXT.
func isGuests(line string) bool {
	name, _, found := strings.Cut(line, "| ")
	if !found || name == "" || len(name) > seed.MaxName {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
