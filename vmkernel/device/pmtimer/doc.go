// Package pmtimer is the ACPI power-management timer (ACPI 6.5, 4.8.3.3): a free-running 32-bit counter at 3.579545 MHz,
// derived from the virtual machine's monotonic time, without any state.
//
// It runs in the lower half on the fast exit path: no allocation, no runtime call, no vector register (a test proves it).
// The owner of the machine's ports calls it; it raises no interrupt itself.
package pmtimer
