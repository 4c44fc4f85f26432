package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"keel/vmkernel/auth"
	"keel/vmkernel/seed"
)

// files are the files that go into a seed. Each content is there once, however often and by whatever names it is used.
type files struct {
	table map[string]seed.FileInfo // by the name in the archive
	paths map[string]string        // the same names → where the contents are
	names map[string]string        // SHA-256 → name in the archive
}

// isFile says whether there is a file of that name, relative to dir.
func isFile(dir, name string) bool {
	where := filepath.FromSlash(name)
	if !filepath.IsAbs(where) {
		where = filepath.Join(dir, where)
	}
	stat, err := os.Stat(where)
	return name != "" && err == nil && stat.Mode().IsRegular()
}

// add adds a file, named relative to dir, and returns its name in the archive and its size.
func (f *files) add(dir, name string) (string, int64, error) {
	if name == "" {
		return "", 0, errors.New("is empty: give the name of a file")
	}
	where := filepath.FromSlash(name)
	if !filepath.IsAbs(where) {
		where = filepath.Join(dir, where)
	}
	info, err := describe(where)
	if err != nil {
		return "", 0, fmt.Errorf("%s: %w", name, err)
	}
	if known, ok := f.names[info.SHA256]; ok {
		return known, info.Size, nil
	}
	if f.table == nil {
		f.table, f.paths, f.names = map[string]seed.FileInfo{}, map[string]string{}, map[string]string{}
	}
	kept := f.free(archiveName(name))
	f.table[kept], f.paths[kept], f.names[info.SHA256] = info, where, kept
	return kept, info.Size, nil
}

// readText returns the text of a file, named relative to dir, or name itself where that is a PEM block already.
func readText(dir, name string) (string, error) {
	if strings.HasPrefix(strings.TrimSpace(name), "-----BEGIN ") {
		return name, nil
	}
	where := filepath.FromSlash(name)
	if !filepath.IsAbs(where) {
		where = filepath.Join(dir, where)
	}
	switch stat, err := os.Stat(where); {
	case name == "":
		return "", errors.New("is empty: give the name of a file, or the text of a certificate")
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%s: there is no such file (%s)", name, where)
	case err != nil:
		return "", err
	case !stat.Mode().IsRegular() || stat.Size() > auth.MaxPEM:
		return "", fmt.Errorf("%s: is not a file of at most %d bytes", name, auth.MaxPEM)
	}
	text, err := os.ReadFile(where)
	return string(text), err
}

func describe(where string) (seed.FileInfo, error) {
	stat, err := os.Stat(where)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return seed.FileInfo{}, fmt.Errorf("there is no such file (%s)", where)
	case err != nil:
		return seed.FileInfo{}, err
	case !stat.Mode().IsRegular():
		return seed.FileInfo{}, fmt.Errorf("is not a regular file (%s)", where)
	case stat.Size() > seed.MaxFile:
		return seed.FileInfo{}, fmt.Errorf("has %d bytes; a seed's file has at most %d", stat.Size(), int64(seed.MaxFile))
	}
	r, err := os.Open(where)
	if err != nil {
		return seed.FileInfo{}, err
	}
	defer r.Close()
	return seed.Describe(r)
}

// open is what seed.Write opens a file's contents with.
func (f *files) open(name string) (io.ReadCloser, error) { return os.Open(f.paths[name]) }

// archiveName returns the name that a file should have in the archive: its own where that is possible, or what is
// possible of its last part.
func archiveName(name string) string {
	const most = 90 // ustar has room for 100 bytes
	clean := path.Clean(filepath.ToSlash(name))
	if len(clean) <= most && !reserved(clean) && seed.CheckName(clean) == nil {
		return clean
	}
	base := path.Base(clean)
	base = strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.+", r) {
			return r
		}
		return '_'
	}, base)
	base = base[max(0, len(base)-most):]
	if reserved(base) || seed.CheckName(base) != nil {
		base = "file-" + base
	}
	return base
}

// reserved says whether a seed has something else by this name.
func reserved(name string) bool { return name == seed.Manifest || name == seed.SignatureName }

// free returns name, or name with a number if another file has it.
func (f *files) free(name string) string {
	kept := name
	for i := 2; ; i++ {
		if _, taken := f.table[kept]; !taken {
			return kept
		}
		kept = name + "-" + strconv.Itoa(i)
	}
}
