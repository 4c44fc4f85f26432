package seed

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
)

// Seed is a seed that was read. Its VMs can be started; its Refused say which can't, and why.
type Seed struct {
	Host    Host
	VMs     []VM // in the seed's order
	Refused []*Refusal
	Files   map[string]*File // by the name that VMs use

	Manifest  []byte // keel.json as it is in the archive: not to be written to
	Signature []byte // the archive's keel.sig, likewise; nil without one
}

// Refusal is one VM that is not started for what the seed says of it.
type Refusal struct {
	Index    int    // in keel.json's list
	VM       string // its name; empty if that is missing or no name
	Problems Problems
}

// Error returns one line.
func (r *Refusal) Error() string { return r.Problems.Error() }

func (r *Refusal) Unwrap() error { return r.Problems }

// File is one file of a seed.
type File struct {
	Name string
	Data []byte // a subslice of the archive: not to be written to
	Info FileInfo

	once sync.Once
	err  error
}

// Verify reports whether the contents have the SHA-256 that keel.json gives. It reads the contents once, the first time.
// Any goroutine may call it.
func (f *File) Verify() error {
	f.once.Do(func() {
		if sum := sha256.Sum256(f.Data); hex.EncodeToString(sum[:]) != f.Info.SHA256 {
			f.err = fmt.Errorf("seed: file %s is damaged: its SHA-256 is %x, %s says %s",
				quote(f.Name), sum, Manifest, f.Info.SHA256)
		}
	})
	return f.err
}

// Parse reads a seed and verifies its files. An error is one line and means that nothing of the seed can be used.
func Parse(tar []byte) (*Seed, error) {
	s, err := Open(tar)
	if err != nil {
		return nil, err
	}
	if err := s.verify(); err != nil {
		return nil, err
	}
	return s, nil
}

// Open is Parse without reading the files' contents: for a caller that calls Verify for a file before it uses it.
func Open(tar []byte) (*Seed, error) {
	return OpenChecked(tar, func(_, _ []byte) error { return nil })
}

// OpenChecked is Open for a host that doesn't take every seed.
func OpenChecked(tar []byte, check Check) (*Seed, error) {
	entries, err := walk(tar)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(entries, func(e entry) bool { return e.name == Manifest })
	if at < 0 {
		return nil, fmt.Errorf("seed: the archive has no %s: make one by `keelctl seed create`", Manifest)
	}
	text := entries[at].data
	if len(text) > MaxManifest {
		return nil, fmt.Errorf("seed: %s has %d bytes; at most %d are possible", Manifest, len(text), MaxManifest)
	}
	s := &Seed{Host: DefaultHost(), Files: map[string]*File{}, Manifest: text}
	if at := slices.IndexFunc(entries, func(e entry) bool { return e.name == SignatureName }); at >= 0 {
		s.Signature = entries[at].data
	}
	if err := check(s.Manifest, s.Signature); err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	root, err := ParseJSON(text)
	if err != nil {
		return nil, err
	}
	d := &Decoder{File: s.find}

	o := d.object(root)
	if version := o.require("apiVersion", APIVersion); version != nil {
		d.oneOf(version, APIVersion)
	}
	host := o.get("host")
	vms := o.list("vms", MaxVMs)
	s.files(d, o.get("files"))
	o.done()
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	if err := s.attach(entries); err != nil {
		return nil, err
	}
	if host != nil {
		var problems Problems
		if s.Host, problems = d.Host(host); len(problems) > 0 {
			return nil, problems
		}
	}
	for i, n := range vms {
		if vm, problems := d.VM(n); len(problems) > 0 {
			s.Refused = append(s.Refused, &Refusal{i, vm.Name, problems})
		} else {
			s.VMs = append(s.VMs, vm)
		}
	}
	return s, nil
}

// files reads the table of files.
func (s *Seed) files(d *Decoder, n *Node) {
	if n == nil {
		return
	}
	if n.Kind != Object {
		d.wrongKind(n, Object)
		return
	}
	for i, name := range n.Keys {
		item := n.Items[i]
		if err := CheckName(name); err != nil {
			d.fail(item, "%s", err)
		} else if name == Manifest || name == SignatureName {
			d.fail(item, "%s does not list itself or its signature", Manifest)
		}
		o := d.object(item)
		f := &File{Name: name}
		if size := o.require("size", "the file's size in bytes"); size != nil {
			f.Info.Size = d.integer(size, 0, MaxFile)
		}
		sum := o.require("sha256", "the SHA-256 of the file's contents")
		if text, ok := d.text(sum); ok {
			if raw, err := hex.DecodeString(text); err != nil || len(raw) != sha256.Size || hex.EncodeToString(raw) != text {
				d.fail(sum, "%s is not a SHA-256; one has 64 digits of 0-9 and a-f", quote(text))
			}
			f.Info.SHA256 = text
		}
		o.done()
		s.Files[name] = f
	}
}

// attach gives each file its contents and refuses entries and files that lack their counterpart.
func (s *Seed) attach(entries []entry) error {
	held := 0
	for _, e := range entries {
		if e.name == Manifest || e.name == SignatureName {
			continue
		}
		f := s.Files[e.name]
		if f == nil {
			return fmt.Errorf("seed: the archive has a file that %s does not name: %s", Manifest, quote(e.name))
		}
		if f.Info.Size != int64(len(e.data)) {
			return fmt.Errorf("seed: file %s has %d bytes, %s says %d", quote(e.name), len(e.data), Manifest, f.Info.Size)
		}
		f.Data = e.data
		held++
	}
	if held == len(s.Files) {
		return nil
	}
	for _, name := range s.names() {
		if !slices.ContainsFunc(entries, func(e entry) bool { return e.name == name }) {
			return fmt.Errorf("seed: the archive lacks a file that %s names: %s", Manifest, quote(name))
		}
	}
	return nil
}

// find is the Decoder's File.
func (s *Seed) find(n *Node) (string, int64, error) {
	f := s.Files[n.Text]
	if f == nil {
		return "", 0, fmt.Errorf("%s is not in the seed's files", quote(n.Text))
	}
	return f.Name, f.Info.Size, nil
}

// verify verifies all files, in the order of their names so that the same seed always gives the same error.
func (s *Seed) verify() error {
	for _, name := range s.names() {
		if err := s.Files[name].Verify(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Seed) names() []string {
	names := make([]string, 0, len(s.Files))
	for name := range s.Files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
