package sys

import "unsafe"

// Size of a page of the screen, in cells.
const (
	PageColumns = 80
	PageRows    = 25
)

// A Page is what the screen shows in the place of the console's text, row by row. A cell is a character
// of ASCII in its low byte, the foreground among VGA's sixteen colours in bits 8 to 11, and the
// background among the first eight in bits 12 to 14.
type Page [PageColumns * PageRows]uint16

// ShowPage shows a page. It fails with ENODEV where there is no screen, or only one that is too small.
func ShowPage(p *Page) error {
	_, err := call(NumPage, uintptr(unsafe.Pointer(p)), 0, 0, 0)
	return err
}

// ShowConsole shows the console's text again.
func ShowConsole() { call(NumPage, 0, 0, 0, 0) }
