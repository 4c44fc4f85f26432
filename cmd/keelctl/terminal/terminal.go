package terminal

import (
	"os"

	"golang.org/x/term"
)

// Terminal is what the program's standard streams are connected to.
type Terminal interface {
	Stdin() bool  // stdin is a terminal
	Stdout() bool // stdout is
	Stderr() bool // stderr is

	// Size is stdout's in columns and rows, 80 and 24 if it can't be told.
	Size() (columns, rows int)
	// Raw makes stdin pass every key on as it is typed, until restore.
	Raw() (restore func(), err error)
}

// files is a Terminal of three files.
type files struct{ in, out, err *os.File }

// Of returns the terminal of these files.
func Of(in, out, err *os.File) Terminal { return &files{in, out, err} }

func (f *files) Stdin() bool  { return term.IsTerminal(int(f.in.Fd())) }
func (f *files) Stdout() bool { return term.IsTerminal(int(f.out.Fd())) }
func (f *files) Stderr() bool { return term.IsTerminal(int(f.err.Fd())) }

func (f *files) Size() (columns, rows int) {
	columns, rows, err := term.GetSize(int(f.out.Fd()))
	if err != nil || columns < 1 || rows < 1 {
		return 80, 24
	}
	return columns, rows
}

func (f *files) Raw() (restore func(), err error) {
	old, err := term.MakeRaw(int(f.in.Fd()))
	if err != nil {
		return nil, err
	}
	undo, err := enableEscapes(f.out)
	if err != nil {
		term.Restore(int(f.in.Fd()), old)
		return nil, err
	}
	return func() {
		undo()
		term.Restore(int(f.in.Fd()), old)
	}, nil
}
