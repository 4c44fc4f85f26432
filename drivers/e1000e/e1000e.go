// Package e1000e drives Intel's 82574L: a PCI Express card that QEMU emulates
// (82574 GbE Controller Family Datasheet).
//
// The rule that it keeps is package drivers'; what it does is package intel's, shared by the family.
package e1000e

import (
	"keel/drivers/internal/intel"
	"keel/drivers/nic"
	"keel/drivers/pci"
)

// Name is the driver's.
const Name = "e1000e"

const (
	vendor = 0x8086
	device = 0x10D3
)

// Matches says whether the driver is for a function.
func Matches(f *pci.Function) bool {
	return f.Vendor == vendor && f.Device == device && f.Header == 0
}

var model = intel.Model{Name: Name, Express: true, Ways: []pci.Kind{pci.MSI, pci.INTx}, EERDDone: 1 << 1, EERDShift: 2}

// Open takes the card. It resets it, and doesn't receive before nic.NIC's Start.
func Open(f *pci.Function) (nic.NIC, error) {
	c, err := intel.Open(f, model)
	if err != nil {
		return nil, err
	}
	return c, nil
}
