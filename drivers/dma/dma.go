// Package dma is memory that a driver shares with its device: outside the Go heap, in one piece, with
// the address that the device reaches it by.
//
// The rule that it keeps: each access is one load or store of its size, at a place that is checked,
// in program order. What a device may change meanwhile is loaded once, into a copy.
package dma

import "fmt"

// Memory is a piece of such memory.
type Memory struct {
	bytes []byte
	bus   uint64
}

// New is memory at a place that the device reaches at bus. The bytes are aligned to 8.
func New(bytes []byte, bus uint64) *Memory { return &Memory{bytes, bus} }

// Size is in bytes.
func (m *Memory) Size() int { return len(m.bytes) }

// Bus is the device's address of the byte at off.
func (m *Memory) Bus(off int) uint64 {
	m.check(off, 1)
	return m.bus + uint64(off)
}

// Bytes is n bytes at off. The device may change them at any time.
func (m *Memory) Bytes(off, n int) []byte { return m.bytes[off : off+n : off+n] }

// Clear zeroes n bytes at off.
func (m *Memory) Clear(off, n int) { clear(m.bytes[off : off+n]) }

func (m *Memory) check(off, size int) {
	if off < 0 || off > len(m.bytes)-size || off&(size-1) != 0 {
		panic(fmt.Sprintf("dma: access of %d bytes at %d of %d", size, off, len(m.bytes)))
	}
}
