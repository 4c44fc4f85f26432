package datastore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"keel/vmkernel/seed"
)

func sumOf(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func declare(name string, data []byte) Declaration {
	return Declaration{Name: name, Size: int64(len(data)), SHA256: sumOf(data)}
}

// upload creates an image that must be possible.
func upload(t *testing.T, m *Memory, name string, data []byte) {
	t.Helper()
	if _, err := m.Create(declare(name, data)); err != nil {
		t.Fatal(err)
	}
	if i, err := m.Append(name, 0, bytes.NewReader(data)); err != nil || !i.Complete {
		t.Fatalf("%+v: %v", i, err)
	}
}

func text(n int) []byte { return bytes.Repeat([]byte("0123456789abcde\n"), n/16+1)[:n] }

// A user uses images.
type user struct{ name string }

func (u *user) String() string { return "VM " + u.name }

func TestUploadGoesOnWhereItBrokeOff(t *testing.T) {
	m := NewMemory(1<<20, nil)
	data := text(300 << 10)
	info, err := m.Create(declare("vmlinuz", data))
	if err != nil || info.Complete || info.Offset != 0 || info.Size != int64(len(data)) {
		t.Fatalf("%+v: %v", info, err)
	}
	broken := errors.New("connection reset")
	info, err = m.Append("vmlinuz", 0, io.MultiReader(bytes.NewReader(data[:100_000]), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || info.Offset != 100_000 {
		t.Errorf("%+v: %v", info, err)
	}
	if again, err := m.Create(declare("vmlinuz", data)); err != nil || again.Offset != 100_000 {
		t.Errorf("declared again: %+v: %v", again, err)
	}
	var wrong *OffsetError
	if _, err := m.Append("vmlinuz", 99_999, bytes.NewReader(data)); !errors.As(err, &wrong) || wrong.Is != 100_000 {
		t.Errorf("from elsewhere: %v", err)
	}
	if _, err := m.Open("vmlinuz"); !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), "100000 of 307200 bytes") {
		t.Errorf("opened: %v", err)
	}
	if _, err := m.Find(info.Digest()); !errors.Is(err, ErrNotFound) {
		t.Errorf("its digest means what isn't complete: %v", err)
	}
	if info, err = m.Append("vmlinuz", 100_000, iotest.OneByteReader(bytes.NewReader(data[100_000:]))); err != nil || !info.Complete {
		t.Fatalf("%+v: %v", info, err)
	}
	if _, err := m.Append("vmlinuz", info.Size, strings.NewReader("")); !errors.Is(err, ErrComplete) {
		t.Errorf("after the end: %v", err)
	}
	for _, ref := range []string{"vmlinuz", info.Digest(), strings.ToUpper(info.Digest()[7:])} {
		if ref == strings.ToUpper(info.SHA256) {
			ref = "sha256:" + ref
		}
		c, err := m.Open(ref)
		if err != nil || !bytes.Equal(c.Bytes(), data) {
			t.Fatalf("%s: %v", ref, err)
		}
		var buf [10]byte
		if n, err := c.ReadAt(buf[:], c.Size()-4); n != 4 || err != io.EOF {
			t.Errorf("read %d at the end: %v", n, err)
		}
		c.Close()
		c.Close()
	}
}

func TestContentsThatAreNotWhatWasDeclaredAreRefused(t *testing.T) {
	m := NewMemory(1<<20, nil)
	data := text(1000)
	d := declare("x", data)
	if _, err := m.Create(d); err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(data)
	bad[500] ^= 1
	var digest *DigestError
	info, err := m.Append("x", 0, bytes.NewReader(bad))
	if !errors.As(err, &digest) || digest.Is != sumOf(bad) || digest.Declared != d.SHA256 || info.Complete || info.Offset != 0 {
		t.Errorf("%+v: %v", info, err)
	}
	if _, err := m.Append("x", 0, io.MultiReader(bytes.NewReader(data), strings.NewReader("more"))); !errors.Is(err, ErrTooLong) {
		t.Errorf("more than declared: %v", err)
	}
	if _, err := m.Find("x"); err != nil {
		t.Error(err)
	}
}

func TestDeclarationsThatCanNotBe(t *testing.T) {
	m := NewMemory(1000, nil)
	good := declare("x", []byte("data"))
	for _, c := range []struct {
		set  func(d *Declaration)
		want string
	}{
		{func(d *Declaration) { d.Name = "" }, "the name is empty"},
		{func(d *Declaration) { d.Name = "../x" }, "leads out"},
		{func(d *Declaration) { d.Name = "sha256:x" }, "character"},
		{func(d *Declaration) { d.Size = 0 }, "a size of 0 bytes"},
		{func(d *Declaration) { d.Size = -1 }, "a size of -1 bytes"},
		{func(d *Declaration) { d.Size = 1 << 62 }, "a size of"},
		{func(d *Declaration) { d.SHA256 = "abc" }, "is not a SHA-256"},
		{func(d *Declaration) { d.SHA256 = strings.Repeat("g", 64) }, "is not a SHA-256"},
	} {
		d := good
		c.set(&d)
		if _, err := m.Create(d); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", d, err, c.want)
		}
	}
	upload(t, m, "x", []byte("data"))
	if _, err := m.Create(declare("x", []byte("other"))); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "of 4 bytes and SHA-256 "+good.SHA256) {
		t.Errorf("%v", err)
	}
	for _, ref := range []string{"sha256:", "sha256:zz", "md5:00", "sha256:" + strings.Repeat("0", 63)} {
		if _, err := m.Find(ref); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	for _, ref := range []string{"", "y", "sha256:" + strings.Repeat("0", 64)} {
		if _, err := m.Find(ref); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

func TestFullStoreSaysTheNumbers(t *testing.T) {
	m := NewMemory(1000, nil)
	if _, err := m.Create(declare("a", text(600))); err != nil {
		t.Fatal(err)
	}
	var full *FullError
	if _, err := m.Create(declare("b", text(500))); !errors.As(err, &full) || full.Need != 500 || full.Free != 400 || full.Capacity != 1000 {
		t.Errorf("%v", err)
	}
	if err := m.Delete("a"); err != nil {
		t.Fatal(err)
	}
	if u := m.Usage(); u.Used != 0 || u.Images != 0 || u.Capacity != 1000 {
		t.Errorf("%+v", u)
	}
	upload(t, m, "b", text(500))
	m.allocate = func(int64) ([]byte, func(), error) { return nil, nil, errors.New("none left") }
	if _, err := m.Create(declare("c", text(10))); !errors.As(err, &full) || full.Host == nil {
		t.Errorf("%v", err)
	}
	if u := m.Usage(); u.Used != 500 || u.Images != 1 {
		t.Errorf("%+v", u)
	}
}

func TestUploadsThatNobodyGoesOnWithGiveWay(t *testing.T) {
	m := NewMemory(1000, nil)
	now := time.Now()
	m.now = func() time.Time { return now }
	m.Create(declare("old", text(400)))
	now = now.Add(staleAfter / 2)
	m.Create(declare("young", text(400)))
	now = now.Add(staleAfter / 2)
	if _, err := m.Create(declare("new", text(500))); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Find("old"); !errors.Is(err, ErrNotFound) {
		t.Errorf("old: %v", err)
	}
	if _, err := m.Find("young"); err != nil {
		t.Errorf("young: %v", err)
	}
	now = now.Add(2 * staleAfter)
	if _, err := m.Create(declare("huge", text(1001))); err == nil {
		t.Error("more than there is room for")
	}
	if n := len(m.List()); n != 2 {
		t.Errorf("%d images: what couldn't fit anyway has cost others", n)
	}
}

func TestWhatIsUsedStays(t *testing.T) {
	m := NewMemory(1<<20, nil)
	upload(t, m, "kernel", text(100))
	upload(t, m, "same", text(100))
	upload(t, m, "initrd", text(200))
	m.Create(declare("half", text(300)))
	a, b := &user{"a"}, &user{"b"}
	if err := errors.Join(m.Hold(a, "kernel", "initrd", "kernel"), m.Hold(b, "kernel")); err != nil {
		t.Fatal(err)
	}
	var used *UsedError
	if err := m.Delete("kernel"); !errors.As(err, &used) || err.Error() != `datastore: image "kernel" is used by VM a, VM b: change or delete what uses it first` {
		t.Errorf("%v", err)
	}
	// A digest means the image that is used, whatever its name, so that it isn't deleted by another's.
	if err := m.Delete("sha256:" + sumOf(text(100))); !errors.As(err, &used) {
		t.Errorf("by digest: %v", err)
	}
	for ref, kind := range map[string]error{"nothing": ErrNotFound, "half": ErrIncomplete} {
		if err := m.Hold(a, "same", ref); !errors.Is(err, kind) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	if i, _ := m.Find("initrd"); len(i.Users) != 1 {
		t.Errorf("a Hold that failed has let go of what was held: %+v", i)
	}
	if err := errors.Join(m.Hold(a, "initrd"), m.Hold(b), m.Delete("kernel")); err != nil {
		t.Error(err)
	}
	if err := m.Delete("half"); err != nil {
		t.Error(err)
	}
	for i := range 20 {
		m.Hold(&user{fmt.Sprint(i)}, "initrd")
	}
	if err := m.Delete("initrd"); !errors.As(err, &used) || used.Count != 21 || len(used.Users) != maxUsers || !strings.Contains(err.Error(), "and 13 more") {
		t.Errorf("%v", err)
	}
}

func TestWhatIsReadLastsUntilItIsClosed(t *testing.T) {
	m := NewMemory(1<<20, nil)
	freed := make(chan bool, 1)
	m.allocate = func(n int64) ([]byte, func(), error) { return make([]byte, n), func() { freed <- true }, nil }
	upload(t, m, "x", text(100))
	c, err := m.Open("x")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Delete("x"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-freed:
		t.Fatal("its memory is gone while it is read")
	case <-time.After(10 * time.Millisecond):
	}
	if u := m.Usage(); u.Used != 100 {
		t.Errorf("%+v", u)
	}
	c.Close()
	<-freed
	if u := m.Usage(); u.Used != 0 {
		t.Errorf("%+v", u)
	}
}

func TestSeedsFilesAreImages(t *testing.T) {
	m := NewMemory(0, nil)
	data := []byte("kernel")
	f := &seed.File{Name: "boot/vmlinuz", Data: data, Info: seed.FileInfo{Size: 6, SHA256: sumOf(data)}}
	bad := &seed.File{Name: "bad", Data: data, Info: seed.FileInfo{Size: 6, SHA256: sumOf(nil)}}
	if err := errors.Join(m.AddFile(f), m.AddFile(bad)); err != nil {
		t.Fatal(err)
	}
	if i, err := m.Find("boot/vmlinuz"); err != nil || !i.ReadOnly || !i.Complete || i.Size != 6 || m.Usage().Used != 0 {
		t.Errorf("%+v: %v", i, err)
	}
	if err := m.Delete("boot/vmlinuz"); !errors.Is(err, ErrReadOnly) {
		t.Errorf("%v", err)
	}
	if c, err := m.Open("boot/vmlinuz"); err != nil || string(c.Bytes()) != "kernel" {
		t.Errorf("%v", err)
	}
	if _, err := m.Open("bad"); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("%v", err)
	}
	if err := m.AddFile(f); !errors.Is(err, ErrExists) {
		t.Errorf("%v", err)
	}
}

func TestTheLaterOfTwoUploadsGoesOn(t *testing.T) {
	m := NewMemory(1<<20, nil)
	data := text(200 << 10)
	m.Create(declare("x", data))
	r, w := io.Pipe()
	first := make(chan error)
	go func() { _, err := m.Append("x", 0, r); first <- err }()
	w.Write(data[:1000])
	for i, _ := m.Find("x"); i.Offset != 1000; i, _ = m.Find("x") {
		time.Sleep(time.Millisecond)
	}
	if i, err := m.Append("x", 1000, bytes.NewReader(data[1000:])); err != nil || !i.Complete {
		t.Errorf("%+v: %v", i, err)
	}
	go w.Write(data[1000:2000])
	if err := <-first; !errors.Is(err, ErrTaken) {
		t.Errorf("the earlier: %v", err)
	}
	r.Close()
	c, err := m.Open("x")
	if err != nil || !bytes.Equal(c.Bytes(), data) {
		t.Errorf("%v", err)
	}
}

func TestUploadOfWhatIsDeletedMeanwhileEnds(t *testing.T) {
	m := NewMemory(1<<20, nil)
	var wait sync.WaitGroup
	for n := range 50 {
		name := fmt.Sprint("x", n)
		data := text(100_000)
		m.Create(declare(name, data))
		wait.Go(func() { m.Append(name, 0, iotest.HalfReader(bytes.NewReader(data))) })
		wait.Go(func() { m.Delete(name) })
	}
	wait.Wait()
	if u := m.Usage(); u.Used != 0 || u.Images != 0 {
		t.Errorf("%+v", u)
	}
}
