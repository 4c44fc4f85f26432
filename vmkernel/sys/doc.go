// Package sys is the one boundary between the two halves, seen from above: the calls that the
// upper half makes of the lower half, beside the Linux system calls of the Go runtime. A call is a
// SYSCALL with a number from First on, arguments and result as Linux has them.
//
// Rule: types of fixed layout without Go pointers, numbers, and thin functions; both halves import
// it, and nothing here executes a privileged instruction.
package sys
