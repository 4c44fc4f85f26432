package datastore

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// A Store keeps images. All methods may be called from any goroutine.
type Store interface {
	// Create declares an image that is to be uploaded, and takes its space. Where there is an image of that name, size and
	// digest already, finished or not, that is the answer, with no error: so a repeated upload goes on where the first
	// ended. Errors: ErrExists, ErrInvalid, FullError.
	Create(d Declaration) (Info, error)

	// Append adds to an image from r, which is read to its end, and says how the image stands. The first byte's place
	// is offset, which has to be where the image ends. What came before r failed stays. Of two callers the later one
	// goes on and the earlier ends with ErrTaken. Errors: ErrNotFound, ErrComplete, ErrTooLong, OffsetError, DigestError;
	// after the last the image is empty, to be uploaded again.
	Append(ref string, offset int64, r io.Reader) (Info, error)

	// Find describes an image. Errors: ErrNotFound, ErrInvalid.
	Find(ref string) (Info, error)

	// List describes all images, by name.
	List() []Info

	// Delete removes an image, finished or not. Who reads it still can. Errors: ErrNotFound, ErrReadOnly, UsedError.
	Delete(ref string) error

	// Open gives an image's contents, after they have been checked. Errors: ErrNotFound, ErrIncomplete, DigestError.
	Open(ref string) (Contents, error)

	// Hold has user use the images of refs, and those only, until it is called for user again: without refs it lets go of
	// all. user is compared, and its String is what UsedError says. On an error nothing has changed.
	// Errors: ErrNotFound, ErrIncomplete.
	Hold(user fmt.Stringer, refs ...string) error

	// Usage says how full the store is.
	Usage() Usage
}

// A Declaration says what an upload will be.
type Declaration struct {
	Name   string
	Size   int64  // bytes, 1 or more
	SHA256 string // 64 hexadecimal digits
}

// Info describes an image.
type Info struct {
	Name     string
	Size     int64  // bytes, when it is complete
	SHA256   string // 64 lower-case hexadecimal digits
	Offset   int64  // bytes that are there
	Complete bool
	ReadOnly bool      // it came with the seed
	Created  time.Time // when it was declared
	Changed  time.Time // when the last bytes came
	Users    []string  // who holds it
}

// Digest is the reference that means the image's contents.
func (i *Info) Digest() string { return digestPrefix + i.SHA256 }

// Contents are an image's. They are valid until Close.
type Contents interface {
	io.ReaderAt
	io.Closer
	Size() int64
	Bytes() []byte // all of it, not to be written to
}

// Usage is a store's, in bytes. What is read only doesn't count.
type Usage struct {
	Capacity int64
	Used     int64 // uploads that have begun count with all of their size
	Images   int
}

// Kinds of errors, for errors.Is.
var (
	ErrNotFound   = errors.New("datastore: there is no such image")
	ErrExists     = errors.New("datastore: there is another image of that name")
	ErrInvalid    = errors.New("datastore: that can't be")
	ErrIncomplete = errors.New("datastore: the image is still being uploaded")
	ErrComplete   = errors.New("datastore: the image is complete")
	ErrTooLong    = errors.New("datastore: more came than was declared")
	ErrTaken      = errors.New("datastore: somebody else goes on with the upload")
	ErrReadOnly   = errors.New("datastore: the image is the seed's: change the seed")
)

// A fault is an error of one of these kinds that says more.
type fault struct {
	kind error
	text string
}

func (f *fault) Error() string        { return "datastore: " + f.text }
func (f *fault) Is(target error) bool { return target == f.kind }

func faultf(kind error, format string, args ...any) error {
	return &fault{kind, fmt.Sprintf(format, args...)}
}

// A FullError says that a store has no room. Sizes are in bytes.
type FullError struct {
	Name                 string
	Need, Free, Capacity int64
	Host                 error // the store has room, the host has no memory: why
}

func (e *FullError) Error() string {
	if e.Host != nil {
		return fmt.Sprintf("datastore: image %q needs %d bytes, which the host's memory doesn't have (%v): stop a VM or delete images", e.Name, e.Need, e.Host)
	}
	return fmt.Sprintf("datastore: image %q needs %d bytes, of the store's %d are %d free: delete images that no VM uses", e.Name, e.Need, e.Capacity, e.Free)
}

// An OffsetError says that a piece doesn't begin where the image ends.
type OffsetError struct {
	Name      string
	Given, Is int64
}

func (e *OffsetError) Error() string {
	return fmt.Sprintf("datastore: image %q goes on at byte %d, not at %d: send what follows", e.Name, e.Is, e.Given)
}

// A DigestError says that contents are not what was declared.
type DigestError struct{ Name, Declared, Is string }

func (e *DigestError) Error() string {
	return fmt.Sprintf("datastore: image %q has the SHA-256 %s, declared was %s: upload it again", e.Name, e.Is, e.Declared)
}

// A UsedError says who needs an image that was to be deleted.
type UsedError struct {
	Name  string
	Users []string // some of them, if there are many
	Count int
}

func (e *UsedError) Error() string {
	who := strings.Join(e.Users, ", ")
	if more := e.Count - len(e.Users); more > 0 {
		who += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("datastore: image %q is used by %s: change or delete what uses it first", e.Name, who)
}
