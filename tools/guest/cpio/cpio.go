// Package cpio writes archives that Linux takes for an initial file system.
//
// The rule that it keeps: equal files give equal archives, byte by byte. There
// are no times, owners or inode numbers in them but those that it makes up.
// Tools and tests that make guests call it.
package cpio

import (
	"fmt"
	"io"
	"math"
	"path"
	"strings"
)

// File types, as in the upper bits of a Unix mode.
const (
	Dir     = 0o040000
	Char    = 0o020000
	Regular = 0o100000
	Link    = 0o120000 // symbolic
)

// File is one file of an archive.
type File struct {
	Name         string // path without a leading slash
	Mode         uint32 // type and permissions
	Major, Minor uint32 // of a device
	Data         []byte // contents, or where a link points
}

// Write writes an archive of files in the format "newc" (Linux,
// Documentation/driver-api/early-userspace/buffer-format.rst). Folders that
// files lie in and that were not given before them are added.
func Write(w io.Writer, files []File) error {
	a := archive{w: w, seen: make(map[string]bool)}
	for _, f := range files {
		if err := a.add(f); err != nil {
			return fmt.Errorf("cpio: %s: %w", f.Name, err)
		}
	}
	return a.write(File{Name: "TRAILER!!!"})
}

type archive struct {
	w     io.Writer
	seen  map[string]bool
	inode uint32
}

// add writes f, after the folders that it lies in.
func (a *archive) add(f File) error {
	switch {
	case f.Name == "" || path.Clean("/" + f.Name)[1:] != f.Name || strings.ContainsRune(f.Name, 0):
		return fmt.Errorf("%q is not a clean path without a leading slash", f.Name)
	case a.seen[f.Name]:
		return fmt.Errorf("is in the archive already")
	case uint64(len(f.Data)) > math.MaxUint32:
		return fmt.Errorf("has %d bytes, more than the format's 4 GiB", len(f.Data))
	}
	if dir := path.Dir(f.Name); dir != "." && !a.seen[dir] {
		if err := a.add(File{Name: dir, Mode: Dir | 0o755}); err != nil {
			return err
		}
	}
	a.seen[f.Name] = true
	a.inode++
	return a.write(f)
}

func (a *archive) write(f File) error {
	links := 1
	if f.Mode&0o170000 == Dir {
		links = 2
	}
	inode := a.inode
	if f.Mode == 0 { // the trailer
		inode = 0
	}
	const header = 110
	b := fmt.Appendf(make([]byte, 0, header+len(f.Name)+8+len(f.Data)), "070701")
	for _, v := range []uint32{
		inode, f.Mode, 0, 0, uint32(links), 0, uint32(len(f.Data)),
		0, 0, f.Major, f.Minor, uint32(len(f.Name) + 1), 0,
	} {
		b = fmt.Appendf(b, "%08x", v)
	}
	b = append(b, f.Name...)
	b = pad(append(b, 0))
	b = pad(append(b, f.Data...))
	_, err := a.w.Write(b)
	return err
}

// pad fills b up to a multiple of four bytes.
func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
