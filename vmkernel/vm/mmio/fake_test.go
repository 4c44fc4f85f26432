package mmio

import (
	"encoding/binary"
	"fmt"
)

// ram is memory from address 0 on.
type ram []byte

func (r ram) check(gpa uint64, n int) error {
	if gpa > uint64(len(r)) || uint64(len(r))-gpa < uint64(n) {
		return fmt.Errorf("%#x is not RAM", gpa)
	}
	return nil
}

func (r ram) Read64(gpa uint64) (uint64, error) {
	if err := r.check(gpa, 8); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(r[gpa:]), nil
}

func (r ram) ReadAt(p []byte, gpa uint64) error {
	if err := r.check(gpa, len(p)); err != nil {
		return err
	}
	copy(p, r[gpa:])
	return nil
}

func (r ram) WriteAt(p []byte, gpa uint64) error {
	if err := r.check(gpa, len(p)); err != nil {
		return err
	}
	copy(r[gpa:], p)
	return nil
}

func (r ram) put64(gpa uint64, v uint64) { binary.LittleEndian.PutUint64(r[gpa:], v) }
func (r ram) put32(gpa uint64, v uint32) { binary.LittleEndian.PutUint32(r[gpa:], v) }

// dev is a device that reads as value and writes down what it is asked.
type dev struct {
	value uint64
	log   []string
	quiet bool
}

func (d *dev) Read(addr uint64, size int) uint64 {
	if !d.quiet {
		d.log = append(d.log, fmt.Sprintf("r%d %x", size, addr))
	}
	return d.value
}

func (d *dev) Write(addr uint64, size int, v uint64) {
	if !d.quiet {
		d.log = append(d.log, fmt.Sprintf("w%d %x=%x", size, addr, v))
	}
	d.value = v
}
