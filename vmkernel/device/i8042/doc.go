// Package i8042 models the keyboard controller of a PC (Intel 8042 as the
// IBM PC AT uses it) with nothing plugged in: as far as kernels probe it, and
// use it to reset the machine.
//
// The rule that it keeps: nothing waits. The input buffer is never full,
// every command that has an answer has it at once, and a byte for the absent
// keyboard or mouse is answered at once as a controller answers when the
// device doesn't: FEH with the time-out bit. So Linux's keyboard reset, which
// polls the status for up to 65,536 times 2 µs while it reads "input buffer
// full" (as an absent controller's FFH does), resets immediately, and a
// driver that probes the ports concludes quickly that there is no device.
// Linux doesn't even probe if the FADT's IAPC_BOOT_ARCH says that there is no
// 8042 (ACPI 6.5, table 5.10, bit 1 clear), which it should: the reset works
// all the same.
//
// The A20 gate can be switched and read back, without effect: address line 20
// is always on.
//
// The VM's exit loop calls it through the device.Bus. It must never block.
package i8042
