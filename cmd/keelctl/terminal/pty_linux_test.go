package terminal

import (
	"fmt"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// openPTY makes a terminal of a size, and returns what its user holds and what a program gets.
func openPTY(t *testing.T, columns, rows uint16) (user, program *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("there are no pseudo-terminals here: ", err)
	}
	t.Cleanup(func() { user.Close() })
	fd := int(user.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return user, program
}

func TestRawModeAndSizeOfATerminal(t *testing.T) {
	user, program := openPTY(t, 132, 43)
	term := Of(program, program, program)
	if !term.Stdin() || !term.Stdout() || !term.Stderr() {
		t.Error("it is no terminal")
	}
	if columns, rows := term.Size(); columns != 132 || rows != 43 {
		t.Errorf("%d columns, %d rows", columns, rows)
	}
	modes := func() unix.Termios {
		t.Helper()
		m, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		return *m
	}
	before := modes()
	restore, err := term.Raw()
	if err != nil {
		t.Fatal(err)
	}
	// Each key passes as it is typed, those that mean something to a terminal too, and isn't echoed.
	keys := "a\x03\x04\x1a\x1c\r"
	if _, err := io.WriteString(user, keys); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(keys))
	if _, err := io.ReadFull(program, got); err != nil || string(got) != keys {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := io.WriteString(program, "x\ny"); err != nil {
		t.Fatal(err)
	}
	got = make([]byte, 3)
	if _, err := io.ReadFull(user, got); err != nil || string(got) != "x\ny" {
		t.Errorf("the user sees %q, %v", got, err)
	}
	if err := unix.IoctlSetWinsize(int(user.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: 80, Row: 25}); err != nil {
		t.Fatal(err)
	}
	if columns, rows := term.Size(); columns != 80 || rows != 25 {
		t.Errorf("after a change: %d columns, %d rows", columns, rows)
	}
	if restore(); modes() != before {
		t.Errorf("%+v, was %+v", modes(), before)
	}
}

func TestWhatIsNoTerminalIsLeftAlone(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	term := Of(f, f, f)
	if columns, rows := term.Size(); term.Stdin() || term.Stdout() || term.Stderr() || columns != 80 || rows != 24 {
		t.Errorf("%v %v %v, %d columns, %d rows", term.Stdin(), term.Stdout(), term.Stderr(), columns, rows)
	}
	if restore, err := term.Raw(); err == nil || restore != nil {
		t.Error("it has a raw mode")
	}
}
