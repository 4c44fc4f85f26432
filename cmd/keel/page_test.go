package main

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"
	"time"

	"keel/vmkernel/seed"
	"keel/vmkernel/status"
)

func TestLastErrorIsRemembered(t *testing.T) {
	var b bytes.Buffer
	w := watchErrors(newLogger(&b, slog.LevelInfo).Handler())
	told := 0
	w.notify = func() { told++ }
	log := slog.New(w)
	log.Warn("only a warning")
	if w.last() != "" || told != 0 {
		t.Errorf("%q, told %d times", w.last(), told)
	}
	log.With("vm", "demo").Error("vm not started", "error", errors.New("no memory"))
	if w.last() != "vm not started: no memory" || told != 1 || bytes.Count(b.Bytes(), []byte("\n")) != 2 {
		t.Errorf("%q, told %d times, log:\n%s", w.last(), told, &b)
	}
}

func TestStateIsTheHosts(t *testing.T) {
	open := func(h *host) { h.door.Store(true) }
	for name, c := range map[string]struct {
		set            func(*host)
		claim, reached bool
		want           status.State
	}{
		"on its way":        {func(*host) {}, false, false, status.Starting},
		"without a network": {func(h *host) { h.seed.Host.Management.NIC = "" }, false, false, status.Ready},
		"recovered without": {func(h *host) {
			open(h)
			h.seed.Host.Management.NIC, h.safe, h.recover = "", true, true
		}, true, true, status.Recovery},
		"without a card":    {func(h *host) { h.offline.Store(true) }, false, false, status.Offline},
		"without an answer": {func(h *host) { h.up = func() time.Duration { return time.Hour } }, false, false, status.Offline},
		"open":              {open, false, true, status.Ready},
		"cable pulled":      {open, false, false, status.Offline},
		"nobody's":          {open, true, true, status.Unclaimed},
		"safe":              {func(h *host) { open(h); h.safe = true }, false, true, status.Safe},
		"recovery":          {func(h *host) { open(h); h.safe, h.recover = true, true }, true, true, status.Recovery},
	} {
		h := &host{up: func() time.Duration { return 0 }, seed: &appliedSeed{Seed: &seed.Seed{}, source: "boot module 1"}}
		h.seed.Host.Management.NIC = seed.NICAuto
		c.set(h)
		if got := newStatusPage(h).state(c.claim, c.reached); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestFaultOfManagementEndsItsPartAlone(t *testing.T) {
	var b bytes.Buffer
	h := &host{log: newLogger(&b, slog.LevelInfo)}
	h.guarded("door", func() { panic("oh") })
	if !bytes.Contains(b.Bytes(), []byte("part=door panic=oh")) {
		t.Errorf("%s", &b)
	}
}
