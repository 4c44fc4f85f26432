// Package bad breaks each rule once, in a function named after the rule, so that the checker is seen to fail.
package bad

import "strconv"

type block [64]uint64

var sink *int

// Heap makes its local escape.
func Heap(n int) *int { x := n; return &x }

// Barrier stores a pointer into a global.
func Barrier(p *int) { sink = p }

// Float computes in a vector register.
func Float(a, b float64) float64 { return a * b }

// Clear becomes a call of the runtime's memclr.
func Clear(b []uint64) {
	for i := range b {
		b[i] = 0
	}
}

// Copy copies a large struct.
func Copy(to, from *block) { *to = *from }

// Equal compares large structs.
func Equal(a, b *block) bool { return *a == *b }

// Closure calls through a register.
func Closure(f func()) { f() }

// Outside calls another package.
func Outside(n int) string { return strconv.Itoa(n) }
