// Bench is a Linux guest's /init that measures, in ticks of the time-stamp counter, what the
// design's bars define, the loop included, and prints one line for each:
//
//	GUESTBENCH cpuid 312
//
// It switches the machine off at the end. The rule that it keeps: nothing but the measured
// instruction and its loop is between two readings of the counter.
package main
