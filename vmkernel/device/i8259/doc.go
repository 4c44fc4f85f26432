// Package i8259 is the PC's pair of 8259A interrupt controllers (Intel 231468) with the edge/level control registers of its
// chipsets: initialisation, priorities and their rotation, the special modes, polling, automatic end of interrupt.
//
// A wire is a level: SetLine says whether any device asserts it (the owner combines those that share one). An edge-triggered
// input remembers its edge until it is acknowledged even if the wire falls again, as the chipsets' controllers do; a
// level-triggered one requests for as long as the wire is asserted. A controller requests nothing until its initialisation
// words have been written.
//
// It runs in the lower half on the fast exit path: no allocation, no runtime call, no vector register (a test proves it).
// The owner serialises all calls on one Pair, offers Output to the processors' LINT0 and to the IOAPIC's pin 0, and calls
// Ack when a processor takes the interrupt.
package i8259
