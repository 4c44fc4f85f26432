// Package hostile makes kernels of our own: bare-metal guests without Linux that do what no guest
// should, and two that only say hello to show that each way of booting works.
//
// A kernel starts in 64-bit mode with all of the first 4 GiB mapped, prints to COM1, and runs one
// routine for each letter that its command line gives after the first `=`, such as `run=mprvx`:
// first what is to be survived, last how it ends. The routines are in *_amd64.s, Letters lists them.
// For each it prints `hostile m faults=00000010 irqs=00000000`, the exceptions and interrupts that
// the routine took.
//
// Conventions of the routines: position-independent and ended by END; R13 is the address of the
// variables, R14 that of the table of routines. An exception is fatal to the kernel (it says so and
// exits with 256 + vector) unless R15 is not 0: then the instruction is skipped, which is R15 bytes long.
//
// The rule that it keeps: nothing here depends on Keel; the kernels run on any x86-64 machine that
// boots multiboot or PVH. Only tests call it.
package hostile
