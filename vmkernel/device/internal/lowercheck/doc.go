// Package lowercheck proves, from what the compiler emits, that a package may run in the lower half on the fast exit path:
// nothing of it escapes to the heap, it calls nothing of the Go runtime but the fatal panics and the stack check, it calls
// through no interface or closure, and it touches no vector register but X14 and X15 in the moves that zero or copy small
// values.
//
// It is called by tests, once in each such package, and never imported by other code.
package lowercheck
