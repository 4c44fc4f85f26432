// Package goos is what TamaGo's runtime asks of the machine that it runs on (GOOS=tamago, GOOSPKG=keel): the same lower
// half, and the same Linux system calls, that the stock runtime uses.
//
// The rule that it keeps: it only passes on. Memory, threads, time and signals are the lower half's; nothing here has
// state that the lower half hasn't, but a flag. It may import only what the runtime itself may. The runtime calls it, partly before
// there is a goroutine: what is called then is assembly.
//
// TamaGo's runtime is made for machines with nothing below it. So it has no threads beyond the processors, which wait for each
// other by spinning, no monitor that would take a P from a thread that is long in a call or at work, no pre-emption of loops, one
// clock for timers and the time of day, and gives no memory back. With worlds below it none of that need be. Where a hook is for
// that, it isn't enough: a thread that spins in the runtime's semaphore takes the time of guests, and while the lower half found
// such threads by interrupts, the hostile guests of test/e2e took 13 minutes under QEMU where they take two and a half now.
// So a few functions of the runtime are replaced by those in goos/runtime, which call what is here: builds are given them by the
// go command's flag -overlay (tools/kernel/toolchain), and TamaGo's own files stay as they are.
//
// With a toolchain other than TamaGo nothing of it is built.
package goos
