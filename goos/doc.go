// Package goos is what TamaGo's runtime asks of the machine that it runs on (GOOS=tamago, GOOSPKG=keel): the same lower
// half, and mostly the same Linux system calls, that the stock runtime uses.
//
// The rule that it keeps: it only passes on. Memory, threads, time and signals are the lower half's; nothing here has
// state that the lower half hasn't. It may import only what the runtime itself may. The runtime calls it, partly before
// there is a goroutine: what is called then is assembly.
//
// With a toolchain other than TamaGo nothing of it is built.
package goos
