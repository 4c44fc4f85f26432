package datastore

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

const digestPrefix = "sha256:"

// find returns the image that a reference means. The store's mutex is held.
func (m *Memory) find(ref string) (*image, error) {
	if !strings.Contains(ref, ":") {
		if i := m.images[ref]; i != nil {
			return i, nil
		}
		return nil, faultf(ErrNotFound, "there is no image %q: upload it", ref)
	}
	hexed, ok := strings.CutPrefix(ref, digestPrefix)
	raw, err := hex.DecodeString(hexed)
	if !ok || err != nil || len(raw) != sha256.Size {
		return nil, faultf(ErrInvalid, "%q is neither an image's name nor a digest: one is sha256: and 64 hexadecimal digits", ref)
	}
	// The same one each time: of several the one that is held, then the first by name.
	sum, best := hex.EncodeToString(raw), (*image)(nil)
	for _, i := range m.images {
		if i.sum != sum || !i.complete {
			continue
		}
		if best == nil || len(i.held) > 0 && len(best.held) == 0 || (len(i.held) > 0) == (len(best.held) > 0) && i.name < best.name {
			best = i
		}
	}
	if best == nil {
		return nil, faultf(ErrNotFound, "there is no complete image with the contents %s: upload it", ref)
	}
	return best, nil
}

// ready is find for what is to be read.
func (m *Memory) ready(ref string) (*image, error) {
	i, err := m.find(ref)
	if err == nil && !i.complete {
		return nil, faultf(ErrIncomplete, "image %q is still being uploaded: %d of %d bytes are there", i.name, i.offset, i.size)
	}
	return i, err
}

// Hold is Store's.
func (m *Memory) Hold(user fmt.Stringer, refs ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var holds []*image
	for _, ref := range refs {
		i, err := m.ready(ref)
		if err != nil {
			return err
		}
		if !slices.Contains(holds, i) {
			holds = append(holds, i)
		}
	}
	for _, i := range m.users[user] {
		delete(i.held, user)
	}
	delete(m.users, user)
	if len(holds) == 0 {
		return nil
	}
	m.users[user] = holds
	for _, i := range holds {
		if i.held == nil {
			i.held = map[fmt.Stringer]bool{}
		}
		i.held[user] = true
	}
	return nil
}

// Open is Store's.
func (m *Memory) Open(ref string) (Contents, error) {
	m.mu.Lock()
	i, err := m.ready(ref)
	if err == nil {
		i.open++
	}
	m.mu.Unlock()
	if err != nil {
		return nil, err
	}
	c := &contents{m: m, i: i, data: i.data}
	if i.verify != nil {
		if err := i.verify(); err != nil {
			c.Close()
			return nil, faultf(ErrInvalid, "%s", strings.TrimPrefix(err.Error(), "seed: "))
		}
	}
	return c, nil
}

// contents are what Open gives.
type contents struct {
	m      *Memory
	i      *image
	data   []byte
	closed sync.Once
}

func (c *contents) Size() int64   { return int64(len(c.data)) }
func (c *contents) Bytes() []byte { return c.data }

// ReadAt is io.ReaderAt's.
func (c *contents) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(c.data)) {
		return 0, faultf(ErrInvalid, "image %q has no byte %d", c.i.name, off)
	}
	n := copy(p, c.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Close lets go of the contents.
func (c *contents) Close() error {
	c.closed.Do(func() {
		c.m.mu.Lock()
		defer c.m.mu.Unlock()
		c.data = nil
		if c.i.open--; c.i.open == 0 && c.i.deleted {
			c.m.release(c.i)
		}
	})
	return nil
}
