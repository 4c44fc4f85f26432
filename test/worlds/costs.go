package main

import (
	"errors"
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

// Bounds of what decisions and switches cost, which take a logarithm of the worlds' number: by how much a cost at 1,000
// worlds may exceed that at 10, and what it may be at any number, in ticks: a
// tenth more than in several runs, which differ.
const (
	flat         = 2.0
	mostDecision = 4200
	mostSwitch   = 6000
)

// In pools: how many are above each VM, the outermost of which has something reserved, and how many times as much as without they
// may cost: at each level tags, means, keys and dues are to be kept.
const (
	poolsAbove  = 3
	mostByPools = 3.0
)

// A cost is what the host's decisions and switches took, in ticks each.
type cost struct{ decision, change float64 }

// costOf has n virtual processors spin that all want to run, of VMs in a pool if there is one, and reports what that cost.
func costOf(e *env, n int, pool sys.Pool) (cost, string, error) {
	var list []func() (*guest, error)
	for left := n; left > 0; left -= sys.MaxVCPUs {
		list = append(list, of(spin, min(left, sys.MaxVCPUs), sys.CPUPolicy{Shares: 1000, Pool: pool}))
	}
	all, err := guests(list...)
	if err != nil {
		return cost{}, "", err
	}
	time.Sleep(warmUp)
	var before, after sys.Stats
	sys.GetStats(&before)
	s := observe(all, 200*time.Millisecond)
	sys.GetStats(&after)
	if err := stopAll(all); err != nil {
		return cost{}, "", err
	}
	decisions, switches := after.Decisions-before.Decisions, after.Switches-before.Switches
	if decisions == 0 || switches == 0 {
		return cost{}, "", fmt.Errorf("no decision with %d worlds", n)
	}
	c := cost{float64(after.DecisionTicks-before.DecisionTicks) / float64(decisions), float64(after.SwitchTicks-before.SwitchTicks) / float64(switches)}
	return c, fmt.Sprintf("worlds=%d decisions=%d ticks=%.0f switches=%d ticks=%.0f busy=%.1f%%", n, decisions, c.decision, switches, c.change,
		100*float64(s.total())/float64(s.wall)/float64(e.cpus)), nil
}

// checkCosts measures what a decision, and a switch from one world to the next with the decision in it, cost with 10, 100 and
// 1,000 virtual processors.
func checkCosts(e *env) (string, error) {
	report, _, err := costsIn(e, 0)
	return strings.Join(report, "; "), err
}

// costsIn measures them of VMs in a pool if there is one.
func costsIn(e *env, pool sys.Pool) (report []string, costs []cost, err error) {
	for _, n := range []int{10, 100, 1000} {
		c, line, err := costOf(e, n, pool)
		report, costs = append(report, line), append(costs, c)
		switch first := costs[0]; {
		case err != nil:
			return report, costs, err
		case pool == 0 && e.cpus == 1 && (c.decision > mostDecision || c.change > mostSwitch): // with several, waiting for the scheduler's lock is in them
			return report, costs, fmt.Errorf("with %d worlds a decision costs %.0f ticks, at most %d are allowed, and a switch %.0f, at most %d", n, c.decision, mostDecision, c.change, mostSwitch)
		case c.decision > flat*first.decision, c.change > flat*first.change:
			return report, costs, fmt.Errorf("costs aren't flat: with %d worlds more than %.1f times as much as with 10", n, flat)
		}
	}
	return report, costs, nil
}

// checkPoolCosts measures them of VMs in pools, beside those of VMs in none.
func checkPoolCosts(e *env) (string, error) {
	report, without, err := costsIn(e, 0)
	if err != nil {
		return strings.Join(report, "; "), err
	}
	pools := []sys.Pool{0}
	for i := range poolsAbove {
		p := sys.CPUPolicy{Shares: 1000, Pool: pools[i]}
		if i == 0 {
			p.Reservation = 100
		}
		pool, e := sys.PoolCreate(&p)
		if err = e; err != nil {
			break
		}
		pools = append(pools, pool)
	}
	if err == nil {
		var lines []string
		var within []cost
		lines, within, err = costsIn(e, pools[poolsAbove])
		report = append(append(report, fmt.Sprintf("in %d pools", poolsAbove)), lines...)
		for i, c := range within {
			if w := without[i]; err == nil && (c.decision > mostByPools*w.decision || c.change > mostByPools*w.change) {
				err = fmt.Errorf("in %d pools a decision costs %.0f ticks and a switch %.0f, in none %.0f and %.0f: more than %.1f times as much", poolsAbove, c.decision, c.change, w.decision, w.change, mostByPools)
			}
		}
	}
	for i := len(pools) - 1; i > 0; i-- {
		err = errors.Join(err, sys.PoolDestroy(pools[i]))
	}
	return strings.Join(report, "; "), err
}
