// Package memtest makes physical memory for tests on the host: sparse, of any size, and with an
// unmapped page right behind its last byte, so that a read beyond the limit is a crash and not
// a wrong answer.
//
// Rule: tests only. Nothing in the kernel image may import it.
package memtest

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"keel/boot/physmem"
)

const page = 4096

// Image is the physical memory of an imagined machine, all zero at first.
type Image struct {
	tb    testing.TB
	bytes []byte // starts at physical address 0
}

// New makes an image of size bytes, at least 1, that lives until the test ends. Only pages that
// are written cost memory.
func New(tb testing.TB, size uint64) *Image {
	tb.Helper()
	mapped := (size + page - 1) &^ (page - 1)
	all, err := syscall.Mmap(-1, 0, int(mapped+page), syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		tb.Fatalf("memtest: mapping %d bytes: %v", size, err)
	}
	if err := syscall.Mprotect(all[mapped:], syscall.PROT_NONE); err != nil {
		tb.Fatalf("memtest: guard page: %v", err)
	}
	tb.Cleanup(func() { syscall.Munmap(all) })
	return &Image{tb, all[mapped-size : mapped : mapped]}
}

// Memory is the window on all of the image.
func (m *Image) Memory() physmem.Memory {
	return physmem.Memory{
		Base:  uintptr(unsafe.Pointer(unsafe.SliceData(m.bytes))),
		Limit: uint64(len(m.bytes)),
	}
}

// Put writes values at physical address pa, one after the other: byte slices, strings and
// fixed-size integers, little-endian. It gives the address behind the last byte.
func (m *Image) Put(pa uint64, values ...any) uint64 {
	m.tb.Helper()
	for _, value := range values {
		b := Bytes(value)
		if copy(m.bytes[pa:], b) != len(b) {
			m.tb.Fatalf("memtest: %d bytes at %#x don't fit", len(b), pa)
		}
		pa += uint64(len(b))
	}
	return pa
}

// Bytes is the little-endian form of values, joined: byte slices, strings, fixed-size integers.
func Bytes(values ...any) []byte {
	var out bytes.Buffer
	for _, value := range values {
		if s, ok := value.(string); ok {
			value = []byte(s)
		}
		if err := binary.Write(&out, binary.LittleEndian, value); err != nil {
			panic(err)
		}
	}
	return out.Bytes()
}

// Load reads a recorded piece of a real machine's memory: a gzip file of records, each the
// physical address and the length (little-endian, 8 bytes each) and the bytes.
func (m *Image) Load(name string) {
	m.tb.Helper()
	file, err := os.Open(name)
	if err != nil {
		m.tb.Fatal(err)
	}
	defer file.Close()
	in, err := gzip.NewReader(file)
	if err != nil {
		m.tb.Fatalf("%s: %v", name, err)
	}
	for {
		var head [2]uint64
		if err := binary.Read(in, binary.LittleEndian, &head); err == io.EOF {
			return
		} else if err != nil {
			m.tb.Fatalf("%s: %v", name, err)
		}
		if !m.Memory().Holds(head[0], head[1]) {
			m.tb.Fatalf("%s: %d bytes at %#x don't fit into the image", name, head[1], head[0])
		}
		if _, err := io.ReadFull(in, m.bytes[head[0]:][:head[1]]); err != nil {
			m.tb.Fatalf("%s: %v", name, err)
		}
	}
}
