package audit

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// encoder writes a record as one line of JSON. It writes ASCII alone, and escapes as encoding/json does: so a
// record passes through json.RawMessage, terminals and syslog byte for byte, and its hash stays true.
type encoder struct {
	b []byte
}

// begin starts a record, whose hash covers what is written from here on.
func (e *encoder) begin(seq int64, now time.Time, kind string) {
	e.b = append(e.b, `{"seq":`...)
	e.b = strconv.AppendInt(e.b, seq, 10)
	e.time("time", now)
	e.text("kind", kind, 16)
}

func (e *encoder) end() { e.b = append(e.b, '}') }

func (e *encoder) key(k string) {
	if e.b[len(e.b)-1] != '{' {
		e.b = append(e.b, ',')
	}
	e.b = append(e.b, '"')
	e.b = append(e.b, k...)
	e.b = append(e.b, '"', ':')
}

func (e *encoder) number(k string, v int64) {
	e.key(k)
	e.b = strconv.AppendInt(e.b, v, 10)
}

func (e *encoder) time(k string, t time.Time) {
	e.key(k)
	e.b = append(e.b, '"')
	e.b = t.UTC().AppendFormat(e.b, timeFormat)
	e.b = append(e.b, '"')
}

// timeFormat is RFC 3339 with the microseconds that RFC 5424 (6.2.3) allows.
const timeFormat = "2006-01-02T15:04:05.000000Z"

// text writes a text that isn't empty, cut to limit bytes.
func (e *encoder) text(k, s string, limit int) {
	if s == "" {
		return
	}
	e.key(k)
	e.b = append(e.b, '"')
	start := len(e.b)
	for i := 0; i < len(s); {
		before := len(e.b)
		c := s[i]
		size := 1
		switch {
		case c == '"' || c == '\\':
			e.b = append(e.b, '\\', c)
		case c >= 0x20 && c < 0x7f && c != '<' && c != '>' && c != '&':
			e.b = append(e.b, c)
		case c < utf8.RuneSelf:
			e.unicode(rune(c))
		default:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:]) // RuneError stands for what isn't UTF-8
			if r >= 0x10000 {
				r -= 0x10000
				e.unicode(0xd800 | r>>10)
				e.unicode(0xdc00 | r&0x3ff)
			} else {
				e.unicode(r)
			}
		}
		if len(e.b)-start > limit {
			e.b = e.b[:before]
			break
		}
		i += size
	}
	e.b = append(e.b, '"')
}

func (e *encoder) unicode(r rune) {
	const hex = "0123456789abcdef"
	e.b = append(e.b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// who writes a caller and what he does.
func (e *encoder) entry(x *Entry) {
	e.text("name", x.Who.Name, maxName)
	e.text("role", x.Who.Role, maxRole)
	e.text("serial", x.Who.Serial, maxSerial)
	e.text("issuer", x.Who.Issuer, maxIssuer)
	e.text("from", x.From, maxFrom)
	e.text("method", x.Method, maxMethod)
	e.text("action", x.Action, maxAction)
	e.text("on", x.On, maxOn)
	e.text("detail", x.Detail, maxDetail)
}
