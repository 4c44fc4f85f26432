// Lifecycle is a program that does to VMs on the bare machine what an administrator does through the management endpoint,
// without one: it types to a guest, pastes, pauses, resets, sends an NMI, uploads images and boots from them, and starts
// and kills until a leak would show.
//
// Rule: every check says what it measured and fails when the thing is broken. The guest is the first VM of the seed, whose
// first serial port leads to a shell that says "shell ready" (test/guest).
//
// A line "lifecycle| PASS name numbers" or "lifecycle| FAIL name: why" ends each check, and "lifecycle| N passed, M failed"
// all of them; then the machine is switched off. The word lifecycle=NAME,NAME on the kernel's command line
// chooses among the checks.
package main
