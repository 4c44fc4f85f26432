// Package physmem reads physical memory for the code that runs before the Go runtime: the
// hand-over from the boot loader and the firmware's ACPI tables.
//
// Rule: every read is checked against the window that the caller declares, with arithmetic that
// can't wrap; nothing is written, allocated or kept. boot/handover and boot/acpi call it, on any
// stack, interrupts off. It must never be given a window that covers device registers whose
// reading has an effect and then an address that came from a guest.
//
// It is for addresses that others wrote down. Those that the lower half has from its own frame
// allocator it follows unchecked, to read and to write, by vmkernel/core's phys.
package physmem
