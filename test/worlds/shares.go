package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"keel/vmkernel/sched"
	"keel/vmkernel/sys"
)

const (
	warmUp    = 50 * time.Millisecond
	second    = time.Second
	shareErr  = 0.02 // of a guest's own part
	poolErr   = 0.05 // likewise, of a pool at its limit, which is had in bursts
	burst     = sched.LimitBurst * time.Nanosecond
	turn      = sched.Slice * time.Nanosecond
	lag       = 2 * sched.ReserveLag * time.Nanosecond
	lagTurns  = 5 * turn
	tolerance = 2 * time.Millisecond // of measuring: reading the figures takes its time
)

// ideal divides what was used among guests by their shares, none having more than its virtual processors can use.
func ideal(total, wall time.Duration, shares []uint32, vcpus []int) []float64 {
	parts := make([]float64, len(shares))
	full := make([]bool, len(shares))
	for left := float64(total); ; {
		sum := 0.0
		for i, w := range shares {
			if !full[i] {
				sum += float64(w)
			}
		}
		again := false
		for i, w := range shares {
			if most := float64(wall) * float64(vcpus[i]); !full[i] && left*float64(w)/sum > most {
				parts[i], full[i], again = most, true, true
				left -= most
				break
			}
		}
		if !again {
			for i, w := range shares {
				if !full[i] {
					parts[i] = left * float64(w) / sum
				}
			}
			return parts
		}
	}
}

// checkShares has three saturating guests with shares 1 : 2 : 4 and different numbers of virtual processors: each gets its part of
// one second, by the host's account and by what it counted.
func checkShares(e *env) (string, error) {
	shares := []uint32{1000, 2000, 4000}
	var report []string
	for _, vcpus := range [][]int{{1, 1, 1}, {4, 2, 1}, {1, 2, 4}, {3, 1, 2}} {
		var make []func() (*guest, error)
		for i, n := range vcpus {
			make = append(make, of(spin, n, sys.CPUPolicy{Shares: shares[i]}))
		}
		all, err := guests(make...)
		if err != nil {
			return "", err
		}
		time.Sleep(warmUp)
		s := observe(all, second)
		if err := stopAll(all); err != nil {
			return "", err
		}
		want := ideal(s.total(), s.wall, shares, vcpus)
		var counted uint64
		for _, n := range s.rounds {
			counted += n
		}
		var had, did float64 // the worst errors, by the account and by the count
		for i := range all {
			had = max(had, abs(float64(s.used[i])-want[i])/want[i])
			// What it counted is its part too, but for what the host's work in between takes of either.
			part := float64(s.rounds[i]) / float64(counted) * float64(s.total())
			did = max(did, abs(part-want[i])/want[i])
		}
		busy := float64(s.total()) / float64(s.wall) / float64(e.cpus)
		report = append(report, fmt.Sprintf("vcpus=%v used=%v error=%.2f%% counted=%.2f%% busy=%.1f%%", vcpus, rounded(s.used), 100*had, 100*did, 100*busy))
		if counted == 0 || s.total() == 0 {
			return strings.Join(report, "; "), fmt.Errorf("they did nothing")
		}
		if max(had, did) > shareErr && !e.report {
			return strings.Join(report, "; "), fmt.Errorf("an error above %.0f %%: want %v", 100*shareErr, want)
		}
	}
	return strings.Join(report, "; "), nil
}

func abs(x float64) float64 { return max(x, -x) }

func rounded(all []time.Duration) []time.Duration {
	r := make([]time.Duration, len(all))
	for i, d := range all {
		r[i] = d.Round(100 * time.Microsecond)
	}
	return r
}

// checkLimit holds a guest at its limit on a host that has nothing else to do.
func checkLimit(e *env) (string, error) {
	const limit = 300
	all, err := guests(of(spin, e.cpus, sys.CPUPolicy{Shares: 1000, Limit: limit}))
	if err != nil {
		return "", err
	}
	time.Sleep(warmUp)
	s := observe(all, second)
	err = stopAll(all)
	most := (s.wall+burst)*limit/sys.Processor + tolerance
	least := (s.wall-burst)*limit/sys.Processor - tolerance
	report := fmt.Sprintf("used=%v of %v", s.used[0].Round(time.Microsecond), s.wall.Round(time.Microsecond))
	if err == nil && (s.used[0] > most || s.used[0] < least) {
		err = fmt.Errorf("want %v to %v", least, most)
	}
	return report, err
}

// checkPoolLimit holds a pool of three guests at its limit, half of a host that has nothing else to do: they divide it by their shares.
func checkPoolLimit(e *env) (string, error) {
	limit := uint64(e.cpus * sys.Processor / 2)
	pool, err := sys.PoolCreate(&sys.CPUPolicy{Shares: 1000, Limit: uint32(limit)})
	if err != nil {
		return "", err
	}
	report, err := dividedBy(pool, []uint32{1000, 1000, 2000}, []int{1, 1, max(1, e.cpus/2)}, limit)
	return report, errors.Join(err, sys.PoolDestroy(pool))
}

func dividedBy(pool sys.Pool, shares []uint32, vcpus []int, limit uint64) (string, error) {
	var list []func() (*guest, error)
	for i, n := range vcpus {
		list = append(list, of(spin, n, sys.CPUPolicy{Shares: shares[i], Pool: pool}))
	}
	all, err := guests(list...)
	if err != nil {
		return "", err
	}
	time.Sleep(warmUp)
	s := observe(all, second)
	err = stopAll(all)
	total := s.total()
	most := (s.wall+burst)*time.Duration(limit)/sys.Processor + tolerance
	least := (s.wall-2*burst)*time.Duration(limit)/sys.Processor - tolerance
	worst := 0.0
	for i, want := range ideal(total, s.wall, shares, vcpus) {
		worst = max(worst, abs(float64(s.used[i])-want)/want)
	}
	report := fmt.Sprintf("used=%v of %v error=%.2f%%", rounded(s.used), s.wall.Round(time.Microsecond), 100*worst)
	switch {
	case err != nil:
	case total > most || total < least:
		err = fmt.Errorf("together %v, want %v to %v", total, least, most)
	case worst > poolErr:
		err = fmt.Errorf("an error above %.0f %%", 100*poolErr)
	}
	return report, err
}

// checkAffinity has a guest run on the last processor only, and moves it.
func checkAffinity(e *env) (string, error) {
	if e.cpus < 2 {
		return "one processor", nil
	}
	last := e.cpus - 1
	all, err := guests(of(spin, 1, sys.CPUPolicy{Shares: 1000, Affinity: 1 << last}), of(spin, e.cpus, sys.CPUPolicy{Shares: 1000}))
	if err != nil {
		return "", err
	}
	defer stopAll(all)
	seen := 0
	for cpu := last; cpu >= 0; cpu-- {
		if err := all[0].set(func(p *sys.CPUPolicy) { p.Affinity = 1 << cpu }); err != nil {
			return "", err
		}
		time.Sleep(takesEffect)
		for range 20 {
			var s sys.WorldStats
			if err := sys.GetVCPUStats(all[0].handle, 0, &s); err != nil {
				return "", err
			}
			if s.State == sys.WorldRunning {
				seen++
			}
			if int(s.CPU) != cpu {
				return "", fmt.Errorf("it may only run on processor %d, and is on %d", cpu, s.CPU)
			}
			time.Sleep(time.Millisecond)
		}
	}
	if seen == 0 {
		return "", fmt.Errorf("it never runs")
	}
	return fmt.Sprintf("processors=%d running=%d", e.cpus, seen), nil
}
