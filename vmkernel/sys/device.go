package sys

import (
	"unsafe"

	"keel/vmkernel/linux"
)

// A PCIAddress names a PCI function: segment in bits 31:16, bus in 15:8, device in 7:3, function in
// 2:0 (PCI Firmware Specification 4.1).
type PCIAddress uint32

// Sizes of what a driver is given, in bytes.
const (
	ConfigSize  = 4096    // of a function's configuration space; 256 where there is no ECAM
	MaxRegister = 1 << 24 // one BARMap gives at most that much
	MaxDMA      = 2 << 20 // one DMAAlloc gives at most that much
)

// FirstDeviceIRQ is the first number that IRQMessage and IRQLine give; those below are ISA's.
// NumDeviceIRQs is how many there are.
const (
	FirstDeviceIRQ = 16
	NumDeviceIRQs  = 32
)

// A Grant is memory that the lower half has mapped for a driver. Bus is the address that a device
// reaches it by, for DMA memory.
type Grant struct {
	Addr, Size, Bus uint64
}

// A Message is what a device writes where to interrupt (SDM 3A 11.11).
type Message struct {
	Address uint64
	Data    uint32
	_       uint32
}

// PCIRead reads size bytes (1, 2 or 4) at a multiple of size of a function's configuration space.
// Where no function answers it is all ones. Beyond what can be reached it fails with EINVAL.
func PCIRead(a PCIAddress, offset, size int) (uint32, error) {
	v, err := call(NumPCIRead, uintptr(a), uintptr(offset), uintptr(size), 0)
	return uint32(v), err
}

// PCIWrite writes size bytes of a function's configuration space. Bridges and the system's own
// peripherals (class codes 06H and 08H) are the lower half's: EPERM.
func PCIWrite(a PCIAddress, offset, size int, v uint32) error {
	_, err := call(NumPCIWrite, uintptr(a), uintptr(offset), uintptr(size), uintptr(v))
	return err
}

// BARMap maps size bytes at offset in what base address register bar, 0 to 5, of a function says,
// uncached. It fails with EPERM where that isn't a device's registers for a driver to have: memory,
// local APIC, IOAPIC, HPET, configuration space. It is never unmapped.
func BARMap(a PCIAddress, bar int, offset, size uint64) ([]byte, error) {
	g := Grant{Size: size}
	if _, err := call(NumBARMap, uintptr(a), uintptr(bar), uintptr(offset), uintptr(unsafe.Pointer(&g))); err != nil {
		return nil, err
	}
	return unsafe.Slice(pointer(g.Addr), g.Size), nil
}

// DMAAlloc gives size bytes, rounded up to pages, of zeroed memory that is one piece for a device
// too, and the address that the device reaches it by. It is no memory of Go's, and it is never given
// back, since a device may write there for as long as it likes.
func DMAAlloc(size int) (mem []byte, bus uint64, err error) {
	g := Grant{Size: uint64(size)}
	if _, err := call(NumDMAAlloc, uintptr(unsafe.Pointer(&g)), 0, 0, 0); err != nil {
		return nil, 0, err
	}
	return unsafe.Slice(pointer(g.Addr), g.Size), g.Bus, nil
}

// IRQMessage gives an interrupt for MSI or MSI-X: what to wait for with IRQWait, and the message
// that the device is to send. ENOSPC: all are taken.
func IRQMessage() (irq int, m Message, err error) {
	n, err := call(NumIRQAlloc, 0, 0, 0, uintptr(unsafe.Pointer(&m)))
	return int(n), m, err
}

// IRQLine gives the level-triggered interrupt of an IOAPIC's pin that PCI's INTA# to INTD# arrive at,
// by its ISA interrupt below 16, else by its global system interrupt. EBUSY: another has it. ENODEV:
// no IOAPIC has that pin.
func IRQLine(gsi uint32) (irq int, err error) {
	n, err := call(NumIRQAlloc, 1, uintptr(gsi), 0, 0)
	return int(n), err
}

// IRQWake makes the IRQWait of an interrupt return, as if it had come.
func IRQWake(irq int) error {
	_, err := call(NumIRQWake, uintptr(irq), 0, 0, 0)
	return err
}

// SetClock sets the time of day, in ns since 1970. The monotonic clock goes on as it was.
func SetClock(ns int64) error {
	if ns < 0 {
		return linux.EINVAL
	}
	_, err := call(NumSetClock, uintptr(ns), 0, 0, 0)
	return err
}
