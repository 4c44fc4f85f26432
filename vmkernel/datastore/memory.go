package datastore

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync"
	"time"

	"keel/vmkernel/seed"
)

// Memory is a Store in the host's memory.
type Memory struct {
	capacity int64
	allocate Allocator
	now      func() time.Time

	mu     sync.Mutex // and of every image but its contents
	images map[string]*image
	users  map[fmt.Stringer][]*image
	used   int64
}

var _ Store = (*Memory)(nil)

// An image's contents have a mutex of their own, which is taken before the store's.
type image struct {
	name, sum string
	size      int64
	readOnly  bool
	verify    func() error // of what is read only
	created   time.Time
	changed   time.Time
	offset    int64
	complete  bool
	deleted   bool
	open      int // Contents that read it
	held      map[fmt.Stringer]bool
	free      func()

	writing sync.Mutex
	data    []byte
	hash    hash.Hash // of what is there
	writer  *byte     // identifies the Append that goes on
}

// staleAfter is how long an upload may rest before its space goes to another that needs it.
const staleAfter = time.Hour

// NewMemory returns an empty store of capacity bytes, whose contents are where allocate puts them: nil is Go's heap.
func NewMemory(capacity int64, allocate Allocator) *Memory {
	if allocate == nil {
		allocate = Heap
	}
	return &Memory{capacity: capacity, allocate: allocate, now: time.Now, images: map[string]*image{}, users: map[fmt.Stringer][]*image{}}
}

// AddFile adds a file of the seed, read only, which takes no room. Its contents are checked when they are first opened.
func (m *Memory) AddFile(f *seed.File) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.images[f.Name] != nil {
		return faultf(ErrExists, "there is an image %q already", f.Name)
	}
	now := m.now()
	m.images[f.Name] = &image{name: f.Name, sum: f.Info.SHA256, size: int64(len(f.Data)), offset: int64(len(f.Data)), complete: true,
		readOnly: true, verify: f.Verify, created: now, changed: now, data: f.Data, free: func() {}}
	return nil
}

// Create is Store's.
func (m *Memory) Create(d Declaration) (Info, error) {
	if err := seed.CheckName(d.Name); err != nil {
		return Info{}, faultf(ErrInvalid, "image %q: %v", d.Name, err)
	}
	if d.Size < 1 || d.Size > seed.MaxFile {
		return Info{}, faultf(ErrInvalid, "image %q: a size of %d bytes is not possible: 1 to %d are", d.Name, d.Size, int64(seed.MaxFile))
	}
	raw, err := hex.DecodeString(d.SHA256)
	if err != nil || len(raw) != sha256.Size {
		return Info{}, faultf(ErrInvalid, "image %q: %q is not a SHA-256; one has 64 hexadecimal digits", d.Name, d.SHA256)
	}
	sum := hex.EncodeToString(raw)
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := m.images[d.Name]; i != nil {
		if i.size != d.Size || i.sum != sum {
			return Info{}, faultf(ErrExists, "there is an image %q already, of %d bytes and SHA-256 %s: give this one another name", i.name, i.size, i.sum)
		}
		return i.info(), nil
	}
	m.makeRoom(d.Size)
	full := &FullError{Name: d.Name, Need: d.Size, Free: m.capacity - m.used, Capacity: m.capacity}
	if d.Size > full.Free {
		return Info{}, full
	}
	i := &image{name: d.Name, sum: sum, size: d.Size, hash: sha256.New()}
	if i.data, i.free, err = m.allocate(d.Size); err != nil {
		full.Host = err
		return Info{}, full
	}
	i.created = m.now()
	i.changed = i.created
	m.images[i.name] = i
	m.used += i.size
	return i.info(), nil
}

// makeRoom removes uploads that nobody goes on with, the oldest first, until need bytes are free.
func (m *Memory) makeRoom(need int64) {
	if need > m.capacity {
		return
	}
	var stale []*image
	for _, i := range m.images {
		if !i.complete && m.now().Sub(i.changed) >= staleAfter {
			stale = append(stale, i)
		}
	}
	slices.SortFunc(stale, func(a, b *image) int { return a.changed.Compare(b.changed) })
	for _, i := range stale {
		if m.capacity-m.used >= need {
			return
		}
		m.remove(i)
	}
}

// piece is how much Append takes from its reader at a time.
const piece = 64 << 10

// Append is Store's.
func (m *Memory) Append(ref string, offset int64, r io.Reader) (Info, error) {
	m.mu.Lock()
	i, err := m.find(ref)
	if err == nil && i.complete {
		err = faultf(ErrComplete, "image %q is complete: there is nothing to upload", i.name)
	}
	m.mu.Unlock()
	if err != nil {
		return Info{}, err
	}
	me := new(byte)
	i.writing.Lock()
	i.writer = me
	is := i.offset // changes only under writing
	i.writing.Unlock()
	if offset != is {
		return m.describe(i), &OffsetError{i.name, offset, is}
	}
	buf := make([]byte, min(piece, i.size))
	for {
		n, readErr := r.Read(buf)
		if n > 0 {
			if err := m.add(i, me, buf[:n]); err != nil {
				return m.describe(i), err
			}
		}
		switch {
		case readErr == io.EOF:
			return m.describe(i), nil
		case readErr != nil:
			return m.describe(i), fmt.Errorf("datastore: image %q: the upload broke off at byte %d: %w", i.name, m.describe(i).Offset, readErr)
		}
	}
}

// add puts a piece behind what is there, and completes the image with the last.
func (m *Memory) add(i *image, me *byte, p []byte) error {
	i.writing.Lock()
	defer i.writing.Unlock()
	switch {
	case i.writer != me:
		return faultf(ErrTaken, "image %q: somebody else goes on with the upload", i.name)
	case i.data == nil:
		return faultf(ErrNotFound, "image %q was deleted meanwhile", i.name)
	case int64(len(p)) > i.size-i.offset:
		return faultf(ErrTooLong, "image %q has %d bytes, as declared; more came", i.name, i.size)
	}
	copy(i.data[i.offset:], p)
	i.hash.Write(p)
	end := i.offset + int64(len(p))
	complete := end == i.size
	var err error
	if complete {
		if is := hex.EncodeToString(i.hash.Sum(nil)); is != i.sum {
			err = &DigestError{i.name, i.sum, is}
			end, complete = 0, false
			i.hash.Reset()
		}
	}
	m.mu.Lock()
	i.offset, i.complete, i.changed = end, complete, m.now()
	m.mu.Unlock()
	return err
}

func (m *Memory) describe(i *image) Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	return i.info()
}

// Find is Store's.
func (m *Memory) Find(ref string) (Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, err := m.find(ref)
	if err != nil {
		return Info{}, err
	}
	return i.info(), nil
}

// List is Store's.
func (m *Memory) List() []Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]Info, 0, len(m.images))
	for _, i := range m.images {
		list = append(list, i.info())
	}
	slices.SortFunc(list, func(a, b Info) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Usage is Store's.
func (m *Memory) Usage() Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Usage{Capacity: m.capacity, Used: m.used, Images: len(m.images)}
}

// Delete is Store's.
func (m *Memory) Delete(ref string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, err := m.find(ref)
	switch {
	case err != nil:
		return err
	case i.readOnly:
		return faultf(ErrReadOnly, "image %q is the seed's: leave it out of the seed", i.name)
	case len(i.held) > 0:
		users := i.userNames()
		return &UsedError{i.name, users[:min(len(users), maxUsers)], len(users)}
	}
	m.remove(i)
	return nil
}

// maxUsers is how many users an error names.
const maxUsers = 8

// remove takes an image out of the store. Its contents go when nobody reads them any more.
func (m *Memory) remove(i *image) {
	delete(m.images, i.name)
	i.deleted = true
	if i.open == 0 {
		m.release(i)
	}
}

// release gives an image's memory back. An upload that is at work may still be writing: then it is done behind it.
func (m *Memory) release(i *image) {
	m.used -= i.size
	go func() {
		i.writing.Lock()
		defer i.writing.Unlock()
		i.data = nil
		i.free()
	}()
}

func (i *image) info() Info {
	return Info{Name: i.name, Size: i.size, SHA256: i.sum, Offset: i.offset, Complete: i.complete, ReadOnly: i.readOnly,
		Created: i.created, Changed: i.changed, Users: i.userNames()}
}

func (i *image) userNames() []string {
	var names []string
	for u := range i.held {
		names = append(names, u.String())
	}
	slices.Sort(names)
	return names
}
