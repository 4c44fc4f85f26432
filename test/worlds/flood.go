package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"keel/vmkernel/sched"
	"keel/vmkernel/sys"
)

const (
	reserved = 500 // thousandths of a processor
	greedy   = 1_000_000
)

// least is what a reservation is worth in an interval.
func least(wall time.Duration) time.Duration {
	return (wall-lag)*reserved/sys.Processor - lagTurns - tolerance
}

// checkReservation has a guest with next to no shares but a reservation beside one that has all the shares and floods the host with
// timer interrupts: of guest time, and of fast exits. That it gets little more shows that the other wants all processors.
func checkReservation(e *env) (string, error) {
	var report []string
	for _, c := range []struct {
		name    string
		program []byte
	}{{"guest time", spin}, {"fast exits", identify}} {
		all, err := guests(of(c.program, 1, sys.CPUPolicy{Shares: 1, Reservation: reserved}), of(floodInterrupts, e.cpus, sys.CPUPolicy{Shares: greedy}))
		if err != nil {
			return "", err
		}
		time.Sleep(warmUp)
		s := observe(all, second)
		_, longest, _ := all[0].used()
		took, others := interruptsOf(all[1]), all[1].states()
		if err := stopAll(all); err != nil {
			return "", err
		}
		report = append(report, fmt.Sprintf("%s: used=%v of %v rounds=%d longest wait=%v interrupts=%d", c.name, s.used[0].Round(time.Microsecond),
			s.wall.Round(time.Microsecond), s.rounds[0], longest.Round(time.Microsecond), took))
		if s.used[0] < least(s.wall) {
			return strings.Join(report, "; "), fmt.Errorf("less than the %v that are reserved", least(s.wall))
		}
		if took == 0 {
			return strings.Join(report, "; "), fmt.Errorf("the flood took no interrupt")
		}
		if most := least(s.wall) + s.wall/4; s.used[0] > most {
			return strings.Join(report, "; "), fmt.Errorf("more than %v: the other guest doesn't want all that it has the shares for: %s", most, others)
		}
	}
	return strings.Join(report, "; "), nil
}

// A flood is Keel's own threads that want all processors all the time.
type flood struct {
	quit atomic.Bool
	wg   sync.WaitGroup
	made atomic.Int64
}

var sink [64]atomic.Pointer[[4096]byte]

func startFlood(e *env) *flood {
	f := &flood{}
	for i := range 2 * e.cpus {
		f.wg.Go(func() {
			x := uint64(i)
			for !f.quit.Load() {
				for range 1000 {
					x = x*6364136223846793005 + 1442695040888963407
				}
				if i%2 == 0 { // the others spin only
					sink[x>>58].Store(new([4096]byte))
					f.made.Add(4096)
				}
			}
		})
	}
	return f
}

func (f *flood) stop() {
	f.quit.Store(true)
	f.wg.Wait()
}

// soonest is what a processor is late by at most as its thread's turn is over.
const soonest = (sched.Soonest + sched.MaxTurnCost) * time.Nanosecond

// mostOfSystem is what the system group has at most in an interval in which guests want all processors, see sched/rates.go.
func mostOfSystem(e *env, t time.Duration, limit uint64) time.Duration {
	return (t+burst+2*turn)*time.Duration(limit)/sys.Processor + time.Duration(e.cpus)*(turn+soonest)
}

// checkFlood has Keel's own threads want all they can get, beside guests: the reservation holds for guest time and fast exits, the
// system group is paced to its limit, and none of its threads waits for longer than a millisecond.
func checkFlood(e *env) (string, error) {
	all, err := guests(of(spin, 1, sys.CPUPolicy{Shares: 1, Reservation: reserved / 2}), of(identify, 1, sys.CPUPolicy{Shares: 1, Reservation: reserved / 2}),
		of(ask, 1, sys.CPUPolicy{Shares: 1, Reservation: 100}), of(spin, e.cpus, sys.CPUPolicy{Shares: greedy}))
	if err != nil {
		return "", err
	}
	time.Sleep(warmUp)
	clearWaits()
	f := startFlood(e)
	time.Sleep(warmUp)
	var before, after sys.PoolStats
	began := time.Now()
	sys.GetPoolStats(sys.SystemPool, &before)
	var asked, served sys.WorldStats
	sys.GetVCPUStats(all[2].handle, 0, &asked)
	s := observe(all, second)
	sys.GetVCPUStats(all[2].handle, 0, &served)
	sys.GetPoolStats(sys.SystemPool, &after)
	between := time.Since(began)
	longest, threads := waits()
	f.stop()
	if err := stopAll(all); err != nil {
		return "", err
	}
	used := time.Duration(after.Used - before.Used)
	most := mostOfSystem(e, between, after.Limit)
	// An exit to a goroutine waits for Go's scheduler, which has the guest blocked, and what follows it for a processor.
	var slow, inGo, ready time.Duration
	if n := time.Duration(s.rounds[2]); n != 0 {
		slow, inGo, ready = s.wall/n, time.Duration(served.Blocked-asked.Blocked)/n, time.Duration(served.Stolen-asked.Stolen)/n
	}
	report := fmt.Sprintf("reserved: spinning=%v of %v exits=%v of %v; system used=%v of %v made=%dMiB threads=%d longest wait=%v; slow exits=%d every %v, of which in Go %v, waiting for a processor %v",
		s.used[0].Round(time.Microsecond), s.span[0].Round(time.Microsecond), s.used[1].Round(time.Microsecond), s.span[1].Round(time.Microsecond), used.Round(time.Microsecond),
		most.Round(time.Microsecond), f.made.Load()>>20, threads, longest.Round(time.Microsecond), s.rounds[2],
		slow.Round(time.Microsecond), inGo.Round(time.Microsecond), ready.Round(time.Microsecond))
	var want [2]time.Duration
	for i := range want {
		want[i] = (s.span[i]-lag)*(reserved/2)/sys.Processor - lagTurns - tolerance
	}
	switch {
	case s.used[0] < want[0] || s.used[1] < want[1]:
		err = fmt.Errorf("less than the %v that are reserved", want)
	case used > most:
		err = fmt.Errorf("the system group had more than its limit")
	case longest > time.Millisecond:
		err = fmt.Errorf("a thread waited for longer than 1 ms")
	}
	return report, err
}

// threads calls f for every thread of the Go runtime.
func threads(f func(*sys.WorldStats)) {
	for id := uint32(1); ; id++ {
		var s sys.WorldStats
		if sys.GetWorldStats(id, &s) != nil {
			return
		}
		if id = s.ID; s.Kind == sys.WorldThread {
			f(&s)
		}
	}
}

var waited = map[uint32]sys.WorldStats{}

// clearWaits begins to look for the longest wait of a thread.
func clearWaits() {
	clear(waited)
	threads(func(s *sys.WorldStats) { waited[s.ID] = *s })
}

// waits is the longest wait of a thread since, and the number of threads. A longest wait that is no longer than what a thread had
// before doesn't show, nor matter.
func waits() (longest time.Duration, n int) {
	threads(func(s *sys.WorldStats) {
		n++
		was := waited[s.ID]
		if was.Created != s.Created || s.MaxReady > was.MaxReady {
			longest = max(longest, time.Duration(s.MaxReady))
		}
	})
	return longest, n
}

// pacedTurn is about what one thread of the system group has at least in every millisecond beyond the group's limit, see
// sched/rates.go.
const pacedTurn = 180*time.Microsecond - sched.MaxTurnCost*time.Nanosecond

// checkInterruptsOff has guests on all processors that spin with interrupts off: the host's timers don't come later than alone by
// more than a millisecond, nor do the collector's pauses take that much longer than beside guests that take interrupts: by their
// median, since beside either forty collections in a row are beyond the system group's limit, so that guests have their turns in the
// midst of a pause: each of a turn at most and until the next decision, and of each of the two stops that a pause is made of one at its
// beginning, and one after each pacedTurn. So much longer than alone the longest may take.
func checkInterruptsOff(e *env) (string, error) {
	alone := lateness()
	var beside [2]late
	for i, program := range [][]byte{spin, spinDeaf} {
		all, err := guests(of(program, e.cpus, sys.CPUPolicy{Shares: 1000}))
		if err != nil {
			return "", err
		}
		time.Sleep(warmUp)
		beside[i] = lateness()
		if err := stopAll(all); err != nil {
			return "", err
		}
	}
	ordinary, deaf := beside[0], beside[1]
	report := fmt.Sprintf("%v; beside ordinary guests %v; alone %v", deaf, ordinary, alone)
	if deaf.timer-alone.timer > time.Millisecond {
		return report, fmt.Errorf("a timer came more than 1 ms later")
	}
	if deaf.pause-ordinary.pause > time.Millisecond {
		return report, fmt.Errorf("the collector paused for more than 1 ms more than beside ordinary guests")
	}
	if most := (sched.Slice*time.Nanosecond + soonest) * (2*pacedTurn + alone.longest) / pacedTurn; deaf.longest-alone.longest > most {
		return report, fmt.Errorf("the collector paused for more than %v more", us(uint64(most)))
	}
	return report, nil
}

// late is the longest that one of some timers came late by, and the median and the longest pause of some collections.
type late struct{ timer, pause, longest time.Duration }

func (l late) String() string {
	return fmt.Sprintf("timers late=%v collector's pause=%v, at most %v", us(uint64(l.timer)), us(uint64(l.pause)), us(uint64(l.longest)))
}

func lateness() (l late) {
	for i := range 60 {
		d := time.Duration(1+i%7) * time.Millisecond
		began := time.Now()
		time.Sleep(d)
		l.timer = max(l.timer, time.Since(began)-d)
	}
	const n = 40
	for range n {
		runtime.GC()
	}
	var s debug.GCStats
	debug.ReadGCStats(&s)
	pauses := s.Pause[:n]
	slices.Sort(pauses)
	l.pause, l.longest = pauses[n/2], pauses[n-1]
	return l
}
