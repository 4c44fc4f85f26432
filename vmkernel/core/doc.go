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
// Three functions of the package run in the upper half, in its threads and on their stacks: the vDSO's and their like for TamaGo
// (vdso_amd64.s), by which the runtime reads the clock without a system call. They read three words of the lower half's and
// write none.
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
// 640 without, 813 where Go's own threads come all the time. And it gives nanosleep 50 µs of slack: sleeps of 20 µs and more get 200, since those are
// the runtime's monitor, whose every look costs a guest 4,000 ticks and, after idle, comes fifty times.
//
// Which world runs where, and for how long, is package sched's to decide: core asks it (policy.go), does what it says, and
// keeps no queue of its own. Each VM is a group of the policy with bounded skew, pools are groups above those, and all threads
// of the Go runtime are in the system group.
//
// Priority inversion can't happen, by these four:
//   - A virtual processor is throttled, paused, or loses its processor only in guest mode or before an entry, where it holds
//     nothing: it has no lock of the lower half's, whose locks are held with interrupts off, and the thread that runs it is
//     blocked in vmrun and holds no P.
//   - A kill waits for no turn: who is to leave while its turn, a limit, a pause or HLT keeps it from running is handed back to
//     its thread without running (requestExit), and so is who loses its processor before it sees that (lostTurn).
//   - A thread may hold a lock of the Go runtime at any time, and others spin for those. So it is never kept from running: the
//     system group is paced beyond its limit, by when its threads are picked, and none of them is parked or paused. A thread
//     that works for a virtual processor, in its name, is one of the system group again as soon as anything is to be decided
//     (settle): the VM's limit and pause don't reach it, only the bill does.
//   - sched_yield always yields, since the runtime spins by it.
//
// Wake-ups aren't lost: a world's state, the policy's and what it waits for change under the scheduler's lock; who blocks looks
// under it at what it waits for; who wakes from another processor does so before it sends an interrupt, and the other clears
// the flag before it looks (look, mustLeaveBrief).
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
