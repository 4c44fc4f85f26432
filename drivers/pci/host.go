package pci

import (
	"fmt"

	"keel/drivers/dma"
)

// Address names a function: segment in bits 31:16, bus in 15:8, device in 7:3, function in 2:0.
type Address uint32

// At is the address of a function of segment 0.
func At(bus, device, function int) Address {
	return Address(bus&0xFF<<8 | device&0x1F<<3 | function&7)
}

func (a Address) String() string {
	return fmt.Sprintf("%04x:%02x:%02x.%d", uint32(a)>>16, uint8(a>>8), uint8(a)>>3, a&7)
}

// Config is access to configuration space: size is 1, 2 or 4 bytes at a multiple of size below 4096.
type Config interface {
	// Read gives all ones where nothing answers.
	Read(a Address, offset, size int) uint32
	Write(a Address, offset, size int, v uint32) error
}

// Registers are a device's, in memory. Each access is one of its size. Outside their Size they panic:
// a driver checks an offset that comes from a device.
type Registers interface {
	Size() int
	Read8(off int) uint8
	Read16(off int) uint16
	Read32(off int) uint32
	Write8(off int, v uint8)
	Write16(off int, v uint16)
	Write32(off int, v uint32)
}

// Interrupt is waited for by one goroutine.
type Interrupt interface {
	// Wait waits until the interrupt has come more often than seen, and returns how often.
	Wait(seen uint64) (uint64, error)
}

// Host is what a driver gets its device's resources from.
type Host interface {
	Config
	// Map gives size bytes at offset of the registers behind a base address register.
	Map(a Address, bar int, offset, size uint64) (Registers, error)
	// DMA gives zeroed memory in one piece, of at least size bytes, page-aligned.
	DMA(size int) (*dma.Memory, error)
	// Message gives an interrupt, and what a device has to write where to raise it.
	Message() (irq Interrupt, address uint64, data uint32, err error)
	// Line gives the interrupt that INTA# to INTD# arrive at, by the number in Interrupt Line.
	Line(number uint8) (Interrupt, error)
}
