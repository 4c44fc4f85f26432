package guestmem

import "encoding/binary"

// The typed accesses are little-endian, as the processor is, and need no
// alignment. They are not atomic: a guest that writes the same bytes at the
// same time can make a read see parts of two values.

// Read8 returns the byte at gpa.
func (m *Memory) Read8(gpa uint64) (uint8, error) {
	s, err := m.Slice(gpa, 1)
	if err != nil {
		return 0, err
	}
	return s[0], nil
}

// Read16 returns the 16-bit value at gpa.
func (m *Memory) Read16(gpa uint64) (uint16, error) {
	v, err := m.read(gpa, 2)
	return uint16(v), err
}

// Read32 returns the 32-bit value at gpa.
func (m *Memory) Read32(gpa uint64) (uint32, error) {
	v, err := m.read(gpa, 4)
	return uint32(v), err
}

// Read64 returns the 64-bit value at gpa.
func (m *Memory) Read64(gpa uint64) (uint64, error) { return m.read(gpa, 8) }

// Write8 stores v at gpa.
func (m *Memory) Write8(gpa uint64, v uint8) error { return m.write(gpa, uint64(v), 1) }

// Write16 stores v at gpa.
func (m *Memory) Write16(gpa uint64, v uint16) error { return m.write(gpa, uint64(v), 2) }

// Write32 stores v at gpa.
func (m *Memory) Write32(gpa uint64, v uint32) error { return m.write(gpa, uint64(v), 4) }

// Write64 stores v at gpa.
func (m *Memory) Write64(gpa uint64, v uint64) error { return m.write(gpa, v, 8) }

// read returns the n bytes at gpa, n at most 8, as an integer.
func (m *Memory) read(gpa uint64, n int) (uint64, error) {
	var buf [8]byte
	if err := m.ReadAt(buf[:n], gpa); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(buf[:]), nil
}

// write stores the low n bytes of v, n at most 8, at gpa.
func (m *Memory) write(gpa, v uint64, n int) error {
	var buf [8]byte
	binary.LittleEndian.PutUint64(buf[:], v)
	return m.WriteAt(buf[:n], gpa)
}
