package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
)

// A lost wake-up shows in that something doesn't come back for so long. It never would; what isn't lost may take seconds on an
// emulator whose time is the host's.
const lost = time.Minute

// A churner makes, changes and ends worlds at random.
type churner struct {
	rng   *rand.Rand
	e     *env
	pools []sys.Pool
	own   []*guest
	left  *atomic.Int64 // events
	ended *atomic.Int64 // worlds
	began time.Time
}

// checkChurn makes and ends worlds at random, changes them meanwhile, and has the lower half check its own invariants all the time.
func checkChurn(e *env) (string, error) {
	runtime.GC()
	var before, after sys.Stats
	sys.GetStats(&before)
	pools := []sys.Pool{0} // the first that is made holds the others
	for range 5 {
		p, err := sys.PoolCreate(&sys.CPUPolicy{Shares: 1000, Pool: pools[len(pools)/2]})
		if err != nil {
			return "", err
		}
		pools = append(pools, p)
	}
	var left, ended atomic.Int64
	left.Store(int64(e.events))
	var wg sync.WaitGroup
	errs := make([]error, 4)
	began := time.Now()
	for i := range errs {
		c := &churner{rng: rand.New(rand.NewPCG(1, uint64(i))), e: e, pools: pools, left: &left, ended: &ended, began: began}
		wg.Go(func() { errs[i] = c.run() })
	}
	wg.Wait()
	err := errors.Join(errs...)
	for i := len(pools) - 1; i > 0; i-- {
		err = errors.Join(err, sys.PoolDestroy(pools[i]))
	}
	if bad := sys.CheckWorlds(); bad != "" {
		err = errors.Join(err, errors.New(bad))
	}
	vcpus := 0
	for id := uint32(1); ; id++ {
		var s sys.WorldStats
		if sys.GetWorldStats(id, &s) != nil {
			break
		}
		if id = s.ID; s.Kind == sys.WorldVCPU {
			vcpus++
		}
	}
	runtime.GC()
	sys.GetStats(&after)
	// What the runtime keeps of its own, threads and their stacks among them, isn't Keel's to give back.
	took := int64(before.FreeMemory) - int64(after.FreeMemory) - (int64(after.UpperMapped) - int64(before.UpperMapped))
	report := fmt.Sprintf("events=%d worlds ended=%d left=%d threads then=%d taken=%dKiB", e.events, ended.Load(), vcpus, after.Worlds, took>>10)
	if vcpus != 0 {
		err = errors.Join(err, fmt.Errorf("%d virtual processors are left", vcpus))
	}
	if took > 4<<20 {
		err = errors.Join(err, fmt.Errorf("%d KiB are gone", took>>10))
	}
	return report, err
}

func (c *churner) run() (err error) {
	defer func() {
		for _, g := range c.own {
			err = errors.Join(err, c.end(g))
		}
	}()
	for n := c.left.Add(-1); n >= 0; n = c.left.Add(-1) {
		if n%1000 == 0 {
			if bad := sys.CheckWorlds(); bad != "" {
				return fmt.Errorf("with %d events to go: %s", n, bad)
			}
		}
		if n%max(int64(c.e.events)/20, 1) == 0 {
			var s sys.Stats
			sys.GetStats(&s)
			say("churn: %d events to go, after %v: %d worlds, %d MiB free", n, time.Since(c.began).Round(time.Second), s.Worlds, s.FreeMemory>>20)
		}
		if err := c.event(); err != nil {
			return fmt.Errorf("with %d events to go: %w", n, err)
		}
	}
	return nil
}

func (c *churner) event() error {
	switch k := c.rng.IntN(20); {
	case k < 9:
		return c.thread()
	case k < 12 && len(c.own) < 12:
		g, err := newGuest(c.program(), 1+c.rng.IntN(3), c.policy())
		if errors.Is(err, linux.EBUSY) {
			return nil // a processor that it was to have for itself is another's, or another's only one
		}
		if err != nil {
			return err
		}
		c.own = append(c.own, g)
		g.start()
		return nil
	case k == 12:
		return c.limitAll()
	case len(c.own) == 0:
		return nil
	}
	i := c.rng.IntN(len(c.own))
	g := c.own[i]
	switch k := c.rng.IntN(6); k {
	case 0:
		return sys.VMPause(g.handle)
	case 1:
		return sys.VMResume(g.handle)
	case 2:
		err := g.set(func(p *sys.CPUPolicy) {
			pool := p.Pool
			*p = c.policy()
			p.Pool = pool
		})
		if errors.Is(err, linux.EBUSY) {
			return nil // as above
		}
		return err
	case 3:
		return sys.VCPUKick(g.handle, c.rng.IntN(len(g.pages)))
	}
	c.own[i] = c.own[len(c.own)-1]
	c.own = c.own[:len(c.own)-1]
	return c.end(g)
}

// limitAll lets all guests together have all of the host, or more often a third: then Keel's own threads aren't paced, and more
// happens.
func (c *churner) limitAll() error {
	p := sys.CPUPolicy{Shares: 1000}
	if c.rng.IntN(4) != 0 {
		p.Limit = uint32(c.e.cpus) * sys.Processor / 3
	}
	return sys.PoolSet(c.pools[1], &p)
}

func (c *churner) program() []byte {
	return [][]byte{spin, spinDeaf, identify, ask, wait, floodInterrupts}[c.rng.IntN(6)]
}

func (c *churner) policy() sys.CPUPolicy {
	p := sys.CPUPolicy{Shares: 1 + c.rng.Uint32N(4000), Pool: c.pools[1+c.rng.IntN(len(c.pools)-1)]}
	if c.rng.IntN(3) == 0 {
		p.Limit = 10 + c.rng.Uint32N(1000)
	}
	if c.rng.IntN(3) == 0 {
		p.Reservation = c.rng.Uint32N(1 + min(max(p.Limit, 10), 50))
	}
	if c.rng.IntN(3) == 0 {
		p.Affinity = 1 + c.rng.Uint64N(1<<c.e.cpus-1)
		// Not where QEMU emulates AMD-V: it gives a processor that nothing interrupts 100 ms for each interrupt of the others.
		if c.e.info.Virt == sys.VirtVTX && c.rng.IntN(3) == 0 && p.Affinity>>sys.HostCPU&1 == 0 {
			p.Exclusive = 1
		}
	}
	return p
}

// thread makes a thread that ends.
func (c *churner) thread() error {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread() // and ends with it: the thread ends too
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(lost):
		return fmt.Errorf("a thread didn't begin within %v", lost)
	}
	c.ended.Add(1)
	return nil
}

func (c *churner) end(g *guest) error {
	back := make(chan error)
	go func() {
		_, err := g.stop()
		back <- err
	}()
	select {
	case err := <-back:
		c.ended.Add(int64(len(g.pages)))
		return err
	case <-time.After(lost):
		return fmt.Errorf("a guest didn't end within %v: %s", lost, g.states())
	}
}
