// Package ioapic is the IOAPIC of a virtual machine (Intel 82093AA, with the EOI register of version 20H): 24 pins, each with
// a redirection entry that turns a wire into interrupt messages for the local APICs.
//
// A pin's wire is whether any device asserts it; the owner combines those that share one. The polarity bit says at which
// voltage that is, and a virtual wire has none: the bit is kept for software to read, and changes nothing.
//
// Masked or not, the wire of a level-triggered pin is remembered; an edge on a masked pin is lost (data sheet 3.2.4).
//
// It runs in the lower half on the fast exit path: no allocation, no runtime call, no vector register (a test proves it).
// The owner serialises all calls on one IOAPIC, sends the messages that SetLine and Service return to the local APICs that
// they match, and tells EOI of the end of level-triggered interrupts.
package ioapic
