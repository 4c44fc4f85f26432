package api

import "time"

// ConsoleProtocol is the WebSocket subprotocol of a console. The server's first message is a ConsoleMessage with Event
// hello, as text. From then on binary messages are bytes: what the guest wrote, and what the holder types. Text messages
// are ConsoleMessages from the server.
const ConsoleProtocol = "keel.console.v1"

// ConsoleMessage tells a client of a console how it stands.
type ConsoleMessage struct {
	Event  string    `json:"event"`            // hello; holder: it is another's now; lost: output was skipped; end: the VM is gone
	VM     string    `json:"vm,omitempty"`     // hello
	Port   string    `json:"port,omitempty"`   // hello
	Mode   string    `json:"mode,omitempty"`   // hello, holder: write or watch, what this client may do
	Holder string    `json:"holder,omitempty"` // who may type; empty: nobody does
	Since  time.Time `json:"since,omitzero"`   // since when
	Offset int64     `json:"offset"`           // of the next byte of output, from the guest's first
	Lost   int64     `json:"lost,omitempty"`   // bytes that were asked for and are no longer kept
}

// Modes of a console's client.
const (
	ModeWrite = "write"
	ModeWatch = "watch"
)

// Headers of a console's log: the offsets of its first byte, and behind its last.
const (
	ConsoleFrom = "Console-From"
	ConsoleEnd  = "Console-End"
)
