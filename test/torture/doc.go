// Torture is a program that uses the Go runtime hard: processors, collector, growing stacks,
// pre-emption, faults that become panics, timers, locks, cryptography, and memory up to its limit,
// with interrupts at a high rate throughout. It runs on the bare machine on top of vmkernel/core,
// and unchanged on Linux as its own reference, where it reports what Linux does.
//
// Rule: every check says what it measured, fails when the thing is broken, and needs nothing but
// the standard library and vmkernel/sys; arch/amd64 only to make a real device interrupt.
//
// Words on the kernel's command line, on Linux arguments, choose what it does:
//
//	torture=NAME   run that check, or end: oom, throw, panic, restart (default: all checks)
//	scale=N        sizes, 1 (default) to 100
//	speedup=N      percent that the work must speed up by on all processors, 100 is none (default 0)
//	late=N         milliseconds that a timer may be late at the median (default 0: reported only)
//	rtc=N          hertz of the device interrupt, a power of 2 from 2 to 8192, 0 for none
//
// A line "torture| PASS name numbers" or "torture| FAIL name: why" ends each check, and
// "torture| N passed, M failed" all of them; then the machine is switched off.
package main
