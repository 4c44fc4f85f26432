// Package smbios reads what the firmware says that the machine is: maker, product, serial number
// (DMTF DSP0134, System Management BIOS Reference Specification).
//
// Rule: firmware is not trusted to be right. Every structure lies inside readable memory, every
// loop is bounded, and what comes out is printable ASCII in arrays of a fixed size. vmkernel/core
// calls Find once, on the boot stack, interrupts off. It must never write memory.
package smbios
