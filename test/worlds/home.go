package main

import (
	"fmt"
	"math/bits"
	"time"

	"keel/vmkernel/sys"
)

// leastAtHome is the part of its time that a virtual processor runs next to its memory that could always do so; Keel's own threads
// go first there, and it runs elsewhere meanwhile.
const leastAtHome = 0.7

// checkHome has a guest with memory on the last NUMA node, one of whose virtual processors sleeps most of the time, run elsewhere
// since its affinity says so, and then anywhere: both are to come home and stay. Nobody else runs.
func checkHome(e *env) (string, error) {
	var nodes sys.Nodes
	if err := sys.GetNodes(&nodes); err != nil {
		return "", err
	}
	if nodes.N < 2 && e.only == "" {
		return "one NUMA node", nil
	}
	last := int(nodes.N) - 1
	home, elsewhere := nodes.Node[last].CPUs, nodes.Node[0].CPUs
	if last == 0 || bits.OnesCount64(home) < 2 || elsewhere == 0 {
		return "", fmt.Errorf("the machine has no two NUMA nodes with processors, two in the last: %#b and %#b", elsewhere, home)
	}
	g, err := pitGuest(last, sys.CPUPolicy{Shares: 1000, Affinity: elsewhere})
	if err != nil {
		return "", err
	}
	g.start()
	report, err := observeHome(g, home)
	if _, e := g.stop(); err == nil {
		err = e
	}
	return report, err
}

func observeHome(g *guest, home uint64) (string, error) {
	time.Sleep(warmUp)
	if looks, at := g.looks(home, warmUp); at[0] != 0 || at[1] != 0 {
		return "", fmt.Errorf("in %v of %d looks they weren't where their affinity is: %s", at, looks, g.states())
	}
	if err := g.set(func(p *sys.CPUPolicy) { p.Affinity = 0 }); err != nil {
		return "", err
	}
	time.Sleep(takesEffect)
	rounds := g.rounds()
	looks, at := g.looks(home, second)
	report := fmt.Sprintf("sleeping and busy: at home in %v of %d looks, interrupts=%d", at, looks, (g.rounds()-rounds)/2)
	for _, n := range at {
		if float64(n) < leastAtHome*float64(looks) {
			return report, fmt.Errorf("they weren't at home, though nobody else was: %s", g.states())
		}
	}
	return report, nil
}

// looks looks for some time at where each virtual processor runs, or ran last: how often, and how often it was on one of cpus.
func (g *guest) looks(cpus uint64, d time.Duration) (looks int, at []int) {
	at = make([]int, len(g.pages))
	for began := time.Now(); time.Since(began) < d; time.Sleep(5 * time.Millisecond) {
		looks++
		for i := range at {
			var s sys.WorldStats
			if sys.GetVCPUStats(g.handle, i, &s) == nil && cpus>>s.CPU&1 != 0 {
				at[i]++
			}
		}
	}
	return looks, at
}
