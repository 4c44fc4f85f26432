// A kernel that does nothing but show that a boot loader entered it.
package main

import "keel/boot"

// tail is a large variable of zeros, which the linker puts last.
var tail [1 << 20]byte

func main() {
	boot.Linked()
	tail[len(tail)/2]++
}
