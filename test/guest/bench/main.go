package main

import (
	"runtime"
	"slices"
	"strconv"
	"syscall"
)

// Each is measured in batches of rounds, and the median batch counts: other threads of the guest,
// which has one processor, run in some of them.
const (
	rounds  = 100
	batches = 21
)

// settle is how long a loop runs before it is measured, in ticks. The monitor of this program's own
// runtime wakes up all the time for some milliseconds after the program did nothing.
const settle = 2_000_000

// median measures loop and returns the ticks of a round.
func median(loop func(n uint64) uint64) uint64 {
	for t := rdtsc(); rdtsc()-t < settle; {
		loop(rounds)
	}
	ticks := make([]uint64, batches)
	for i := range ticks {
		ticks[i] = loop(rounds) / rounds
	}
	slices.Sort(ticks)
	return ticks[batches/2]
}

// entered is the time-stamp counter at the program's first instruction.
var entered uint64

// entry is where the kernel enters the program (the linker's -E): it notes the time-stamp counter
// and goes on to the Go runtime.
func entry()

func rdtsc() uint64

// Each does its instruction n times and returns the ticks that took.
func cpuidLoop(n uint64) uint64
func inLoop(n uint64, port uint16) uint64
func outLoop(n uint64, port uint16) uint64
func emptyLoop(n uint64) uint64

// Ports of the measurements.
const (
	uartLSR  = 0x3FD
	postPort = 0x80
)

// say prints a line, and waits until the serial port has sent it: it would be busy during the next
// measurement.
func say(text string) {
	syscall.Write(1, []byte("GUESTBENCH "+text+"\n"))
	drain()
}

func drain() {
	const tcsbrk = 0x5409
	syscall.Syscall(syscall.SYS_IOCTL, 1, tcsbrk, 1)
}

func report(name string, v uint64) { say(name + " " + strconv.FormatUint(v, 10)) }

func main() {
	runtime.LockOSThread() // iopl is a thread's own
	report("init_tsc", entered)
	report("cpuid", median(cpuidLoop))
	report("empty_loop", median(emptyLoop))
	if _, _, errno := syscall.RawSyscall(syscall.SYS_IOPL, 3, 0, 0); errno != 0 {
		say("FAIL iopl: " + errno.Error())
	} else {
		report("uart_lsr_in", median(func(n uint64) uint64 { return inLoop(n, uartLSR) }))
		// As the program does that defines the bar: the mean from the first on, with a line on its way.
		syscall.Write(1, []byte("GUESTBENCH is about to read the status of a port that sends\n"))
		ticks := inLoop(1000, uartLSR) / 1000
		drain()
		report("uart_lsr_in_sending", ticks)
		report("out_0x80", median(func(n uint64) uint64 { return outLoop(n, postPort) }))
	}
	t := rdtsc()
	for range 20 {
		syscall.Nanosleep(&syscall.Timespec{Nsec: 1e6}, nil)
	}
	report("nanosleep1ms_total20", rdtsc()-t)
	say("done")
	end()
}

// end switches the machine off.
func end() {
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}
