package main

import (
	"fmt"
	"strings"
	"time"

	"keel/arch/amd64/virt"
	"keel/vmkernel/sys"
)

const (
	exitCPUID = virt.KindCPUID
	exitIO    = virt.KindIO
	exitHLT   = virt.KindHLT
)

func us(ns uint64) time.Duration { return time.Duration(ns).Round(time.Microsecond) }

// some are a virtual processor's exits by kind, those that there were.
func some(s *sys.WorldStats) string {
	var list []string
	for k, n := range s.Exits {
		if n != 0 {
			list = append(list, fmt.Sprintf("%d:%d", k, n))
		}
	}
	return strings.Join(list, ",")
}

// flat is by how much a cost at 1,000 worlds may exceed that at 10: decisions take a logarithm of their number.
const flat = 2.0

// checkCosts measures what a decision and a switch from one world to the next cost with 10, 100 and 1,000 virtual processors that
// all want to run.
func checkCosts(e *env) (string, error) {
	var report []string
	var first, last float64
	for _, n := range []int{10, 100, 1000} {
		var list []func() (*guest, error)
		for left := n; left > 0; left -= sys.MaxVCPUs {
			list = append(list, of(spin, min(left, sys.MaxVCPUs), sys.CPUPolicy{Shares: 1000}))
		}
		all, err := guests(list...)
		if err != nil {
			return strings.Join(report, "; "), err
		}
		time.Sleep(warmUp)
		var before, after sys.Stats
		sys.GetStats(&before)
		s := observe(all, 200*time.Millisecond)
		sys.GetStats(&after)
		if err := stopAll(all); err != nil {
			return strings.Join(report, "; "), err
		}
		decisions, switches := after.Decisions-before.Decisions, after.Switches-before.Switches
		if decisions == 0 || switches == 0 {
			return strings.Join(report, "; "), fmt.Errorf("no decision with %d worlds", n)
		}
		each := float64(after.DecisionTicks-before.DecisionTicks) / float64(decisions)
		report = append(report, fmt.Sprintf("worlds=%d decisions=%d ticks=%.0f switches=%d ticks=%.0f busy=%.1f%%", n, decisions, each, switches,
			float64(after.SwitchTicks-before.SwitchTicks)/float64(switches), 100*float64(s.total())/float64(s.wall)/float64(e.cpus)))
		if first == 0 {
			first = each
		}
		last = each
	}
	if last > flat*first {
		return strings.Join(report, "; "), fmt.Errorf("a decision costs %.0f ticks with 1,000 worlds, and %.0f with 10", last, first)
	}
	return strings.Join(report, "; "), nil
}
