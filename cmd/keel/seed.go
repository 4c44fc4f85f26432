package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"keel/vmkernel/auth"
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

// appliedSeed is the seed that the host runs by.
type appliedSeed struct {
	*seed.Seed
	source    string              // "": none was given, or none that can be used
	signature *auth.SeedSignature // nil: it isn't signed
	notUsed   []string            // why another wasn't used
}

// seedOf reads the seed among the boot modules, if rules let it. Where there is none, or none that can be used, it is
// that of a host without VMs.
func seedOf(info *sys.Info, rules *auth.SeedRules) (*appliedSeed, []problem) {
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
	s, more := chooseSeed(modules, rules)
	for _, p := range append(problems, more...) {
		if p.message != "vm refused" && p.message != "no seed" {
			s.notUsed = append(s.notUsed, p.String())
		}
	}
	return s, append(problems, more...)
}

// chooseSeed finds the one seed among the boot modules and opens it.
func chooseSeed(modules []bootModule, rules *auth.SeedRules) (*appliedSeed, []problem) {
	none := &appliedSeed{Seed: &seed.Seed{Host: seed.DefaultHost()}}
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
	s := &appliedSeed{source: chosen.Source}
	s.Seed, err = seed.OpenChecked(chosen.Data, func(manifest, signature []byte) (err error) {
		if errImage != nil {
			return errImage
		}
		s.signature, err = rules.Check(manifest, signature)
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

// String is the problem as the status page has it.
func (p problem) String() string {
	s := p.message
	for _, a := range p.attrs {
		s += ": " + a.Value.String()
	}
	return s
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
