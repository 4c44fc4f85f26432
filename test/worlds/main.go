package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	_ "keel/boot"
	_ "keel/vmkernel/core"
	"keel/vmkernel/sys"
)

// env is what the checks run on and with.
type env struct {
	info   sys.Info
	cpus   int
	only   string
	events int
	report bool // shares are reported only: time is another host's
}

// A check returns what it measured.
type check struct {
	name string
	run  func(*env) (string, error)
}

var checks = []check{
	{"tickless", checkTickless}, // before the runtime has the thousand threads that costs leaves
	{"shares", checkShares},
	{"limit", checkLimit},
	{"poollimit", checkPoolLimit},
	{"affinity", checkAffinity},
	{"exclusive", checkExclusive},
	{"home", checkHome},
	{"reservation", checkReservation},
	{"flood", checkFlood},
	{"interruptsoff", checkInterruptsOff},
	{"pit", checkPIT},
	{"control", checkControl},
	{"destroy", checkDestroy},
	{"refusals", checkRefusals},
	{"counters", checkCounters},
	{"skew", checkSkew},
	{"pause", checkPause},
	{"costs", checkCosts},
	{"poolcosts", checkPoolCosts},
	{"churn", checkChurn},
}

func main() {
	e := &env{events: 100_000}
	if err := sys.GetInfo(&e.info); err != nil {
		say("FAIL: this is for the bare machine: %v", err)
		os.Exit(1)
	}
	e.cpus = int(e.info.CPUs)
	line, _, _ := bytes.Cut(e.info.CommandLine[:], []byte{0})
	for _, w := range strings.Fields(string(line)) {
		key, value, _ := strings.Cut(w, "=")
		n, err := strconv.Atoi(value)
		switch {
		case key == "worlds":
			e.only = value
		case key == "events" && err == nil:
			e.events = n
		case w == "reported":
			e.report = true
		}
	}
	say("start cpus=%d memory=%dMiB tsc=%d go=%s", e.cpus, e.info.Memory>>20, e.info.TSCHz, runtime.Version())
	passed, failed := 0, 0
	for _, c := range checks {
		if e.only != "" && !slices.Contains(strings.Split(e.only, ","), c.name) {
			continue
		}
		start := time.Now()
		report, err := c.run(e)
		took := time.Since(start).Round(time.Millisecond)
		if err != nil {
			failed++
			say("FAIL %s: %v (%s) (%v)", c.name, err, report, took)
			continue
		}
		passed++
		say("PASS %s %s (%v)", c.name, report, took)
	}
	var s sys.Stats
	if sys.GetStats(&s) == nil && s.Decisions != 0 {
		say("decisions=%d ticks=%d switches=%d interrupts=%d ipis=%d", s.Decisions, s.DecisionTicks/s.Decisions, s.Switches, s.Interrupts, s.IPIs)
	}
	say("%d passed, %d failed", passed, failed)
	sys.PowerOff()
}

func say(format string, args ...any) { fmt.Printf("worlds| "+format+"\n", args...) }
