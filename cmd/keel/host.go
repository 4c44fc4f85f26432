package main

import (
	"bytes"
	"io"
	"log/slog"
	"math/bits"
	"runtime/debug"
	"strings"
	"time"

	"keel/vmkernel/api/server"
	"keel/vmkernel/datastore"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
	"keel/vmkernel/vm"
)

// newLogger logs events as lines without the time, one Write each.
func newLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// startLog has the log go to the machine's own console, and be kept for who asks at the door.
func (h *host) startLog(own io.Writer, level slog.Leveler) {
	h.lines = server.NewLines()
	h.console = io.MultiWriter(own, h.lines)
	h.own = newLogger(own, level)
	h.errors = watchErrors(newLogger(h.console, level).Handler())
	h.log = slog.New(h.errors)
}

// levelOf is the level of a seed's log.level.
func levelOf(name string) slog.Level {
	var l slog.Level
	if l.UnmarshalText([]byte(name)) != nil {
		return slog.LevelInfo
	}
	return l
}

// limitMemory makes the collector work harder before the memory ends that VMs leave to the host. It is
// called before there are any.
func limitMemory() {
	var s sys.Stats
	if sys.GetStats(&s) != nil {
		return
	}
	if limit := memoryLimit(&s); limit > 0 {
		debug.SetMemoryLimit(limit)
	}
}

// memoryLimit is what the upper half has and could still have, in bytes, less an eighth for what the
// runtime doesn't count.
func memoryLimit(s *sys.Stats) int64 {
	limit := min(s.UpperLimit, s.UpperBacked+vm.HostShare(s.FreeMemory))
	return int64(min(limit-limit/8, 1<<62))
}

// imageSpace is how much memory uploaded images may take, in bytes: a quarter of the machine's.
func imageSpace(memory uint64) int64 { return int64(memory / 4) }

// imageMemory is where their contents are: outside Go's heap, in memory that VMs can't have then.
func imageMemory(vms func() *vm.Manager) datastore.Allocator {
	return func(n int64) ([]byte, func(), error) {
		m := vms()
		if err := m.HoldMemory(uint64(n)); err != nil {
			return nil, nil, err
		}
		b, err := sys.MapMemory(n)
		if err != nil {
			m.DropMemory(uint64(n))
			return nil, nil, err
		}
		return b, func() { sys.UnmapMemory(b); m.DropMemory(uint64(n)) }, nil
	}
}

// announce says that the host is ready, and, where no VM can run, why. used is the memory that the
// host takes for itself; ticks counts the time-stamp counter from the boot loader's hand-over on.
func announce(log *slog.Logger, info *sys.Info) {
	var s sys.Stats
	sys.GetStats(&s)
	log.Info("ready", "cpus", info.CPUs, "memory", seed.FormatSize(info.Memory&^(1<<20-1)), "virt", virtName(info.Virt),
		"tsc", info.TSCHz, "clock", cString(info.TSCSource[:]), "ticks", ticks(uint64(sinceHandover()), info.TSCHz),
		"used", seed.FormatSize(s.UsedMemory))
	if info.Virt == sys.VirtNone {
		why := cString(info.NoVirt[:])
		if why == "" {
			why = "the processor has neither VT-x nor AMD-V"
		}
		log.Error("no VM can run here", "cause", why)
	}
}

func virtName(virt uint64) string {
	switch virt {
	case sys.VirtVTX:
		return "vt-x"
	case sys.VirtAMDV:
		return "amd-v"
	}
	return "none"
}

// handover is when the boot loader handed over, by the clock as it is now: the lower half says it each time, since the clock may
// have been set.
func handover() time.Time {
	var info sys.Info
	sys.GetInfo(&info)
	return time.Unix(0, int64(info.WallNS))
}

// sinceHandover is how long ago that was.
func sinceHandover() time.Duration {
	return max(0, time.Since(handover())) // the clock may be set in between
}

// ticks is ns in ticks of hz.
func ticks(ns, hz uint64) uint64 {
	const second = 1_000_000_000
	hi, lo := bits.Mul64(ns, hz)
	if hi >= second {
		return ^uint64(0)
	}
	q, _ := bits.Div64(hi, lo, second)
	return q
}

// cString is the text up to the first NUL.
func cString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// hasWord says whether a command line has word among its words.
func hasWord(line, word string) bool {
	for w := range strings.FieldsSeq(line) {
		if w == word {
			return true
		}
	}
	return false
}
