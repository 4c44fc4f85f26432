package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/sys"
)

func TestThreeCrashesWithinTenMinutesStartSafely(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ago := func(d time.Duration) uint64 { return uint64(now.Add(-d).UnixNano()) }
	for _, c := range []struct {
		name  string
		times [sys.CrashTimes]uint64
		safe  bool
	}{
		{"one", [3]uint64{ago(time.Second)}, false},
		{"two", [3]uint64{ago(time.Second), ago(time.Minute)}, false},
		{"three", [3]uint64{ago(time.Second), ago(time.Minute), ago(9 * time.Minute)}, true},
		{"three, slowly", [3]uint64{ago(time.Second), ago(time.Minute), ago(11 * time.Minute)}, false},
		{"a clock that was set back", [3]uint64{ago(-time.Hour), ago(-time.Hour), ago(-time.Hour)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			crash := &sys.Crash{Times: c.times}
			text := "level=ERROR msg=\"fatal fault\"\n  rip=0x1\n"
			crash.Length = uint64(copy(crash.Text[:], text))
			var out bytes.Buffer
			if got := showCrash(newLogger(&out, slog.LevelInfo), &out, crash, now); got != c.safe {
				t.Errorf("safe = %v, want %v", got, c.safe)
			}
			if !strings.Contains(out.String(), "crash|   rip=0x1\n") {
				t.Errorf("the record isn't shown:\n%s", out.String())
			}
		})
	}
}
