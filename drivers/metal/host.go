package metal

import (
	"fmt"

	"keel/drivers/dma"
	"keel/drivers/pci"
	"keel/vmkernel/sys"
)

// Host is the bare machine.
type Host struct{}

var _ pci.Host = Host{}

// Read implements pci.Config.
func (Host) Read(a pci.Address, offset, size int) uint32 {
	v, err := sys.PCIRead(sys.PCIAddress(a), offset, size)
	if err != nil {
		return 0xFFFF_FFFF
	}
	return v
}

// Write implements pci.Config.
func (Host) Write(a pci.Address, offset, size int, v uint32) error {
	return sys.PCIWrite(sys.PCIAddress(a), offset, size, v)
}

// Map implements pci.Host.
func (Host) Map(a pci.Address, bar int, offset, size uint64) (pci.Registers, error) {
	b, err := sys.BARMap(sys.PCIAddress(a), bar, offset, size)
	if err != nil {
		return nil, err
	}
	return registers(b), nil
}

// DMA implements pci.Host.
func (Host) DMA(size int) (*dma.Memory, error) {
	b, bus, err := sys.DMAAlloc(size)
	if err != nil {
		return nil, fmt.Errorf("%d bytes of memory for a device: %w", size, err)
	}
	return dma.New(b, bus), nil
}

// Message implements pci.Host.
func (Host) Message() (pci.Interrupt, uint64, uint32, error) {
	irq, m, err := sys.IRQMessage()
	return interrupt(irq), m.Address, m.Data, err
}

// Line implements pci.Host.
func (Host) Line(number uint8) (pci.Interrupt, error) {
	irq, err := sys.IRQLine(uint32(number))
	return interrupt(irq), err
}

type interrupt int

func (i interrupt) Wait(seen uint64) (uint64, error) { return sys.IRQWait(int(i), seen) }
