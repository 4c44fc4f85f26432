package main

import (
	"fmt"
	"time"

	"keel/vmkernel/sys"
)

// pitGuest has memory of a NUMA node and two virtual processors: 0 sleeps until the PIT's next interrupt, 1 sets it again and again.
func pitGuest(node int, p sys.CPUPolicy) (*guest, error) {
	g, err := newGuestOn(node, hearPIT, 2, p)
	if err == nil {
		copy(g.code(0)[handlerAt:], countPIT)
		copy(g.code(1), setPIT)
	}
	return g, err
}

// checkPIT has one virtual processor set the PIT again and again, whose interrupts another one waits for: none is lost, whenever that
// one goes to sleep.
func checkPIT(e *env) (string, error) {
	g, err := pitGuest(0, sys.CPUPolicy{Shares: 1000})
	if err != nil {
		return "", err
	}
	g.start()
	time.Sleep(warmUp)
	first := g.rounds()
	for began, last := time.Now(), first; err == nil && time.Since(began) < second; {
		time.Sleep(warmUp)
		now := g.rounds()
		if now == last {
			err = fmt.Errorf("no interrupt came within %v: %s", warmUp, g.states())
		}
		last = now
	}
	report := fmt.Sprintf("interrupts=%d", (g.rounds()-first)/2)
	if _, e := g.stop(); err == nil {
		err = e
	}
	return report, err
}
