package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are what the kernel's command line asks for.
type options struct {
	quick bool
	only  []string // nil: all
	end   string
	wait  time.Duration // how long a check that takes as long as it is told does
}

// A check looks at one promise of the machine and returns what it measured.
type check struct {
	name string
	run  func(options) (string, error)
}

// yield is no check that all guests are to make: it runs where it is asked for by name.
var yield = check{"yield", checkYield}

// checks are in the order in which they run: memory last, since it takes nearly all there is.
var checks = []check{
	{"clock", checkClock},
	{"timers", checkTimers},
	{"fpu", checkFPU},
	{"ipi", checkIPIs},
	{"tlb", checkShootdowns},
	{"interrupts", checkInterrupts},
	{"balloon", checkBalloon},
	{"memory", checkMemory},
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == fpuArg {
		fpuChild(os.Args[2:])
		return
	}
	for _, m := range []struct{ fs, dir string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}} {
		if err := syscall.Mount(m.fs, m.dir, m.fs, 0, ""); err != nil && err != syscall.EBUSY {
			fmt.Printf("WORKLOAD FAIL mount: %s: %v\n", m.dir, err)
		}
	}
	o := commandLine()
	fmt.Printf("WORKLOAD cpus=%d mem=%dMiB\n", cpus(), memInfo("MemTotal:")>>10)
	if failed := runChecks(o); !failed {
		fmt.Println("WORKLOAD PASS")
	}
	end(o.end)
}

func runChecks(o options) (failed bool) {
	for _, c := range append(checks, yield) {
		if o.only == nil && c.name == yield.name || o.only != nil && !slices.Contains(o.only, c.name) {
			continue
		}
		start := time.Now()
		found, err := c.run(o)
		if err != nil {
			fmt.Printf("WORKLOAD FAIL %s: %v\n", c.name, err)
			failed = true
			continue
		}
		fmt.Printf("WORKLOAD %s ok %s (%d ms)\n", c.name, found, time.Since(start).Milliseconds())
	}
	return failed
}

func commandLine() options {
	o := options{end: "poweroff", wait: 30 * time.Second}
	text, _ := os.ReadFile("/proc/cmdline") // without it: the defaults
	for _, word := range strings.Fields(string(text)) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "workload.quick":
			o.quick = true
		case "workload.only":
			o.only = strings.Split(value, ",")
		case "workload.wait":
			if d, err := time.ParseDuration(value); err == nil {
				o.wait = d
			}
		case "workload.end":
			o.end = value
		}
	}
	return o
}

// end ends the guest, after the serial port has sent everything.
func end(how string) {
	const tcsbrk = 0x5409
	syscall.Syscall(syscall.SYS_IOCTL, os.Stdout.Fd(), tcsbrk, 1)
	switch how {
	case "reboot":
		syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART)
	case "halt":
		syscall.Reboot(syscall.LINUX_REBOOT_CMD_HALT)
	case "echo":
		echo()
	case "spin":
		//lint:ignore SA5002 a guest that spins is what is wanted
		for {
		}
	case "panic":
		os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0)
	}
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

// echo says back each line that is typed on the console, until one is `off`.
func echo() {
	fmt.Println("WORKLOAD echo")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		text := strings.TrimSpace(lines.Text())
		if text == "off" {
			return
		}
		fmt.Println("you typed " + text)
	}
}

// cpus returns how many processors are online.
func cpus() int { return runtime.NumCPU() }

// memInfo returns a value of /proc/meminfo, in KiB.
func memInfo(key string) (kib uint64) {
	text, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, key); found {
			fmt.Sscan(rest, &kib)
		}
	}
	return kib
}

// onEach runs f once for each of n, at the same time, each on a thread of its own that is bound to
// processor cpu(i), and joins their errors.
func onEach(n int, cpu func(i int) int, f func(i int) error) error {
	errs := make(chan error, n)
	for i := range n {
		go func() {
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			err := bind(cpu(i))
			if err == nil {
				err = f(i)
			}
			errs <- err
		}()
	}
	var all []error
	for range n {
		if err := <-errs; err != nil && len(all) < 4 {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}
