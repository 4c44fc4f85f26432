package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// fakeClock is a clock that remembers by how much it was set.
func fakeClock(t *testing.T, floor time.Time) (c *hostClock, by func() time.Duration) {
	var set time.Duration
	var b bytes.Buffer
	c = startClock(newLogger(&b, slog.LevelInfo), earliest, floor, func(ns int64) error {
		set = time.Until(time.Unix(0, ns))
		return nil
	})
	t.Cleanup(func() { t.Log(b.String()) })
	return c, func() time.Duration { s := set; set = 0; return s.Round(time.Minute) }
}

func TestTimeNeverStartsBeforeItCanBe(t *testing.T) {
	c, by := fakeClock(t, time.Now().Add(-time.Hour))
	if got := by(); got != 0 || c.source != clockRTC {
		t.Errorf("a right clock was set by %v, from %s", got, c.source)
	}
	c, by = fakeClock(t, time.Now().Add(48*time.Hour))
	if got := by(); got != 48*time.Hour || c.source != clockSeed || !strings.Contains(c.describe(), "the seed") {
		t.Errorf("a clock two days behind was set by %v, from %s", got, c.source)
	}
	var b bytes.Buffer
	later := time.Now().Add(time.Hour)
	if c := startClock(newLogger(&b, slog.LevelInfo), later, later, func(int64) error { return nil }); c.source != clockBuild || !strings.Contains(b.String(), "the machine's clock is wrong") {
		t.Errorf("%s: %s", c.source, &b)
	}
}

func TestServersThatAnAdministratorNamesAreAskedAtOnce(t *testing.T) {
	c, _ := fakeClock(t, time.Now().Add(-time.Hour))
	c.from(clockSNTP, netip.MustParseAddr("192.0.2.1")) // the next question is due in sntpEvery
	asked := make(chan netip.Addr)
	go c.follow(t.Context(), func(ctx context.Context, s netip.Addr) (time.Duration, error) {
		select {
		case asked <- s:
		case <-ctx.Done():
		}
		return 0, ctx.Err()
	}, func() []netip.Addr { return nil })
	c.use([]netip.Addr{netip.MustParseAddr("192.0.2.9")})
	select {
	case s := <-asked:
		if s.String() != "192.0.2.9" {
			t.Errorf("%v is asked", s)
		}
	case <-time.After(20 * time.Second):
		t.Error("nobody is asked")
	}
}

func TestClockFollowsServersThatCanBeRight(t *testing.T) {
	c, by := fakeClock(t, time.Now().Add(-time.Hour))
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	off := map[netip.Addr]time.Duration{}
	ask := func(_ context.Context, s netip.Addr) (time.Duration, error) {
		if d, ok := off[s]; ok {
			return d, nil
		}
		return 0, errors.New("no answer")
	}
	list := []netip.Addr{a, b}
	if err := c.sync(t.Context(), ask, list, true); err == nil || c.source != clockRTC {
		t.Errorf("nobody answers: %v, %s", err, c.source)
	}
	off[b] = 100 * time.Hour
	if err := c.sync(t.Context(), ask, list, true); err != nil || by() != 100*time.Hour || c.describe() != "SNTP from 192.0.2.2" {
		t.Errorf("the second answers: %v, %s", err, c.describe())
	}
	for _, d := range []time.Duration{-2 * time.Hour, 2 * time.Hour} {
		off[a], off[b] = d, d
		if err := c.sync(t.Context(), ask, list, false); err == nil || by() != 0 {
			t.Errorf("%v, later: %v", d, err)
		}
	}
	if err := c.sync(t.Context(), ask, list, true); err != nil || by() != 2*time.Hour {
		t.Errorf("2 h, first: %v", err)
	}
	off[a] = -2 * time.Hour
	delete(off, b)
	if err := c.sync(t.Context(), ask, list, true); err == nil || !strings.Contains(err.Error(), "can't be before") {
		t.Errorf("before the floor: %v", err)
	}
	c.servers = []netip.Addr{b}
	off[b] = time.Second
	if err := c.sync(t.Context(), ask, []netip.Addr{a}, false); err != nil {
		t.Errorf("an administrator's server: %v", err)
	}
	if err := c.setBy(time.Now().Add(-2 * time.Hour)); err == nil {
		t.Error("an administrator set the clock before the floor")
	}
	if err := c.setBy(time.Now().Add(2 * time.Hour)); err != nil || by() != 2*time.Hour || c.source != clockSet {
		t.Errorf("an administrator: %v, %s", err, c.source)
	}
}
