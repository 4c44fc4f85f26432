package terminal

import "testing"

func TestCommandsAreFoundAmongWhatIsTyped(t *testing.T) {
	const esc = "\x1d"
	for _, test := range []struct{ typed, sent, commands string }{
		{"ls -l\r", "ls -l\r", ""},
		{"a" + esc + "qb", "ab", "q"},
		{esc + ".", "", "q"},
		{esc + "T" + esc + "s" + esc + "?", "", "ts?"},
		{esc + esc + "q", esc + "q", ""},
		{esc + esc + esc + "q", esc, "q"},
		{esc + "x", esc + "x", ""},
		{"\x03\x04\x00\xff", "\x03\x04\x00\xff", ""},
	} {
		for _, step := range []int{len(test.typed), 1} { // at once, and key by key
			var e Escapes
			sent, commands := "", ""
			for i := 0; i < len(test.typed); i += step {
				rest := []byte(test.typed[i : i+step])
				for len(rest) > 0 {
					var send []byte
					var c Command
					send, c, rest = e.Next(rest)
					sent += string(send)
					if c != 0 {
						commands += string(rune(c))
					}
				}
			}
			if sent != test.sent || commands != test.commands {
				t.Errorf("%q by %d: sent %q, commands %q", test.typed, step, sent, commands)
			}
		}
	}
}
