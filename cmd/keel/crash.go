package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"keel/vmkernel/sys"
)

// Crashes that came so close after each other that the cause may be a VM: then none is started.
const (
	manyCrashes   = sys.CrashTimes
	crashesWithin = 10 * time.Minute
)

// lastCrash shows what a crash before a warm restart left behind, once, and says whether the host has
// crashed so often that it should start without VMs.
func lastCrash(log *slog.Logger, console io.Writer, now time.Time) (safe bool) {
	var c sys.Crash
	if sys.GetCrash(&c) != nil {
		return false
	}
	return showCrash(log, console, &c, now)
}

func showCrash(log *slog.Logger, console io.Writer, c *sys.Crash, now time.Time) (safe bool) {
	if c.Length != 0 && c.Length <= uint64(len(c.Text)) {
		log.Error("the host has crashed: what its console showed last follows", "at", time.Unix(0, int64(c.Times[0])).UTC().Format(time.RFC3339))
		for line := range strings.SplitSeq(strings.TrimRight(string(c.Text[:c.Length]), "\n"), "\n") {
			fmt.Fprintf(console, "crash| %s\n", line)
		}
	}
	oldest := c.Times[manyCrashes-1]
	age := now.Sub(time.Unix(0, int64(oldest)))
	return oldest != 0 && age >= 0 && age < crashesWithin
}
