// A kernel that does nothing but show that a boot loader entered it.
package main

import "keel/boot"

func main() { boot.Linked() }
