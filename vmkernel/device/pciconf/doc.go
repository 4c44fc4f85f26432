// Package pciconf models PCI configuration mechanism #1 (PCI Local Bus
// Specification 3.0, 3.2.2.3.2) of a machine without a PCI bus: the address
// and data ports CF8H..CFFH read all ones, by which a guest knows that there
// is none.
//
// Chipsets put their reset control register at CF9H, inside the address
// port. It is reached only by one-byte accesses, so that a configuration
// address never resets the machine; the package passes just those on.
//
// The VM's exit loop calls it through the device.Bus. It must never hold state.
package pciconf
