// Worlds is a program that tests on the bare machine what package sched promises: shares, reservations and limits, that Keel's own
// threads are paced and never stopped, and that pauses, kills and changes take effect at once. It makes virtual machines of a few
// instructions each with the calls of vmkernel/sys, and judges by what those counted and by the host's clock.
//
// Rule: every check says what it measured, and fails when the thing is broken. It is for Bochs, where time is the machine's own:
// on another emulator it reports what it measured, and what is out of bounds is noise as likely as not.
//
// Words on the kernel's command line choose what it does:
//
//	worlds=NAME,… run these checks (default: all)
//	events=N      what the churn does, in events (default 100,000)
//	reported      what shares were worth is no failure
//
// A line "worlds| PASS name numbers" or "worlds| FAIL name: why" ends each check, and "worlds| N passed, M failed" all of them;
// then the machine is switched off.
package main
