// Package acpi reads the host's ACPI tables: which processors and interrupt controllers there
// are, the timers, the ports for power-off and reset, and where PCI's configuration space is.
//
// Rule: tables are read, AML is never executed. The result is one fixed-size structure without
// pointers. Firmware is not trusted to be right: every table lies inside readable memory and sums
// to zero, or is left out and recorded as Bad; every loop is bounded. boot calls Parse once, on
// the first processor, interrupts off, before the Go runtime is up; later the structure is only
// read. It must never write memory or touch a device's register.
package acpi
