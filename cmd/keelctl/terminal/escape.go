package terminal

// EscapeKey is Ctrl-], which begins a command to the console's client itself, as with telnet.
const EscapeKey = 0x1d

// Command is what a user tells the client with a key after EscapeKey.
type Command byte

// Commands, each the key for it.
const (
	Leave Command = 'q'
	Take  Command = 't' // take the console from who holds it
	Size  Command = 's' // type the window's size into the guest
	Help  Command = '?'
)

// Escapes finds commands among what is typed. The zero value is ready for use.
type Escapes struct{ begun bool }

// Next takes what was typed. It returns what to send to the guest before the first command in it, that command or 0, and
// what was typed after it. EscapeKey twice sends it once; what is no command after it is sent with it.
func (e *Escapes) Next(typed []byte) (send []byte, command Command, rest []byte) {
	for i, c := range typed {
		if !e.begun {
			if c == EscapeKey {
				e.begun = true
			} else {
				send = append(send, c)
			}
			continue
		}
		e.begun = false
		switch cmd := Command(c); cmd {
		case EscapeKey:
			send = append(send, EscapeKey)
		case Leave, Take, Size, Help:
			return send, cmd, typed[i+1:]
		case '.', 'Q': // as with ssh, and with the shift key
			return send, Leave, typed[i+1:]
		case 'T', 'S':
			return send, cmd | 0x20, typed[i+1:]
		default:
			send = append(send, EscapeKey, c)
		}
	}
	return send, 0, nil
}
