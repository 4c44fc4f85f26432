package metal

import (
	"fmt"
	"unsafe"
)

// registers are a device's.
type registers []byte

func (r registers) at(off, size int) unsafe.Pointer {
	if off < 0 || off > len(r)-size || off&(size-1) != 0 {
		panic(fmt.Sprintf("metal: %d bytes at %#x of %#x bytes of registers", size, off, len(r)))
	}
	return unsafe.Pointer(&r[off])
}

func (r registers) Size() int                 { return len(r) }
func (r registers) Read8(off int) uint8       { return load8((*uint8)(r.at(off, 1))) }
func (r registers) Read16(off int) uint16     { return load16((*uint16)(r.at(off, 2))) }
func (r registers) Read32(off int) uint32     { return load32((*uint32)(r.at(off, 4))) }
func (r registers) Write8(off int, v uint8)   { store8((*uint8)(r.at(off, 1)), v) }
func (r registers) Write16(off int, v uint16) { store16((*uint16)(r.at(off, 2)), v) }
func (r registers) Write32(off int, v uint32) { store32((*uint32)(r.at(off, 4)), v) }
