package main

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"keel/arch/amd64/virt"
	"keel/vmkernel/sched"
	"keel/vmkernel/sys"
)

const (
	// skewLate is by how much later than its deadline a virtual processor stops that is too far ahead: a decision is no sooner after
	// another than sched's soonest, 0.1 ms at most, and may be behind others of its processor and of the host's own threads, see sched's
	// skew.go.
	skewLate = time.Millisecond

	// Looking has virtual processors change places, and so bring each other's arrears in: there are times without, after which it is
	// looked often for a while.
	skewRests = 20
	skewRest  = 20 * time.Millisecond
	skewLooks = 20
	skewLook  = 500 * time.Microsecond
)

// checkSkew has guests with more virtual processors than they have processors, beside others that saturate some of those: how far a
// virtual processor's time is ahead of a sibling's stays within the bound that package sched states. Without that bound, those that
// go on while a limit keeps others parked come 20 ms ahead on two processors.
func checkSkew(e *env) (string, error) {
	var report []string
	for _, c := range []struct {
		name string
		make []func() (*guest, error)
	}{
		{"nearly alone", []func() (*guest, error){of(spinHearing, e.cpus+1, sys.CPUPolicy{Shares: 4000}), of(spin, 1, sys.CPUPolicy{Shares: 1})}},
		{"beside one on a processor", []func() (*guest, error){of(spinHearing, e.cpus+1, sys.CPUPolicy{Shares: 4000}),
			of(spin, 1, sys.CPUPolicy{Shares: 3000, Affinity: 1})}},
		{"with a limit", []func() (*guest, error){of(spinHearing, e.cpus+1, sys.CPUPolicy{Shares: 1000, Limit: uint32(e.cpus)*500 + 300}),
			of(spin, 1, sys.CPUPolicy{Shares: 1})}},
	} {
		most, used, err := skewOf(c.make)
		if err != nil {
			return strings.Join(report, "; "), fmt.Errorf("%s: %w", c.name, err)
		}
		report = append(report, fmt.Sprintf("%s: %v used=%v", c.name, most.Round(time.Microsecond), rounded(used)))
		if bound := sched.SkewMax*time.Nanosecond + skewLate; most > bound {
			return strings.Join(report, "; "), fmt.Errorf("%s: further apart than %v", c.name, bound)
		}
	}
	return strings.Join(report, "; "), nil
}

// skewOf is how far the virtual processors of the first of some guests are apart at most in 0.6 seconds, and the time that each had.
// All begin at once, with no time used: none is ahead for having slept.
func skewOf(make []func() (*guest, error)) (most time.Duration, used []time.Duration, err error) {
	var all []*guest
	defer func() {
		if e := stopAll(all); err == nil {
			err = e
		}
	}()
	for _, f := range make {
		g, err := f()
		if err != nil {
			return 0, nil, err
		}
		all = append(all, g)
	}
	for _, g := range all[1:] {
		g.start()
	}
	g := all[0]
	sys.VMPause(g.handle)
	g.start()
	time.Sleep(warmUp) // all of its goroutines have called by then
	sys.VMResume(g.handle)
	for i := range g.pages {
		var s sys.WorldStats
		if err := sys.GetVCPUStats(g.handle, i, &s); err != nil {
			return 0, nil, err
		}
		if s.State == sys.WorldBlocked {
			return 0, nil, fmt.Errorf("virtual processor %d hasn't begun after %v: %s", i, warmUp, g.states())
		}
	}
	for range skewRests {
		time.Sleep(skewRest)
		for range skewLooks {
			time.Sleep(skewLook)
			d, err := apart(g)
			if err != nil {
				return most, nil, err
			}
			most = max(most, d)
		}
	}
	for i := range g.pages {
		var s sys.WorldStats
		if err := sys.GetVCPUStats(g.handle, i, &s); err != nil {
			return most, nil, err
		}
		if s.Used == 0 {
			return most, nil, fmt.Errorf("virtual processor %d had no time", i)
		}
		used = append(used, time.Duration(s.Used))
	}
	return most, used, nil
}

// apart is by how much two of the guest's virtual processors at least differ in the time that they had: what one may have had since
// the other was looked at isn't counted.
func apart(g *guest) (most time.Duration, err error) {
	var s [sys.MaxVCPUs]sys.WorldStats
	for i := range g.pages {
		if err := sys.GetVCPUStats(g.handle, i, &s[i]); err != nil {
			return 0, err
		}
	}
	for i := range g.pages {
		for j := range g.pages {
			d := int64(s[i].Used) - int64(s[j].Used)
			if s[i].Now > s[j].Now {
				d -= int64(s[i].Now - s[j].Now)
			}
			most = max(most, time.Duration(d))
		}
	}
	return most, nil
}

// Words in page 0 of a guest whose virtual processors take a lock in turns. The lock's holder counts 400 rounds of its loop, 20 us of
// a machine with 80 million ticks a second, and a turn in its own page.
const (
	ticketAt  = 0x600 // the next to be drawn
	servingAt = 0x604 // whose turn it is
	holdFor   = 400
)

// takeTurns draws a ticket, waits for its turn with the instruction wait in the loop, and holds the lock. The program knows nothing of
// its page, but for counterAt.
func takeTurns(wait ...byte) []byte {
	loop := append(append([]byte{}, wait...),
		0x66, 0x3B, 0x06, servingAt&0xFF, servingAt>>8) // cmp eax, [servingAt]
	loop = append(loop, 0x75, byte(-len(loop)-2)) // jne to the waiting
	program := append([]byte{
		0x66, 0xB8, 0x01, 0x00, 0x00, 0x00, // mov eax, 1
		0xF0, 0x66, 0x0F, 0xC1, 0x06, ticketAt & 0xFF, ticketAt >> 8, // lock xadd [ticketAt], eax
	}, loop...)
	program = append(program,
		0xB9, holdFor&0xFF, holdFor>>8, // mov cx, holdFor
		0x90, 0x90, 0x90, // nops
		0xE2, 0xFB, // loop to the nops
		0x2E, 0x66, 0xFF, 0x06, 0x00, 0x08, // inc dword [cs:counterAt]
		0x66, 0xFF, 0x06, servingAt&0xFF, servingAt>>8) // inc dword [servingAt]
	return append(program, 0xEB, byte(-len(program)-2)) // jmp to the beginning
}

var (
	turnsByPause = takeTurns(0xF3, 0x90) // pause
	turnsBlindly = takeTurns(0x90, 0x90) // nop; nop
)

// pauseHandOvers is how many times as often a processor is to go from one virtual processor to another for their PAUSEs as at the ends
// of turns. Whoever is given one before its turn at the lock wastes 1 ms if it waits blindly, and with PAUSE the 4,096 ticks until it is
// found out, 51 us, and what a decision and a switch take, twice as much at most.
const pauseHandOvers = 3

// checkPause has a guest with four virtual processors for each processor take a lock in turns: with PAUSE it comes further than without,
// and none is given a processor in vain more than once until each other was. Nobody but the one whose turn it is can go on, and the
// scheduler can't know which: the order in which they have turns at the lock stays as it began, and may be that in which they are given
// processors or the opposite, so that a turn costs from one hand-over to one for each sibling. Beside a guest that wants all processors
// it has half of the time, as its shares are worth, though it gives most of its turns up.
func checkPause(e *env) (string, error) {
	count := min(4*e.cpus, sys.MaxVCPUs)
	measure := func(program []byte, beside bool) (turns, exits uint64, used []time.Duration, err error) {
		make := []func() (*guest, error){of(program, count, sys.CPUPolicy{Shares: 1000})}
		if beside {
			make = append(make, of(spin, e.cpus, sys.CPUPolicy{Shares: 1000}))
		}
		all, err := guests(make...)
		if err != nil {
			return 0, 0, nil, err
		}
		time.Sleep(warmUp)
		before, first := pauses(all[0]), turnsOf(all[0])
		s := observe(all, second)
		exits = pauses(all[0]) - before
		// Who waits has its ticket: all have had as many turns, but those that lost the processor between two tickets.
		least, most := ^uint32(0), uint32(0)
		for i, n := range turnsOf(all[0]) {
			least, most = min(least, n-first[i]), max(most, n-first[i])
		}
		turns, used = s.rounds[0], s.used
		switch err = stopAll(all); {
		case err != nil:
		case least < most/2:
			err = fmt.Errorf("the virtual processors had %d to %d turns", least, most)
		case 8*exits > 9*turns*uint64(count-1):
			err = fmt.Errorf("%d hand-overs for %d turns, with %d siblings", exits, turns, count-1)
		}
		return turns, exits, used, err
	}
	blind, none, _, err := measure(turnsBlindly, false)
	if err != nil {
		return "", err
	}
	alone, exits, _, err := measure(turnsByPause, false)
	if err != nil {
		return "", err
	}
	beside, found, used, err := measure(turnsByPause, true)
	if err != nil {
		return "", err
	}
	report := fmt.Sprintf("turns in a second: blindly=%d (%d exits) with PAUSE=%d (%d exits) beside another guest=%d (%d exits, used=%v)",
		blind, none, alone, exits, beside, found, rounded(used))
	switch most := uint64(second/(sched.Slice*time.Nanosecond)) * uint64(e.cpus); {
	case none != 0:
		err = fmt.Errorf("exits by PAUSE of a guest that has none")
	case exits < pauseHandOvers*most:
		err = fmt.Errorf("with PAUSE less than %d times the %d hand-overs that turns make", pauseHandOvers, most)
	case alone <= blind:
		err = fmt.Errorf("with PAUSE no further than without")
	case max(used[0], used[1])-min(used[0], used[1]) > (used[0]+used[1])/50:
		err = fmt.Errorf("beside a guest with the same shares not as much time, within 2 %%")
	}
	return report, err
}

// turnsOf is how many turns each virtual processor had.
func turnsOf(g *guest) (n []uint32) {
	for i := range g.pages {
		n = append(n, binary.LittleEndian.Uint32(g.code(i)[counterAt:]))
	}
	return n
}

// pauses is how many exits the guest's PAUSEs were.
func pauses(g *guest) (n uint64) {
	for i := range g.pages {
		var s sys.WorldStats
		if sys.GetVCPUStats(g.handle, i, &s) == nil {
			n += s.Exits[virt.KindPause]
		}
	}
	return n
}
