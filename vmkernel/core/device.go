package core

import (
	"sync/atomic"
	"unsafe"

	"keel/arch/amd64"
	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
)

// What the upper half's drivers are given: see the calls of package sys.

func callDevice(n, a0, a1, a2, a3 uint64) int64 {
	switch n {
	case sys.NumPCIRead:
		return callPCIRead(a0, a1, a2)
	case sys.NumPCIWrite:
		return callPCIWrite(a0, a1, a2, a3)
	case sys.NumBARMap:
		return callBARMap(a0, a1, a2, uintptr(a3))
	case sys.NumDMAAlloc:
		return callDMAAlloc(uintptr(a0))
	case sys.NumIRQAlloc:
		return callIRQAlloc(a0, a1, uintptr(a3))
	case sys.NumIRQWake:
		return callIRQWake(a0)
	case sys.NumSetClock:
		atomic.StoreUint64(&wallOffset, a0-nanotime())
		return 0
	}
	return -int64(linux.ENOSYS)
}

// Registers below this address, and from chipsetStart to chipsetEnd, are the system's own on every
// PC: IOAPICs, HPET, TPM, IOMMUs, local APICs and where devices send their interrupts to.
const (
	lowRegisters = 1 << 20
	chipsetStart = 0xFEC0_0000
	chipsetEnd   = 0xFEF0_0000
)

// mayGrant says whether [pa, pa+n) may be a device's registers that a driver is given.
func mayGrant(pa, n uint64) bool {
	limit := uint64(1) << physBits
	if n == 0 || pa < lowRegisters || pa >= limit || n > limit-pa {
		return false
	}
	end := pa + n
	if isMemory(pa, end) || touches(pa, end, chipsetStart, chipsetEnd-chipsetStart) ||
		touches(pa, end, tables.LocalAPIC, amd64.PageSize) || touches(pa, end, hpetAddress(), amd64.PageSize) {
		return false
	}
	for i := uint32(0); i < tables.NumIOAPICs; i++ {
		if touches(pa, end, tables.IOAPICs[i].Address, amd64.PageSize) {
			return false
		}
	}
	for i := uint32(0); i < tables.NumECAMs; i++ {
		if start, size := ecamRange(&tables.ECAMs[i]); touches(pa, end, start, size) {
			return false
		}
	}
	return true
}

// touches says whether [pa, end) has a byte in the pages of [start, start+n). 0 is no address.
func touches(pa, end, start, n uint64) bool {
	return start != 0 && pa < roundUp64(start+n) && end > start&^(amd64.PageSize-1)
}

// Base address registers (PCI Local Bus Specification 6.2.5.1).
const (
	pciBAR0   = 0x10
	pciBARs   = 6
	pciHeader = 0x0E
	barIO     = 1 << 0
	barWidth  = 3 << 1
	bar64     = 2 << 1
	barFlags  = 0xF
)

// barBase is the address in a function's base address register for memory, 0 where there is none.
func barBase(a, bar uint64) uint64 {
	pci.lock.lock()
	header, _ := pciRead(a, pciHeader, 1)
	low, ok := pciRead(a, pciBAR0+4*bar, 4)
	high := uint32(0)
	if ok && low&barWidth == bar64 && bar+1 < pciBARs {
		high, ok = pciRead(a, pciBAR0+4*bar+4, 4)
	}
	pci.lock.unlock()
	if !ok || header&0x7F != 0 || low&barIO != 0 || low == ^uint32(0) {
		return 0
	}
	return uint64(high)<<32 | uint64(low&^barFlags)
}

// callBARMap maps a device's registers. How much there is isn't asked of the device: a base is
// aligned to its register's size, which bounds it.
func callBARMap(a, bar, offset uint64, p uintptr) int64 {
	if a >= 1<<32 || bar >= pciBARs || offset >= sys.MaxRegister {
		return -int64(linux.EINVAL)
	}
	if !ensure(p, unsafe.Sizeof(sys.Grant{}), true) {
		return -int64(linux.EFAULT)
	}
	g := at[sys.Grant](p)
	n := g.Size
	if n == 0 || n > sys.MaxRegister {
		return -int64(linux.EINVAL)
	}
	base := barBase(a, bar)
	if base == 0 || offset+n > base&-base {
		return -int64(linux.ENODEV)
	}
	// Whole pages are mapped, so whole pages must be harmless.
	start := (base + offset) &^ (amd64.PageSize - 1)
	end := roundUp64(base + offset + n)
	if !mayGrant(start, end-start) {
		return -int64(linux.EPERM)
	}
	va := mapFixedRegion(start, end-start, amd64.PTE_W|amd64.PTE_PCD|amd64.PTE_PWT)
	if va == 0 {
		return -int64(linux.ENOMEM)
	}
	g.Addr, g.Bus = uint64(va)+(base+offset)-start, 0
	return 0
}

// callDMAAlloc gives memory that a device may reach, too.
func callDMAAlloc(p uintptr) int64 {
	if !ensure(p, unsafe.Sizeof(sys.Grant{}), true) {
		return -int64(linux.EFAULT)
	}
	g := at[sys.Grant](p)
	size := g.Size
	if size == 0 || size > sys.MaxDMA {
		return -int64(linux.EINVAL)
	}
	n := roundUp64(size) / amd64.PageSize
	if !promise(n) {
		return -int64(linux.ENOMEM)
	}
	pa := allocPages(int(n), ownerUpper)
	unpromise(n)
	if pa == 0 {
		return -int64(linux.ENOMEM)
	}
	va := mapFixedRegion(pa, n*amd64.PageSize, amd64.PTE_W)
	if va == 0 {
		for i := uint64(0); i < n; i++ {
			freeFrame(pa+i*amd64.PageSize, ownerUpper)
		}
		return -int64(linux.ENOMEM)
	}
	g.Addr, g.Size, g.Bus = uint64(va), n*amd64.PageSize, pa
	return 0
}
