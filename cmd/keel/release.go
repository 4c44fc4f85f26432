package main

import (
	"runtime/debug"
	"time"
)

// release is the version of what runs.
func release() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// earliest is before any image of this source: the build's time where the image doesn't say.
var earliest = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
