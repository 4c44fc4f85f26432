package main

import (
	"fmt"
	"time"

	"keel/arch/amd64/virt"
	"keel/vmkernel/sys"
)

// checkExclusive has guests with a processor for themselves beside guests and goroutines that want all of them. One spins: nobody
// else has any of its processor, and no interrupt ends its time in guest mode. The other has exits to a device model: of Keel's
// threads only those come there to which they lead. What is given back is everybody's again.
func checkExclusive(e *env) (string, error) {
	if e.cpus < 2 {
		return "one processor", nil
	}
	last := e.cpus - 1
	report := ""
	for _, c := range []struct {
		name    string
		program []byte
		spins   bool
	}{{"spinning", spinHearing, true}, {"exits", ask, false}} {
		all, err := guests(of(spin, 2*e.cpus, sys.CPUPolicy{Shares: 1000}), of(c.program, 1, sys.CPUPolicy{Shares: 1000}))
		if err != nil {
			return report, err
		}
		own := all[1]
		// It is given the processor while others run there, sleep there and wait for it.
		f := startFlood(e)
		time.Sleep(warmUp)
		said := ""
		if err = own.set(func(p *sys.CPUPolicy) { p.Affinity, p.Exclusive = 1<<last, 1 }); err == nil {
			time.Sleep(warmUp)
			said, err = observeExclusive(own, last, c.spins)
		}
		report += c.name + ": " + said + "; "
		f.stop()
		if err == nil {
			err = own.set(func(p *sys.CPUPolicy) { p.Affinity, p.Exclusive = 0, 0 })
		}
		if err == nil {
			err = all[0].set(func(p *sys.CPUPolicy) { p.Affinity = 1 << last })
		}
		if err != nil {
			stopAll(all)
			return report, err
		}
		time.Sleep(takesEffect)
		if used := observe(all[:1], warmUp).used[0]; used < warmUp/4 {
			err = fmt.Errorf("of the processor that was given back others had %v in %v", used, warmUp)
		}
		if e := stopAll(all); err == nil {
			err = e
		}
		if err != nil {
			return report, err
		}
	}
	return report, nil
}

// observeExclusive looks for a second at who is on a processor that is own's.
func observeExclusive(own *guest, cpu int, spins bool) (string, error) {
	var before, after sys.WorldStats
	rounds := own.rounds()
	if err := sys.GetVCPUStats(own.handle, 0, &before); err != nil {
		return "", err
	}
	others, threads, looks := 0, 0, 0
	for began := time.Now(); time.Since(began) < second; looks++ {
		var s sys.WorldStats
		for id := uint32(0); sys.GetWorldStats(id, &s) == nil; id = s.ID + 1 {
			switch on := s.State == sys.WorldRunning && int(s.CPU) == cpu; {
			case on && s.Kind == sys.WorldThread:
				threads++
			case on && s.VM != own.handle:
				others++
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := sys.GetVCPUStats(own.handle, 0, &after); err != nil {
		return "", err
	}
	wall := time.Duration(after.Now - before.Now)
	used, stolen := time.Duration(after.Used-before.Used), time.Duration(after.Stolen-before.Stolen)
	interrupts := after.Exits[virt.KindHostInterrupt] - before.Exits[virt.KindHostInterrupt]
	report := fmt.Sprintf("used=%v of %v stolen=%v interrupts=%d rounds=%d looks=%d threads=%d", used.Round(time.Microsecond), wall.Round(time.Microsecond),
		stolen, interrupts, uint32(own.rounds()-rounds), looks, threads)
	switch {
	case others != 0:
		return report, fmt.Errorf("another's virtual processor was there in %d of %d looks", others, looks)
	case own.rounds() == rounds:
		return report, fmt.Errorf("it did nothing")
	case !spins:
	case threads != 0:
		return report, fmt.Errorf("Keel's threads were there in %d of %d looks", threads, looks)
	case stolen != 0 || used < wall-tolerance:
		return report, fmt.Errorf("it didn't have all of its processor")
	case interrupts > mostOwnedInterrupts:
		return report, fmt.Errorf("more than %d interrupts in a second", mostOwnedInterrupts)
	}
	return report, nil
}

// mostOwnedInterrupts is how many interrupts of the host may end a guest's time in a second that has a processor for itself and
// spins there: none is a timer's; the runtime may give memory back, of which all processors are told.
const mostOwnedInterrupts = 5
