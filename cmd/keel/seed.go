package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
)

// A problem is a line to log once the host is ready.
type problem struct {
	level   slog.Level
	message string
	attrs   []slog.Attr
}

// A bootModule is a file that the boot loader left in memory.
type bootModule struct {
	name string
	data []byte
}

// seedOf reads the seed among the boot modules. Where there is none, or none that can be used, it is
// that of a host without VMs.
func seedOf(info *sys.Info) (*seed.Seed, []problem) {
	var modules []bootModule
	var problems []problem
	for i := range int(info.Modules) {
		data, name, err := sys.GetModule(i)
		if err != nil {
			problems = append(problems, failure("boot module unusable", fmt.Errorf("boot module %d: %w", i+1, err)))
			continue
		}
		modules = append(modules, bootModule{name, data})
	}
	s, more := chooseSeed(modules)
	return s, append(problems, more...)
}

// chooseSeed finds the one seed among the boot modules and opens it.
func chooseSeed(modules []bootModule) (*seed.Seed, []problem) {
	none := &seed.Seed{Host: seed.DefaultHost()}
	var problems []problem
	var candidates []seed.Candidate
	for i, m := range modules {
		source := fmt.Sprintf("boot module %d", i+1)
		if m.name != "" {
			source += fmt.Sprintf(" %q", m.name)
		}
		if !isSeed(m) {
			problems = append(problems, problem{slog.LevelWarn, "boot module ignored: it is no seed", []slog.Attr{slog.String("module", source)}})
			continue
		}
		candidates = append(candidates, seed.Candidate{Source: source, Data: m.data})
	}
	chosen, err := seed.Select(candidates)
	if errors.Is(err, seed.ErrNone) {
		return none, append(problems, problem{slog.LevelWarn, "no seed", []slog.Attr{slog.String("cause", err.Error())}})
	}
	if err != nil {
		return none, append(problems, failure("no seed", err))
	}
	s, err := seed.OpenChecked(chosen.Data, func(manifest, signature []byte) error {
		if errImage != nil {
			return errImage
		}
		rules := image.SeedRules()
		_, err := rules.Check(manifest, signature)
		return err
	})
	if err != nil {
		return none, append(problems, failure("seed refused", fmt.Errorf("%s: %w", chosen.Source, err)))
	}
	for _, r := range s.Refused {
		p := failure("vm refused", r)
		if r.VM != "" {
			p.attrs = append([]slog.Attr{slog.String("vm", r.VM)}, p.attrs...)
		}
		problems = append(problems, p)
	}
	return s, problems
}

func failure(message string, err error) problem {
	return problem{slog.LevelError, message, []slog.Attr{slog.String("error", err.Error())}}
}

// isSeed says whether a boot module is meant as a seed: by its name (`seed`, or a path to a .tar), by
// having none, as QEMU's -initrd, or because it is a tar archive.
func isSeed(m bootModule) bool {
	first, _, _ := strings.Cut(strings.TrimSpace(m.name), " ")
	if first == "" || first == "seed" || strings.HasSuffix(first, ".tar") {
		return true
	}
	const magicAt, magic = 257, "ustar" // POSIX.1-1988, 10.1.1
	return len(m.data) >= magicAt+len(magic) && string(m.data[magicAt:magicAt+len(magic)]) == magic
}
