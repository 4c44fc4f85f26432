package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	_ "keel/boot"
	_ "keel/vmkernel/core"
	"keel/vmkernel/sys"
)

// env is what the checks run on and with.
type env struct {
	metal   bool // on vmkernel/core
	info    sys.Info
	cpus    int
	scale   int
	only    string // the one check to run, or how to end
	speedup int    // percent
	late    int    // ms
	rtc     int    // Hz
}

// A check returns what it measured.
type check struct {
	name string
	run  func(*env) (string, error)
}

var checks = []check{
	{"speedup", checkSpeedup},
	{"clock", checkClock},
	{"timers", checkTimers},
	{"contention", checkContention},
	{"threads", checkThreads},
	{"panics", checkPanics},
	{"protection", checkProtection},
	{"pointers", checkPointers},
	{"variables", checkVariables},
	{"preemption", checkPreemption},
	{"registers", checkRegisters},
	{"stacks", checkStacks},
	{"tls", checkTLS},
	{"collector", checkCollector},
	{"memory", checkMemory},
	{"costs", checkCosts},
}

// ends are ways for the program to die, each on purpose.
var ends = map[string]func(*env){
	"oom":     endOutOfMemory,
	"throw":   endThrow,
	"panic":   func(*env) { panic("on purpose") },
	"restart": func(*env) { sys.SetPolicy(true); endThrow(nil) },
}

func main() {
	e := newEnv()
	say("start metal=%v cpus=%d memory=%dMiB scale=%d go=%s", e.metal, e.cpus, e.info.Memory>>20, e.scale, runtime.Version())
	if end, ok := ends[e.only]; ok {
		end(e)
		say("FAIL %s: still alive", e.only)
		e.leave(1)
	}
	load := startLoad(e)
	passed, failed := 0, 0
	var before runtime.MemStats
	for _, c := range checks {
		if e.only != "" && e.only != c.name {
			continue
		}
		runtime.ReadMemStats(&before)
		start := time.Now()
		report, err := c.run(e)
		took := time.Since(start).Round(time.Millisecond)
		report += pauses(&before)
		if err != nil {
			failed++
			say("FAIL %s: %v (%v)", c.name, err, took)
			continue
		}
		passed++
		say("PASS %s %s (%v)", c.name, report, took)
	}
	if report, err := load.stop(); err != nil {
		failed++
		say("FAIL interrupts: %v", err)
	} else {
		passed++
		say("PASS interrupts %s", report)
	}
	say("%d passed, %d failed", passed, failed)
	e.leave(min(failed, 1))
}

func newEnv() *env {
	e := &env{scale: 1, rtc: 1024}
	words := os.Args[1:]
	if err := sys.GetInfo(&e.info); err == nil {
		e.metal = true
		line, _, _ := bytes.Cut(e.info.CommandLine[:], []byte{0})
		words = strings.Fields(string(line))
	}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		n, err := strconv.Atoi(value)
		switch {
		case key == "torture":
			e.only = value
		case err != nil:
		case key == "scale":
			e.scale = min(max(n, 1), 100)
		case key == "speedup":
			e.speedup = n
		case key == "late":
			e.late = n
		case key == "rtc":
			e.rtc = n
		}
	}
	e.cpus = runtime.GOMAXPROCS(0)
	if e.metal && e.cpus != int(e.info.CPUs) {
		say("WARN the runtime sees %d processors of %d", e.cpus, e.info.CPUs)
	}
	debug.SetPanicOnFault(false)
	return e
}

func say(format string, args ...any) {
	fmt.Printf("torture| "+format+"\n", args...)
}

// leave ends the program: the machine's power, or the process.
func (e *env) leave(code int) {
	if e.metal {
		sys.PowerOff()
	}
	os.Exit(code)
}
