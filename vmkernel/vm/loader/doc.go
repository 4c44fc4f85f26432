// Package loader puts a kernel into a guest's memory and says in which state
// its first processor starts.
//
// It recognises, in this order, a Linux bzImage (by "HdrS"), an ELF file with
// a PVH note, and a multiboot version 1 header. Each has a file here; what
// they share is the memory map (memmap.go), the search for free memory
// (space.go) and the processor states (entry.go). The program that creates or
// restarts a VM calls Load, with the RSDP that package acpitable wrote.
//
// The rule that it keeps: whatever the image says, bytes go only to RAM that
// the memory map calls usable, and no two things are put in one place. Both
// hold because every byte that is written was first claimed from one space.
//
// Images come from outside. Nothing in them may make Load panic, loop without
// a bound, or allocate in proportion to a number in the file. Load never
// decompresses and never patches a kernel.
package loader
