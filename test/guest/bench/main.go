package main

import (
	"runtime"
	"strconv"
	"syscall"
)

const rounds = 1000

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

func say(text string) { syscall.Write(1, []byte("GUESTBENCH "+text+"\n")) }

func report(name string, v uint64) { say(name + " " + strconv.FormatUint(v, 10)) }

func main() {
	runtime.LockOSThread() // iopl is a thread's own
	report("init_tsc", entered)
	cpuidLoop(1)
	report("cpuid", cpuidLoop(rounds)/rounds)
	report("empty_loop", emptyLoop(rounds)/rounds)
	if _, _, errno := syscall.RawSyscall(syscall.SYS_IOPL, 3, 0, 0); errno != 0 {
		say("FAIL iopl: " + errno.Error())
	} else {
		inLoop(1, uartLSR)
		report("uart_lsr_in", inLoop(rounds, uartLSR)/rounds)
		report("out_0x80", outLoop(rounds, postPort)/rounds)
	}
	t := rdtsc()
	for range 20 {
		syscall.Nanosleep(&syscall.Timespec{Nsec: 1e6}, nil)
	}
	report("nanosleep1ms_total20", rdtsc()-t)
	say("done")
	end()
}

// end waits until the serial port has sent all of it and switches the machine off.
func end() {
	const tcsbrk = 0x5409
	syscall.Syscall(syscall.SYS_IOCTL, 1, tcsbrk, 1)
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}
