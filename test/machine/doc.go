// Package machine runs an image in an emulator and lets a test, a benchmark or
// `make run` follow its first serial port.
//
// There are two machines, [QEMU] (AMD-V, or the host's own processor where KVM
// works) and [Bochs] (VT-x; without a network every run of a medium is the same). [Start] starts either as a
// [Process]; tests call [Boot], which also ends the machine with the test and
// prints the tail of its serial log when the test fails.
//
// The rules that it keeps: every machine has a time limit and ends with it;
// only processes that it started are ended, by their id; nothing listens on
// any network address but loopback. It runs on Linux.
package machine
