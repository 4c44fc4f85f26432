package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fakeClock is a clock that remembers by how much it was set.
func fakeClock(t *testing.T, floor, ceiling time.Time) (c *hostClock, by func() time.Duration) {
	var set time.Duration
	var b bytes.Buffer
	c = startClock(newLogger(&b, slog.LevelInfo), earliest, floor, ceiling, func(ns int64) error {
		set = time.Until(time.Unix(0, ns))
		return nil
	})
	t.Cleanup(func() { t.Log(b.String()) })
	return c, func() time.Duration { s := set; set = 0; return s.Round(time.Minute) }
}

func TestTimeNeverStartsBeforeItCanBe(t *testing.T) {
	c, by := fakeClock(t, time.Now().Add(-time.Hour), time.Time{})
	if got := by(); got != 0 || c.source != clockRTC {
		t.Errorf("a right clock was set by %v, from %s", got, c.source)
	}
	c, by = fakeClock(t, time.Now().Add(48*time.Hour), time.Time{})
	if got := by(); got != 48*time.Hour || c.source != clockSeed || !strings.Contains(c.describe(), "the seed") {
		t.Errorf("a clock two days behind was set by %v, from %s", got, c.source)
	}
	var b bytes.Buffer
	later := time.Now().Add(time.Hour)
	if c := startClock(newLogger(&b, slog.LevelInfo), later, later, time.Time{}, func(int64) error { return nil }); c.source != clockBuild || !strings.Contains(b.String(), "the machine's clock is wrong") {
		t.Errorf("%s: %s", c.source, &b)
	}
}

func TestServersThatAnAdministratorNamesAreAskedAtOnce(t *testing.T) {
	c, _ := fakeClock(t, time.Now().Add(-time.Hour), time.Time{})
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
	c, by := fakeClock(t, time.Now().Add(-time.Hour), time.Time{})
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

// TestNobodysCertificateIsMadeInvalid by a machine's clock that is dead, or a server's that is.
func TestNobodysCertificateIsMadeInvalid(t *testing.T) {
	const year = 365 * 24 * time.Hour
	now := time.Now()
	for name, c := range map[string]struct {
		floor, ceiling time.Time
		by             time.Duration
		source         string
	}{
		"a clock far beyond the CAs' end": {now.Add(-30 * year), now.Add(-20 * year), -30 * year, clockBuild},
		"CAs that have ended":             {now.Add(-3 * year), now.Add(-year), 0, clockRTC},
		"and before the image was built":  {now.Add(-year), now.Add(-20 * year), 0, clockRTC},
	} {
		if k, by := fakeClock(t, c.floor, c.ceiling); by() != c.by || k.source != c.source {
			t.Errorf("%s: from %s", name, k.source)
		}
	}
	server := []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	says := func(off time.Duration) asker {
		return func(context.Context, netip.Addr) (time.Duration, error) { return off, nil }
	}
	c, by := fakeClock(t, now.Add(-time.Hour), now.Add(year))
	if err := c.sync(t.Context(), says(2*year), server, true); err == nil || by() != 0 || !strings.Contains(err.Error(), "no operator CA is valid any more") {
		t.Errorf("a server beyond the CAs' end: %v", err)
	}
	if err := c.sync(t.Context(), says(year/2), server, true); err != nil || by() != year/2 {
		t.Errorf("a server before it: %v", err)
	}
}

// TestDoorWaitsForTheServerThatDHCPNames since IPv6 may have given the host an address before.
func TestDoorWaitsForTheServerThatDHCPNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := fakeClock(t, time.Now().Add(-time.Hour), time.Time{})
		began := time.Now()
		named := func(after time.Duration) func() []netip.Addr {
			return func() (list []netip.Addr) {
				if time.Since(began) >= after {
					list = append(list, netip.MustParseAddr("192.0.2.1"))
				}
				return list
			}
		}
		ask := func(context.Context, netip.Addr) (time.Duration, error) { return time.Minute, nil }
		asking := true
		c.first(ask, named(2*time.Second), func() bool { return asking })
		if took := time.Since(began); c.source != clockSNTP || took < 2*time.Second || took > 3*time.Second {
			t.Errorf("after %v: %s", took, c.source)
		}
		for asking, most := range map[bool]time.Duration{true: sntpNamed + time.Second, false: 0} {
			began = time.Now()
			if c.first(ask, named(time.Hour), func() bool { return asking }); time.Since(began) > most {
				t.Errorf("no server is named, asking %v: the door waits for %v", asking, time.Since(began))
			}
		}
	})
}
