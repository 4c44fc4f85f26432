package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"keel/vmkernel/auth"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
)

func packed(t *testing.T, vms ...seed.VM) []byte {
	t.Helper()
	host := seed.DefaultHost()
	host.Name, host.WhenIdle = "keel-1", seed.IdlePowerOff
	b, err := seed.Pack(host, vms, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSeedIsFoundAmongBootModules(t *testing.T) {
	good := packed(t)
	for _, c := range []struct {
		name    string
		modules []bootModule
		found   bool
		want    []string // in the problems, in order
	}{
		{"none", nil, false, []string{"WARN no seed"}},
		{"PVH, without a name", []bootModule{{"", good}}, true, nil},
		{"by its word", []bootModule{{"seed", good}}, true, nil},
		{"by its path", []bootModule{{"/keel/seed.tar", good}}, true, nil},
		{"by its contents", []bootModule{{"whatever", good}}, true, nil},
		{"beside something else", []bootModule{{"microcode", []byte("x")}, {"seed", good}}, true,
			[]string{`WARN boot module ignored: it is no seed module="boot module 1 \"microcode\""`}},
		{"two", []bootModule{{"", good}, {"seed", good}}, false, []string{`ERROR no seed error="seed: 2 were given (boot module 1, boot module 2 \"seed\")`}},
		{"cut off", []bootModule{{"", good[:700]}}, false, []string{"ERROR seed refused"}},
		{"empty", []bootModule{{"", nil}}, false, []string{"ERROR seed refused"}},
		{"not a tar", []bootModule{{"seed", []byte("hello")}}, false, []string{`ERROR seed refused error="boot module 1 \"seed\": `}},
		{"a VM that can't be", []bootModule{{"", packed(t, seed.VM{Name: "bad", ID: "x"})}}, true, []string{"ERROR vm refused vm=bad"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, problems := chooseSeed(c.modules, &auth.SeedRules{})
			if found := s.Host.WhenIdle == seed.IdlePowerOff; found != c.found {
				t.Errorf("found: %v, %+v", found, s.Host)
			}
			var got []string
			for _, p := range problems {
				var b bytes.Buffer
				newLogger(&b, slog.LevelDebug).LogAttrs(t.Context(), p.level, p.message, p.attrs...)
				line := strings.NewReplacer("level=", "", `msg="`, "", "msg=", "").Replace(b.String())
				got = append(got, strings.Replace(line, `" `, " ", 1))
			}
			if len(got) != len(c.want) {
				t.Fatalf("problems %q, want %q", got, c.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], c.want[i]) {
					t.Errorf("problem %q, want %q", got[i], c.want[i])
				}
			}
		})
	}
}

func TestReadyIsTheContracts(t *testing.T) {
	var b bytes.Buffer
	log := newLogger(&b, slog.LevelInfo)
	info := &sys.Info{CPUs: 2, Memory: 1<<30 + 5, TSCHz: 80_000_000, Virt: sys.VirtVTX}
	copy(info.TSCSource[:], "hpet")
	announce(log, info)
	if !strings.HasPrefix(b.String(), "level=INFO msg=ready cpus=2 memory=1GiB virt=vt-x tsc=80000000 clock=hpet ticks=") || strings.Count(b.String(), "\n") != 1 {
		t.Errorf("%s", &b)
	}
	b.Reset()
	info.Virt = sys.VirtNone
	copy(info.NoVirt[:], "VT-x is locked off by firmware: switch it on there")
	announce(log, info)
	if !strings.Contains(b.String(), " virt=none ") || !strings.HasSuffix(b.String(), `level=ERROR msg="no VM can run here" cause="VT-x is locked off by firmware: switch it on there"`+"\n") {
		t.Errorf("%s", &b)
	}
}

func TestLogDropsItsTimeOnly(t *testing.T) {
	var b bytes.Buffer
	newLogger(&b, slog.LevelInfo).Info("vm started", "vm", "demo", slog.Group("exits", "time", 3))
	if got := b.String(); got != `level=INFO msg="vm started" vm=demo exits.time=3`+"\n" {
		t.Errorf("%q", got)
	}
}

func TestLevels(t *testing.T) {
	for name, want := range map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError, "": slog.LevelInfo} {
		if got := levelOf(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestCommandLineWords(t *testing.T) {
	for line, want := range map[string]bool{"safe": true, "a safe b": true, "unsafe": false, "safe=1": false, "": false} {
		if got := hasWord(line, "safe"); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
	if got := cString([]byte("ab\x00c")); got != "ab" {
		t.Errorf("%q", got)
	}
	if got := cString([]byte("abc")); got != "abc" {
		t.Errorf("%q", got)
	}
}

func TestNumbersDoNotWrap(t *testing.T) {
	for _, c := range []struct{ ns, hz, want uint64 }{
		{0, 80_000_000, 0}, {1_000_000_000, 80_000_000, 80_000_000}, {3600e9, 5e9, 18e12}, {^uint64(0), ^uint64(0), ^uint64(0)},
	} {
		if got := ticks(c.ns, c.hz); got != c.want {
			t.Errorf("%d ns at %d Hz: %d", c.ns, c.hz, got)
		}
	}
	for _, c := range []struct {
		s    sys.Stats
		want int64
	}{
		{sys.Stats{}, 0},
		{sys.Stats{UpperLimit: 64 << 20, UpperBacked: 8 << 20, FreeMemory: 1 << 30}, 49 << 20},
		{sys.Stats{UpperLimit: 1 << 30, UpperBacked: 8 << 20, FreeMemory: 24 << 20}, 28 << 20},
		{sys.Stats{UpperLimit: ^uint64(0), UpperBacked: ^uint64(0) >> 1, FreeMemory: ^uint64(0) >> 1}, 1 << 62},
	} {
		if got := memoryLimit(&c.s); got != c.want {
			t.Errorf("%+v: %d, want %d", c.s, got, c.want)
		}
	}
}
