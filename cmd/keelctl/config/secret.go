package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"keel/cmd/keelctl/exit"
)

// maxSecret bounds what is read as a key, a certificate or a token, in bytes.
const maxSecret = 1 << 20

// Write writes a file for its owner alone: it is there with its old or with its new contents, never in part. The
// directories that it lies in are made.
func Write(path string, data []byte) error {
	return write(path, data, os.Rename)
}

// Create is Write for a file that must not be there yet.
func Create(path string, data []byte) error {
	return write(path, data, func(from, to string) error {
		err := os.Link(from, to) // unlike rename it fails if the target is there
		if errors.Is(err, fs.ErrExist) {
			return exit.Errorf(exit.Conflict, "%s is there already and is not overwritten: move it away, or choose another name", to)
		}
		if err != nil { // a file system without links
			if _, there := os.Lstat(to); there == nil {
				return exit.Errorf(exit.Conflict, "%s is there already and is not overwritten: move it away, or choose another name", to)
			}
			return os.Rename(from, to)
		}
		return nil
	})
}

func write(path string, data []byte, place func(from, to string) error) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // with 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return place(f.Name(), path)
}

// ReadSecret reads a file that nobody but its owner may read. Windows has other means, by which a user's own directory
// is closed to others: there nothing is checked.
func ReadSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return nil, err
	}
	mode := stat.Mode()
	switch {
	case !mode.IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case stat.Size() > maxSecret:
		return nil, fmt.Errorf("%s has %d bytes: that is no key", path, stat.Size())
	case runtime.GOOS != "windows" && mode.Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s can be read by others (mode %04o) and is not used: it may be known already; "+
			"if it isn't, `chmod 600 %s`", path, mode.Perm(), path)
	}
	data := make([]byte, stat.Size())
	n, err := f.ReadAt(data, 0)
	if n < len(data) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// checkWritable refuses a file that others could have changed.
func checkWritable(path string) error {
	stat, err := os.Stat(path)
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" && stat.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s can be changed by others (mode %04o) and is not used, since it says which hosts are trusted: "+
			"look at it, then `chmod 600 %s`", path, stat.Mode().Perm(), path)
	}
	return nil
}

// Exists reports whether a file is there.
func Exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
