package vm

import (
	"io"

	"keel/vmkernel/device/uart"
)

// guestConsole assembles what a guest prints into lines NAME| TEXT on the host's console, each with
// one Write. The guest waits while the console is slow, so that no line is lost.
func guestConsole(w io.Writer, name string) *uart.Lines {
	prefix := name + "| "
	const escaped = 4 // bytes for one, at most
	buf := make([]byte, 0, len(prefix)+escaped*uart.MaxLine+1)
	return uart.NewLines(func(line []byte) {
		buf = append(buf[:0], prefix...)
		buf = append(buf, line...)
		buf = append(buf, '\n')
		w.Write(buf)
	})
}
