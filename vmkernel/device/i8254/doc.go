// Package i8254 is the 8254 programmable interval timer and the PC's port 0x61 (Intel 231164, "82C54 CHMOS Programmable
// Interval Timer"): three counters at 1.193182 MHz in all six modes, binary and BCD, with latch and read-back commands.
//
// Nothing ticks. A counter's value and its output are computed from the time that has passed since it was loaded, so an
// idle counter costs nothing and a guest that programs the fastest rate costs the owner one event at a time: Advance
// coalesces the rising edges of counter 0 that were missed since the last call into one answer.
//
// It runs in the lower half on the fast exit path: no allocation, no runtime call, no vector register (a test proves it).
// The owner serialises all calls on one PIT, and passes it the virtual machine's monotonic time in nanoseconds. Time that
// runs backwards is taken as standing still.
package i8254
