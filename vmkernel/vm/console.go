package vm

import (
	"io"

	"keel/vmkernel/device/uart"
	"keel/vmkernel/seed"
)

// guestConsole assembles what a guest prints into lines NAME| TEXT on the host's console, each with
// one Write. The guest waits while the console is slow, so that no line is lost.
func guestConsole(w io.Writer, name func() string) *uart.Lines {
	const escaped = 4 // bytes for one, at most
	buf := make([]byte, 0, seed.MaxName+len("| ")+escaped*uart.MaxLine+1)
	return uart.NewLines(func(line []byte) {
		buf = append(append(buf[:0], name()...), "| "...)
		buf = append(buf, line...)
		buf = append(buf, '\n')
		w.Write(buf)
	})
}
