package machine

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"syscall"
	"unsafe"
)

// openTerminal opens a pseudo-terminal (pty(7)) of 80 by 50 characters.
func openTerminal() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	var number, unlock uint32
	size := [4]uint16{50, 80, 0, 0} // struct winsize: rows, columns, two unused
	for _, c := range []struct {
		request uintptr
		arg     unsafe.Pointer
	}{
		{syscall.TIOCSPTLCK, unsafe.Pointer(&unlock)},
		{syscall.TIOCGPTN, unsafe.Pointer(&number)},
		{syscall.TIOCSWINSZ, unsafe.Pointer(&size)},
	} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), c.request, uintptr(c.arg)); errno != 0 {
			master.Close()
			return nil, nil, fmt.Errorf("ioctl %#x on /dev/ptmx: %w", c.request, errno)
		}
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		master.Close()
		return nil, nil, err
	}
	return master, slave, nil
}

// connected is how Bochs says which pseudo-terminal its screen is.
var connected = regexp.MustCompile(`connected to screen "(/dev/pts/\d+)"`)

// A screenFinder passes on what Bochs shows, and once that says where its screen is empties that for
// it: Bochs with its debugger draws on a terminal of its own, and stands still for ever when the
// terminal has taken some 64 KiB that nobody has read.
type screenFinder struct {
	out   io.Writer
	begin []byte // of what it shows, until found
	found bool
}

func (f *screenFinder) Write(p []byte) (int, error) {
	if !f.found {
		f.begin = append(f.begin, p...)
		if m := connected.FindSubmatch(f.begin); m != nil {
			go drainTerminal(string(m[1]))
		}
		f.found = len(f.begin) > 16<<10 || connected.Match(f.begin)
	}
	return f.out.Write(p)
}

// drainTerminal reads all that is written to a terminal, and echoes none of it, until it is hung up.
func drainTerminal(path string) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	raw := syscall.Termios{Cflag: syscall.CS8 | syscall.CREAD}
	raw.Cc[syscall.VMIN] = 1
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), syscall.TCSETS, uintptr(unsafe.Pointer(&raw))); errno != 0 {
		return
	}
	io.Copy(io.Discard, f)
}
