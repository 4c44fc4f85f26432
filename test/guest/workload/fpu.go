package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

// fpuArg as the first argument makes this program a process that only holds registers.
const fpuArg = "fpu"

// holdSSE and holdAVX fill all vector registers with values that follow from seed, MXCSR's rounding
// mode and the x87 stack likewise, call sched_yield yields times, count spins down, and return how
// many registers then differ. holdAVX uses all 256 bits.
func holdSSE(seed, yields, spins uint64) (bad uint64)
func holdAVX(seed, yields, spins uint64) (bad uint64)

// hasAVX reports whether the processor and the system let programs use AVX (CPUID, XCR0).
func hasAVX() bool

func rdtsc() uint64

type fpuLoad struct{ yields, spins uint64 }

func fpuLoadOf(quick bool) fpuLoad {
	if quick {
		return fpuLoad{300, 4_000_000}
	}
	return fpuLoad{5_000, 60_000_000}
}

func hold(seed uint64, l fpuLoad) error {
	bad := holdSSE(seed, l.yields, l.spins)
	if hasAVX() {
		bad += holdAVX(^seed, l.yields, l.spins)
	}
	if bad != 0 {
		return fmt.Errorf("%d registers of the holder with seed %d had other values", bad, seed)
	}
	return nil
}

// checkFPU lets several threads and several processes on each processor hold different values in
// their registers, while they are switched by system calls and by the timer.
func checkFPU(o options) (string, error) {
	l := fpuLoadOf(o.quick)
	const perCPU = 2
	n := perCPU * cpus()
	quick := "long"
	if o.quick {
		quick = "quick"
	}
	var pids []int
	for i := range n {
		// They share processors with the threads below.
		args := []string{os.Args[0], fpuArg, quick, strconv.Itoa(i % cpus()), strconv.Itoa(1000 + i)}
		pid, err := syscall.ForkExec("/proc/self/exe", args, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
		if err != nil {
			return "", fmt.Errorf("fork: %w", err)
		}
		pids = append(pids, pid)
	}
	err := onEach(n, func(i int) int { return i % cpus() }, func(i int) error { return hold(uint64(i+1), l) })
	for _, pid := range pids {
		var status syscall.WaitStatus
		for {
			if _, e := syscall.Wait4(pid, &status, 0, nil); e != syscall.EINTR {
				break
			}
		}
		if status != 0 {
			err = errors.Join(err, fmt.Errorf("process %d ended with status %#x", pid, uint32(status)))
		}
	}
	return fmt.Sprintf("holders=%d avx=%t", 2*n, hasAVX()), err
}

// fpuChild is a holder in a process of its own: quick, processor, seed.
func fpuChild(args []string) {
	runtime.LockOSThread()
	cpu, err1 := strconv.Atoi(args[1])
	seed, err2 := strconv.Atoi(args[2])
	err := errors.Join(err1, err2)
	if err == nil {
		err = errors.Join(bind(cpu), hold(uint64(seed), fpuLoadOf(args[0] == "quick")))
	}
	if err != nil {
		fmt.Println("WORKLOAD fpu process:", err)
		os.Exit(1)
	}
}
