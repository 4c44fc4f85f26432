// Package acpitable writes the ACPI tables of the machine keel-1 into a
// guest's memory: RSDP, RSDT, XSDT, FADT, FACS, MADT and DSDT.
//
// The rule that it keeps: the tables say what the device models do and no
// more, and the ports, lines and values that both need are the constants of
// this package, written once. Section numbers are those of the ACPI
// specification, version 6.5.
//
// The program that creates or restarts a VM calls Build before the loader,
// which hands the RSDP's address on. The tables lie wholly in the memory that
// the guest's memory map keeps from 0xE0000 to 1 MiB; nothing else may be
// written there.
package acpitable
