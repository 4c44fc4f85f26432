package terminal

import (
	"os"

	"golang.org/x/sys/windows"
)

// enableEscapes makes the console obey escape sequences, which programs in a guest write.
func enableEscapes(out *os.File) (undo func(), err error) {
	var mode uint32
	h := windows.Handle(out.Fd())
	if err := windows.GetConsoleMode(h, &mode); err != nil {
		return func() {}, nil // not a console: nothing to enable
	}
	if err := windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING); err != nil {
		return nil, err
	}
	return func() { windows.SetConsoleMode(h, mode) }, nil
}
