package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
)

// takesEffect is within what a change of a running guest takes effect.
const takesEffect = 10 * time.Millisecond

func interruptsOf(g *guest) uint32 { return binary.LittleEndian.Uint32(g.code(0)[interrupts:]) }

// until waits for f to hold and says how long that took; a little beyond takesEffect it gives up.
func until(f func() bool) time.Duration {
	began := time.Now()
	for !f() && time.Since(began) < 2*takesEffect {
		time.Sleep(20 * time.Microsecond)
	}
	return time.Since(began)
}

// still says whether a guest has stopped counting.
func still(g *guest) bool {
	was := g.rounds()
	for began := time.Now(); time.Since(began) < 100*time.Microsecond; {
	}
	return g.rounds() == was
}

// checkControl pauses, resumes, changes and kills running guests: ordinary ones, and ones that don't take interrupts.
func checkControl(e *env) (string, error) {
	var report []string
	for _, c := range []struct {
		name    string
		program []byte
	}{{"spinning", spin}, {"deaf", spinDeaf}, {"exiting", identify}, {"asking", ask}} {
		text, err := control(e, c.program)
		report = append(report, c.name+": "+text)
		if err != nil {
			return strings.Join(report, "; "), fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return strings.Join(report, "; "), nil
}

func control(e *env, program []byte) (report string, err error) {
	note := func(what string, took time.Duration) {
		report += fmt.Sprintf(" %s=%v", what, took.Round(time.Microsecond))
		if took > takesEffect && err == nil {
			err = fmt.Errorf("%s took longer than %v", what, takesEffect)
		}
	}
	all, e2 := guests(of(program, e.cpus, sys.CPUPolicy{Shares: 1000}), of(program, e.cpus, sys.CPUPolicy{Shares: 1000}))
	if e2 != nil {
		return "", e2
	}
	g := all[0]
	defer func() { // of those that a failure leaves
		for _, g := range all {
			if !g.quit.Load() {
				g.stop()
			}
		}
	}()
	time.Sleep(warmUp)

	sys.VMPause(g.handle)
	note("pause", until(func() bool { return still(g) }))
	time.Sleep(takesEffect)
	was := g.rounds()
	sys.VMResume(g.handle)
	note("resume", until(func() bool { return g.rounds() != was }))

	// A limit: what is used in the time after the change took effect is no more than that, and what may be ahead of it.
	if e2 := g.set(func(p *sys.CPUPolicy) { p.Limit = 100 }); e2 != nil {
		return report, e2
	}
	time.Sleep(takesEffect)
	s := observe(all, 100*time.Millisecond)
	if most := (s.wall+burst)*100/sys.Processor + tolerance; s.used[0] > most {
		return report, fmt.Errorf("with a limit of 10 %% it used %v of %v", s.used[0], s.wall)
	}
	g.set(func(p *sys.CPUPolicy) { p.Limit = 0 })
	time.Sleep(takesEffect)
	if s := observe(all, 50*time.Millisecond); &program[0] != &ask[0] && float64(s.used[0]) < 0.3*float64(s.total()) {
		return report, fmt.Errorf("without its limit it used %v of %v", s.used[0], s.total())
	}

	// Shares, both ways, of guests that want all they can have.
	for _, shares := range []uint32{4000, 250} {
		if &program[0] == &ask[0] {
			break
		}
		if e2 := g.set(func(p *sys.CPUPolicy) { p.Shares = shares }); e2 != nil {
			return report, e2
		}
		time.Sleep(takesEffect)
		s := observe(all, 200*time.Millisecond)
		want := float64(s.total()) * float64(shares) / float64(shares+1000)
		if e.cpus == 1 || shares > 1000 {
			want = min(want, float64(s.wall)*float64(e.cpus))
		}
		report += fmt.Sprintf(" shares %d:1000=%.3f", shares, float64(s.used[0])/float64(s.total()))
		if abs(float64(s.used[0])-want) > 0.05*float64(s.total()) {
			return report, fmt.Errorf("with %d shares of %d it used %v of %v, want about %v", shares, shares+1000, s.used[0], s.total(), time.Duration(want))
		}
	}

	// A reservation against shares.
	g.set(func(p *sys.CPUPolicy) { p.Shares, p.Reservation = 1, reserved })
	all[1].set(func(p *sys.CPUPolicy) { p.Shares = greedy })
	time.Sleep(takesEffect)
	if s := observe(all, 200*time.Millisecond); &program[0] != &ask[0] && s.used[0] < least(s.wall) {
		return report, fmt.Errorf("with a reservation of 50 %% it used %v of %v", s.used[0], s.wall)
	}

	// Kills: of one that is paused, of one that is about to be, and of one that a limit keeps from running most of the time.
	sys.VMPause(g.handle)
	time.Sleep(time.Millisecond)
	took, e2 := g.stop()
	note("kill paused", took)
	if e2 != nil {
		return report, e2
	}
	if all[0], e2 = newGuest(program, e.cpus, sys.CPUPolicy{Shares: 1000}); e2 != nil {
		all = all[1:]
		return report, e2
	}
	all[0].start()
	time.Sleep(warmUp)
	sys.VMPause(all[0].handle)
	took, e2 = all[0].stop()
	note("kill pausing", took)
	if e2 != nil {
		return report, e2
	}
	all[1].set(func(p *sys.CPUPolicy) { p.Shares, p.Limit = 1000, 10 })
	time.Sleep(2 * takesEffect)
	took, e2 = all[1].stop()
	note("kill limited", took)
	if e2 != nil {
		return report, e2
	}
	if all, e2 = guests(of(program, e.cpus, sys.CPUPolicy{Shares: 1}), of(spin, e.cpus, sys.CPUPolicy{Shares: greedy})); e2 != nil {
		return report, e2
	}
	time.Sleep(warmUp)
	took, e2 = all[0].stop()
	note("kill waiting", took)
	if e2 == nil {
		took, e2 = all[1].stop()
		note("kill running", took)
	}
	return report, errors.Join(err, e2)
}

// checkRefusals has the calls refuse what makes no sense, and change nothing by it.
func checkRefusals(e *env) (string, error) {
	ok := sys.CPUPolicy{Shares: 1000}
	with := func(change func(*sys.CPUPolicy)) *sys.CPUPolicy {
		p := ok
		change(&p)
		return &p
	}
	pool, err := sys.PoolCreate(&ok)
	if err != nil {
		return "", fmt.Errorf("a pool: %w", err)
	}
	inner, err := sys.PoolCreate(with(func(p *sys.CPUPolicy) { p.Pool = pool }))
	if err != nil {
		return "", fmt.Errorf("a pool in a pool: %w", err)
	}
	g, err := newGuest(spin, 1, *with(func(p *sys.CPUPolicy) { p.Pool = inner }))
	if err != nil {
		return "", err
	}
	n := 0
	want := func(what string, got, want error) {
		n++
		if !errors.Is(got, want) {
			err = errors.Join(err, fmt.Errorf("%s: %v, want %v", what, got, want))
		}
	}
	for _, c := range []struct {
		what string
		p    *sys.CPUPolicy
	}{
		{"no shares", with(func(p *sys.CPUPolicy) { p.Shares = 0 })},
		{"shares", with(func(p *sys.CPUPolicy) { p.Shares = greedy + 1 })},
		{"shares of -1", with(func(p *sys.CPUPolicy) { p.Shares = 1<<32 - 1 })},
		{"a limit below the reservation", with(func(p *sys.CPUPolicy) { p.Reservation, p.Limit = 500, 499 })},
		{"a reservation", with(func(p *sys.CPUPolicy) { p.Reservation = 1<<32 - 1 })},
	} {
		_, e := sys.PoolCreate(c.p)
		want("a pool with "+c.what, e, linux.EINVAL)
		want("changing a pool to "+c.what, sys.PoolSet(pool, c.p), linux.EINVAL)
		p := *c.p
		p.Pool = inner
		want("changing a VM to "+c.what, sys.VMSetCPU(g.handle, &p), linux.EINVAL)
	}
	want("an affinity to a processor beyond the last", sys.VMSetCPU(g.handle, with(func(p *sys.CPUPolicy) { p.Pool, p.Affinity = inner, 1<<e.cpus })), linux.EINVAL)
	_, e2 := newGuest(spin, 1, *with(func(p *sys.CPUPolicy) { p.Affinity = 1 << e.cpus }))
	want("a VM with such an affinity", e2, linux.EINVAL)
	_, e2 = newGuest(spin, 1, *with(func(p *sys.CPUPolicy) { p.Pool = 1 << 30 }))
	want("a VM in an unknown pool", e2, linux.EINVAL)
	_, e2 = sys.PoolCreate(with(func(p *sys.CPUPolicy) { p.Pool = 7777 }))
	want("a pool in an unknown pool", e2, linux.EINVAL)
	want("moving a VM to an unknown pool", sys.VMSetCPU(g.handle, with(func(p *sys.CPUPolicy) { p.Pool = 7777 })), linux.EINVAL)
	want("a VM with no processors for itself", sys.VMSetCPU(g.handle, with(func(p *sys.CPUPolicy) { p.Pool, p.Exclusive = inner, 1 })), linux.EINVAL)
	want("a VM with all processors for itself", sys.VMSetCPU(g.handle, with(func(p *sys.CPUPolicy) { p.Pool, p.Exclusive, p.Affinity = inner, 1, 1<<e.cpus-1 })), linux.EINVAL)
	want("a pool in itself", sys.PoolSet(pool, with(func(p *sys.CPUPolicy) { p.Pool = pool })), linux.EXDEV)
	want("destroying a pool with a VM", sys.PoolDestroy(inner), linux.EBUSY)
	want("destroying a pool with a pool", sys.PoolDestroy(pool), linux.EBUSY)
	want("destroying the host", sys.PoolDestroy(0), linux.EINVAL)
	want("destroying the root by its number", sys.PoolDestroy(1), linux.EINVAL)
	want("destroying the system", sys.PoolDestroy(sys.SystemPool), linux.EINVAL)
	want("pausing no VM", sys.VMPause(250), linux.EINVAL)
	want("figures of no virtual processor", sys.GetVCPUStats(g.handle, 1, &sys.WorldStats{}), linux.EINVAL)
	if e := sys.VMDestroy(g.handle); e != nil {
		return "", e
	}
	want("destroying an empty pool", sys.PoolDestroy(inner), nil)
	want("destroying it again", sys.PoolDestroy(inner), linux.EINVAL)
	want("destroying its pool", sys.PoolDestroy(pool), nil)
	return fmt.Sprintf("refused=%d", n), err
}

// checkCounters has all worlds' figures add up.
func checkCounters(e *env) (string, error) {
	all, err := guests(of(identify, e.cpus, sys.CPUPolicy{Shares: 1000, Limit: 900}), of(ask, e.cpus, sys.CPUPolicy{Shares: 1000}), of(wait, 1, sys.CPUPolicy{Shares: 1000}))
	if err != nil {
		return "", err
	}
	defer stopAll(all)
	time.Sleep(100 * time.Millisecond)
	sys.VMPause(all[1].handle)
	time.Sleep(10 * time.Millisecond)
	seen, vcpus := 0, 0
	for id := uint32(1); ; id++ {
		var s sys.WorldStats
		if sys.GetWorldStats(id, &s) != nil {
			break
		}
		id = s.ID
		seen++
		if sum := s.Used + s.Ready + s.Limited + s.Paused + s.Blocked; sum != s.Now-s.Created {
			return "", fmt.Errorf("world %d: its times add up to %d ns, and it is %d old: %+v", id, sum, s.Now-s.Created, s)
		}
		if s.Kind == sys.WorldVCPU {
			vcpus++
		}
	}
	if want := 2*e.cpus + 1; vcpus != want {
		return "", fmt.Errorf("%d virtual processors, want %d", vcpus, want)
	}
	var busy, paused, halted sys.WorldStats
	for _, f := range []struct {
		g *guest
		s *sys.WorldStats
	}{{all[0], &busy}, {all[1], &paused}, {all[2], &halted}} {
		if err := sys.GetVCPUStats(f.g.handle, 0, f.s); err != nil {
			return "", err
		}
	}
	report := fmt.Sprintf("worlds=%d busy: used=%v ready=%v limited=%v outside=%v exits=%v; asking: outside=%v exits=%v paused=%v; halted: blocked=%v",
		seen, us(busy.Used), us(busy.Ready), us(busy.Limited), us(busy.Outside), some(&busy), us(paused.Outside), some(&paused), us(paused.Paused), us(halted.Blocked))
	switch {
	case busy.Exits[exitCPUID] == 0 || paused.Exits[exitIO] == 0 || halted.Exits[exitHLT] == 0:
		err = fmt.Errorf("exits weren't counted")
	case paused.State != sys.WorldPaused || paused.Paused < uint64(9*time.Millisecond):
		err = fmt.Errorf("a pause of 10 ms wasn't: state %d", paused.State)
	case halted.State != sys.WorldBlocked || halted.Blocked < uint64(90*time.Millisecond):
		err = fmt.Errorf("a guest that waits isn't blocked: state %d", halted.State)
	case busy.Outside == 0 || busy.Outside > busy.Used:
		err = fmt.Errorf("time outside guest mode that can't be")
	}
	return report, err
}
