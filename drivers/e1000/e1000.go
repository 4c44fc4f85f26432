// Package e1000 drives Intel's 82540EM: Bochs, QEMU and VirtualBox emulate it
// (PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual).
//
// The rule that it keeps is package drivers'; what it does is package intel's, shared by the family.
package e1000

import (
	"keel/drivers/internal/intel"
	"keel/drivers/nic"
	"keel/drivers/pci"
)

// Name is the driver's.
const Name = "e1000"

const (
	vendor = 0x8086
	device = 0x100E
)

// Matches says whether the driver is for a function.
func Matches(f *pci.Function) bool {
	return f.Vendor == vendor && f.Device == device && f.Header == 0
}

var model = intel.Model{Name: Name, Ways: []pci.Kind{pci.MSI, pci.INTx}, EERDDone: 1 << 4, EERDShift: 8}

// Open takes the card. It resets it, and doesn't receive before nic.NIC's Start.
func Open(f *pci.Function) (nic.NIC, error) {
	c, err := intel.Open(f, model)
	if err != nil {
		return nil, err
	}
	return c, nil
}
