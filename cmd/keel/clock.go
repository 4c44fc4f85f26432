package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"keel/vmkernel/auth"
)

// Where the time of day is from.
const (
	clockRTC   = "rtc"   // the machine's own clock
	clockBuild = "build" // no earlier than the image, since the machine's clock was
	clockSeed  = "seed"  // likewise the seed's signature, or its CAs
	clockSNTP  = "sntp"
	clockSet   = "set" // by an administrator
)

// How the clock follows a server.
const (
	sntpBeforeDoor = 10 * time.Second // how long the door waits for the first answer
	sntpEvery      = 17 * time.Minute
	sntpRetry      = time.Minute
	sntpLeast      = 50 * time.Millisecond // what is less is left alone
	// sntpMost is how far the clock is set at once, after the first answer: who forges answers can't
	// move it beyond anybody's certificate.
	sntpMost = time.Hour
)

// hostClock is the host's time of day.
type hostClock struct {
	log   *slog.Logger
	set   func(ns int64) error
	floor time.Time // it can't be earlier

	mu      sync.Mutex
	source  string
	server  netip.Addr   // that answered last
	last    time.Time    // when
	servers []netip.Addr // by an administrator; nil: those that the network knows
	changed func()       // told of a new source

	renamed chan struct{} // of one: servers are others now
}

// startClock has the time of day be no earlier than can be: the image's build, the seed's signature, and when the CAs
// that the host trusts begin.
func startClock(log *slog.Logger, built, seedFloor time.Time, set func(ns int64) error) *hostClock {
	c := &hostClock{log: log, set: set, floor: seedFloor, source: clockRTC, renamed: make(chan struct{}, 1)}
	now, raised := auth.StartTime(time.Now(), seedFloor)
	if !raised {
		return c
	}
	c.source = clockSeed
	if !seedFloor.After(built) {
		c.source = clockBuild
	}
	log.Warn("the machine's clock is wrong", "it says", time.Now().UTC().Format(time.RFC3339), "instead", now.UTC().Format(time.RFC3339), "from", c.source)
	c.adjust(time.Until(now))
	return c
}

// adjust moves the clock.
func (c *hostClock) adjust(by time.Duration) error {
	return c.set(time.Now().Add(by).Round(0).UnixNano())
}

// setBy sets the clock for an administrator.
func (c *hostClock) setBy(t time.Time) error {
	if t.Before(c.floor) {
		return fmt.Errorf("it can't be %s: the host's image or what it trusts begins at %s", t.UTC().Format(time.RFC3339), c.floor.UTC().Format(time.RFC3339))
	}
	if err := c.set(t.UnixNano()); err != nil {
		return err
	}
	c.from(clockSet, netip.Addr{})
	return nil
}

func (c *hostClock) from(source string, server netip.Addr) {
	c.mu.Lock()
	c.source, c.server = source, server
	if source == clockSNTP {
		c.last = time.Now()
	}
	changed := c.changed
	c.mu.Unlock()
	if changed != nil {
		changed()
	}
}

// clockState is a hostClock at one moment.
type clockState struct {
	source  string
	last    time.Time
	servers []netip.Addr // nil: those that the network knows
}

func (c *hostClock) now() clockState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return clockState{c.source, c.last, c.servers}
}

// use has the clock follow these servers from now on; none: those that the network knows.
func (c *hostClock) use(servers []netip.Addr) {
	if len(servers) == 0 {
		servers = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.servers = servers
	c.last = time.Time{} // they are believed as the first ones were
	select {
	case c.renamed <- struct{}{}:
	default:
	}
}

// describe says which clock is in use.
func (c *hostClock) describe() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.source {
	case clockSNTP:
		return "SNTP from " + c.server.String()
	case clockRTC:
		return "the machine's own clock"
	case clockBuild:
		return "the image's build: the machine's own clock is wrong"
	case clockSeed:
		return "the seed: the machine's own clock is wrong"
	}
	return "set by an administrator"
}

// asker asks a time server how far off the clock is.
type asker func(ctx context.Context, server netip.Addr) (time.Duration, error)

// sync asks servers in turn until one answers, and sets the clock by it. first: by however much.
func (c *hostClock) sync(ctx context.Context, ask asker, servers []netip.Addr, first bool) error {
	c.mu.Lock()
	if c.servers != nil {
		servers = c.servers
	}
	c.mu.Unlock()
	var failed []error
	for _, s := range servers {
		off, err := ask(ctx, s)
		now := time.Now().Add(off)
		switch {
		case err != nil:
		case now.Before(c.floor):
			err = fmt.Errorf("sntp: %v says that it is %s, and it can't be before %s", s, now.UTC().Format(time.RFC3339), c.floor.UTC().Format(time.RFC3339))
		case !first && off.Abs() > sntpMost:
			err = fmt.Errorf("sntp: %v says that the clock is wrong by %v: set it yourself if that is so", s, off.Round(time.Second))
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if off.Abs() >= sntpLeast {
			if err := c.adjust(off); err != nil {
				return err
			}
		}
		if first || off.Abs() > time.Second {
			c.log.Info("clock", "source", "sntp", "server", s.String(), "off", off.Round(time.Millisecond).String())
		}
		c.from(clockSNTP, s)
		return nil
	}
	return errors.Join(failed...)
}

// follow keeps the clock right. servers are asked for anew each time.
func (c *hostClock) follow(ctx context.Context, ask asker, servers func() []netip.Addr) {
	told := false
	for {
		c.mu.Lock()
		wait := sntpEvery
		if c.source != clockSNTP {
			wait = sntpRetry
		}
		c.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-c.renamed:
		case <-time.After(wait):
		}
		c.mu.Lock()
		first := c.last.IsZero() && c.source != clockSet
		c.mu.Unlock()
		once, cancel := context.WithTimeout(ctx, sntpBeforeDoor)
		err := c.sync(once, ask, servers(), first)
		cancel()
		if err != nil && !told {
			c.log.Warn("no time server can be used", "error", err)
		}
		told = err != nil
	}
}
