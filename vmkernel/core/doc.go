// Package core is the lower half: the microkernel in ring 0 beneath the Go runtime. It owns page
// frames, address space, interrupts, time, the processors and the worlds that run on them (threads
// of the Go runtime and virtual processors); it answers the runtime's Linux system calls and the
// upper half's own calls (package vmkernel/sys).
//
// Rules. It runs with interrupts off, on one stack a processor with a g of its own, from an entry
// (system call, interrupt, VM exit) until a world is resumed; so it is never pre-empted and never
// nested. It allocates nothing, stores no Go pointer outside a stack (an object is named by its
// address as a uintptr or by an index), doesn't block, and calls nothing of the runtime but what
// the compiler needs for arithmetic and moves. tools/lowercheck proves that from the built image.
// A panic here, having no goroutine to happen in, faults on the nil m of that g and is reported as
// a fatal fault.
//
// Linux's numbers, flags and errors are those of package linux, and the few structures, of a few words
// each, that the runtime passes are constants of our own. The design names
// gvisor.dev/gvisor/pkg/abi/linux for them. That has no system call numbers (gVisor takes them from
// golang.org/x/sys/unix), and its package initialisers can't be linked without its packages state, log,
// context and sync: with two of its types in use the image grows from 1,344,526 to 1,447,038 bytes
// under zstd -19, and what runs in ring 0 by 316 functions and 56,000 lines that do nothing for Keel.
//
// Two figures of the design are others here, both measured in Bochs. It has vmrun bracketed by
// entersyscall while a guest's exits are frequent: above 40,000 a second there is no bracket and no
// world switch at all (brief.go), for a status read by a device model took 1,092 ticks with them and takes
// 567 without. And it gives nanosleep 50 µs of slack: sleeps of 20 µs and more get 200, since those are
// the runtime's monitor, whose every look costs a guest 4,000 ticks and, after idle, comes fifty times.
//
// A page frame has one owner: the lower half, the upper half, a virtual machine's memory, or what such a
// machine costs beyond; it is given back in its owner's name only. A machine's memory is drawn from what was
// set aside for it, so that a promise is kept whoever else allocates, and comes in pages of 2 MiB where it can
// (1 GiB where all of it is reserved), from its NUMA node while there is any. Free frames are zeroed while a
// processor is idle, one frame between two looks at interrupts.
//
// Locks are spin locks, taken in this order: vm, sched, space, frames, console. No lock is held
// while waiting for another processor's answer to an interprocessor interrupt.
package core
