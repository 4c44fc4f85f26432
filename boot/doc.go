// Package boot takes the processor from the boot loader's hands: 32-bit protected mode without
// paging, under PVH as under multiboot2, to 64-bit code of vmkernel/core with a stack and a g.
//
// Rule: nothing is decided here. What the loader left in registers is passed on untouched, and
// boot/handover reads it. Package boot is linked in by cmd/keel and entered by its ELF header.
package boot
