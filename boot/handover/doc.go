// Package handover is what Keel knows at its first instruction: the memory map, the modules, the
// command line, the screen and where ACPI's tables begin, whichever boot protocol brought them.
//
// Rule: one fixed-size structure without pointers, filled once by FromPVH or FromMultiboot2. The
// loader's structures are read with bounds checks and bounded loops; what is malformed is a
// constant line that says what, and nothing is allocated, since the Go runtime isn't up yet.
// boot calls it, on the first processor, interrupts off; later the structure is only read. It
// must never write memory that is not its own, or keep an address of the loader's structures for
// a later read: all that is needed of them is copied.
package handover
