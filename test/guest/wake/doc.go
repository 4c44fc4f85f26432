// Package wake is a kernel of our own that measures how late a halted processor wakes: it sets the local APIC's timer by a
// time-stamp (TSC-deadline mode, SDM 3A 11.5.4.1), halts, and notes in the interrupt's handler how much later it is.
//
// It runs on any virtual machine monitor that loads a multiboot kernel of version 1 and offers an x2APIC: on Keel, and on
// tools/peer for comparison. It prints its Rounds latencies, in ticks and as 8 hexadecimal digits a line, on COM1, and ends
// by a write to port EndPort.
package wake

// What the code is made with; a test compares.
const (
	Rounds  = 1024
	Delta   = 160_000 // ticks from setting the timer to its deadline
	EndPort = 0xF4
	vector  = 0x40
)
