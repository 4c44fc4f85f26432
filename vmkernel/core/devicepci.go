package core

import (
	"keel/arch/amd64"
	"keel/boot/acpi"
	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
)

// PCI's configuration space is reached in memory where the firmware says so (ECAM, PCI Express Base
// Specification 7.2.2), else by two ports (PCI Local Bus Specification 3.2.2.3.2).
const (
	pciAddressPort = 0xCF8
	pciDataPort    = 0xCFC
	pciPortSpace   = 256

	ecamArea = 0xFFFF_D040_0000_0000 // where configuration space is mapped: 256 GiB behind screenArea
	ecamMax  = 1 << 28               // of a segment: 256 buses of 1 MiB

	pciClassBridge = 0x06
	pciClassSystem = 0x08
	pciClass       = 0x0B // offset of the base class code
)

// pci is protected by its lock: the two ports are used one after the other.
var pci struct {
	lock   spinlock
	mapped [acpi.MaxECAMs]bool
}

// ecamOf is where a function's configuration space is mapped, 0 where there is none in memory. The
// lock is held.
func ecamOf(a uint64) uintptr {
	segment, bus := uint16(a>>16), uint8(a>>8)
	for i := uint32(0); i < tables.NumECAMs; i++ {
		e := &tables.ECAMs[i]
		if e.Segment != segment || bus < e.StartBus || bus > e.EndBus {
			continue
		}
		start, n := ecamRange(e)
		if isMemory(start, start+n) {
			return 0
		}
		va := uintptr(ecamArea + uint64(i)*ecamMax)
		if !pci.mapped[i] {
			pci.mapped[i] = mapRange(va, start, n, amd64.PTE_W|amd64.PTE_NX|amd64.PTE_PCD|amd64.PTE_PWT)
		}
		if !pci.mapped[i] {
			return 0
		}
		return va + uintptr(bus-e.StartBus)<<20 + uintptr(a&0xFF)<<12
	}
	return 0
}

// ecamRange is where the configuration space of an ECAM's buses is.
func ecamRange(e *acpi.ECAM) (start, n uint64) {
	return e.Base + uint64(e.StartBus)<<20, (uint64(e.EndBus) - uint64(e.StartBus) + 1) << 20
}

// pciRead reads 1, 2 or 4 bytes. The lock is held.
func pciRead(a, offset, size uint64) (v uint32, ok bool) {
	if va := ecamOf(a); va != 0 {
		va += uintptr(offset)
		switch size {
		case 1:
			return uint32(*at[uint8](va)), true
		case 2:
			return uint32(*at[uint16](va)), true
		}
		return *at[uint32](va), true
	}
	port, ok := pciPort(a, offset)
	switch {
	case !ok:
		return 0, false
	case size == 1:
		return uint32(amd64.IN8(port)), true
	case size == 2:
		return uint32(amd64.IN16(port)), true
	}
	return amd64.IN32(port), true
}

// pciWrite writes 1, 2 or 4 bytes. The lock is held.
func pciWrite(a, offset, size uint64, v uint32) bool {
	if va := ecamOf(a); va != 0 {
		va += uintptr(offset)
		switch size {
		case 1:
			*at[uint8](va) = uint8(v)
		case 2:
			*at[uint16](va) = uint16(v)
		default:
			*at[uint32](va) = v
		}
		return true
	}
	port, ok := pciPort(a, offset)
	switch {
	case !ok:
		return false
	case size == 1:
		amd64.OUT8(port, uint8(v))
	case size == 2:
		amd64.OUT16(port, uint16(v))
	default:
		amd64.OUT32(port, v)
	}
	return true
}

// pciPort selects what the data port is to show, and returns that.
func pciPort(a, offset uint64) (uint16, bool) {
	if a >= 1<<16 || offset >= pciPortSpace {
		return 0, false
	}
	amd64.OUT32(pciAddressPort, 1<<31|uint32(a)<<8|uint32(offset)&^3)
	return pciDataPort + uint16(offset&3), true
}

func configAccess(a, offset, size uint64) bool {
	return a < 1<<32 && (size == 1 || size == 2 || size == 4) && offset < sys.ConfigSize && offset&(size-1) == 0
}

func callPCIRead(a, offset, size uint64) int64 {
	if !configAccess(a, offset, size) {
		return -int64(linux.EINVAL)
	}
	pci.lock.lock()
	v, ok := pciRead(a, offset, size)
	pci.lock.unlock()
	if !ok {
		return -int64(linux.EINVAL)
	}
	return int64(v)
}

// callPCIWrite keeps the upper half off bridges and off what the system is made of: they say where
// memory and interrupts go.
func callPCIWrite(a, offset, size, v uint64) int64 {
	if !configAccess(a, offset, size) {
		return -int64(linux.EINVAL)
	}
	r := int64(0)
	pci.lock.lock()
	switch class, ok := pciRead(a, pciClass, 1); {
	case !ok:
		r = -int64(linux.EINVAL)
	case class == pciClassBridge || class == pciClassSystem:
		r = -int64(linux.EPERM)
	case !pciWrite(a, offset, size, uint32(v)):
		r = -int64(linux.EINVAL)
	}
	pci.lock.unlock()
	return r
}
