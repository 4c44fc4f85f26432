// Package pci finds the functions on PCI's buses and what they have: base address registers,
// capabilities, interrupts (PCI Local Bus Specification 3.0, PCI Express Base Specification).
//
// The rule that it keeps: what configuration space says is hostile. Walks are bounded, whatever the
// bridges claim and however the lists run. It reaches everything through Host, whose implementation
// on the bare machine asks the lower half; bridges are only read.
package pci
