// Package boot holds the entry.
package boot

// Linked makes the linker keep this package.
func Linked()
