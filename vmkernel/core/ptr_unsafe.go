package core

import (
	"unsafe"

	"keel/arch/amd64"
	"keel/vmkernel/sys"
)

// at is the object at a virtual address of the lower half.
func at[T any](addr uintptr) *T { return *(**T)(unsafe.Pointer(&addr)) }

// phys is the object at a physical address, through the direct map.
func phys[T any](pa uint64) *T { return at[T](amd64.DirectMap + uintptr(pa)) }

// addrOf is the address of an object that never moves: a static one, or one in a page frame.
func addrOf[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

// bytesAt is n bytes at a virtual address.
func bytesAt(addr uintptr, n int) []byte { return unsafe.Slice(at[byte](addr), n) }

// sliceAt is n objects at a virtual address of the lower half.
func sliceAt[T any](addr uintptr, n int) []T { return unsafe.Slice(at[T](addr), n) }

// sizeOf is the size of a type, bytes.
func sizeOf[T any]() uintptr { var x T; return unsafe.Sizeof(x) }

// page is a page of physical memory as words.
type page [512]uint64

// stringAt is n bytes at a virtual address as a string, without a copy.
func stringAt(addr uintptr, n int) string { return unsafe.String(at[byte](addr), n) }

// crashSize is the size of a record of crashes.
const crashSize = unsafe.Sizeof(sys.Crash{})

// vmConfigSize is the size of what describes a VM.
const vmConfigSize = unsafe.Sizeof(sys.VMConfig{})

// blockSize is the size of a block descriptor, bytes.
const blockSize = unsafe.Sizeof(block{})

// ownerSize is the size of a page frame's owner, nodesSize and memoryUseSize those of what the calls
// about memory fill in.
const (
	ownerSize     = unsafe.Sizeof(owner(0))
	nodesSize     = unsafe.Sizeof(sys.Nodes{})
	rangeSize     = unsafe.Sizeof(sys.Range{})
	memoryUseSize = unsafe.Sizeof(sys.MemoryUse{})
)
