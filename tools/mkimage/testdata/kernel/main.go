// A kernel that does nothing but show that a boot loader entered it.
package main

import (
	"keel/boot"
	"keel/vmkernel/auth/builtin"
)

// tail is a large variable of zeros, which the linker puts last.
var tail [1 << 20]byte

func main() {
	boot.Linked()
	tail[len(tail)/2] += builtin.Read()[0]
}
