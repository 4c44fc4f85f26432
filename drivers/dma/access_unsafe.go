package dma

import (
	"sync/atomic"
	"unsafe"
)

// The 32- and 64-bit stores are ordered before all that follows, also later loads; the others as x86
// orders them: loads and stores each among themselves, and a load before a later store.

func (m *Memory) at(off, size int) unsafe.Pointer {
	m.check(off, size)
	return unsafe.Pointer(&m.bytes[off])
}

func (m *Memory) Load32(off int) uint32     { return atomic.LoadUint32((*uint32)(m.at(off, 4))) }
func (m *Memory) Load64(off int) uint64     { return atomic.LoadUint64((*uint64)(m.at(off, 8))) }
func (m *Memory) Store32(off int, v uint32) { atomic.StoreUint32((*uint32)(m.at(off, 4)), v) }
func (m *Memory) Store64(off int, v uint64) { atomic.StoreUint64((*uint64)(m.at(off, 8)), v) }

// Load16 is not inlined, so that it is one load, where it stands.
//
//go:noinline
func (m *Memory) Load16(off int) uint16 { return *(*uint16)(m.at(off, 2)) }

// Store16 is not inlined, so that it is one store, where it stands.
//
//go:noinline
func (m *Memory) Store16(off int, v uint16) { *(*uint16)(m.at(off, 2)) = v }
