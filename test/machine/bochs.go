package machine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Processors that a Bochs can have, see design.md.
const (
	Haswell  = "corei7_haswell_4770" // for what is measured: its clocks are honest
	SkylakeX = "corei7_skylake_x"    // AVX-512, PML, TSC scaling; CPUID overstates its clock
)

// IPS is how many ticks, one an instruction, make a second of a Bochs.
const IPS = 80_000_000

// startTime is what a Bochs' clock says when it starts: 2026-01-01, always,
// so that runs are equal.
const startTime = 1_767_225_600

// SeedEnv is a number from which a Bochs without a network card draws what
// RDRAND returns, 0 by default: runs with the same medium and number are equal,
// and other numbers show other runs.
const SeedEnv = "KEEL_BOCHS_SEED"

// StandStill is the library, a pattern of its path, that runs need to be equal.
const StandStill = "/usr/lib/*/faketime/libfaketime.so.1"

const (
	bochsLog     = "bochs.log"
	maxHostMiB   = 2048 // Bochs keeps what is beyond in a file
	bochsBIOS    = "/usr/share/bochs/BIOS-bochs-latest"
	bochsVGABIOS = "/usr/share/bochs/VGABIOS-lgpl-latest"
)

// Bochs is a machine in Bochs. The zero value of every field but ISO will do.
type Bochs struct {
	CPUs    int      // default 1
	MemMiB  int      // default 1024
	ISO     string   // path of a medium
	CPU     string   // default Haswell
	Network *Network // a network card, an e1000; default none
	Config  []string // more lines for its configuration file
	Debug   []string // commands for its debugger instead of "c"
}

// Program implements Machine.
func (Bochs) Program() string { return "bochs" }

func (b Bochs) command(dir string) (*command, error) {
	if b.ISO == "" {
		return nil, errors.New("Bochs boots an ISO")
	}
	iso, err := filepath.Abs(b.ISO)
	if err != nil {
		return nil, err
	}
	for _, f := range []string{iso, bochsBIOS, bochsVGABIOS} {
		if _, err := os.Stat(f); err != nil {
			return nil, err
		}
		if strings.ContainsAny(f, ",\"\n") {
			return nil, fmt.Errorf("path %q: Bochs can't take a comma, quote or newline", f)
		}
	}
	mem := orDefault(b.MemMiB, 1024)
	lines := []string{
		fmt.Sprintf("cpu: model=%s, count=%d, ips=%d, reset_on_triple_fault=0", orDefault(b.CPU, Haswell), max(b.CPUs, 1), IPS),
		fmt.Sprintf("memory: guest=%d, host=%d", mem, min(mem, maxHostMiB)),
		"romimage: file=" + bochsBIOS + ", options=fastboot",
		"vgaromimage: file=" + bochsVGABIOS,
		"pci: enabled=1, chipset=i440fx" + b.Network.bochsSlot(),
		"ata0-master: type=cdrom, path=\"" + iso + "\", status=inserted",
		"boot: cdrom",
		"com1: enabled=1, mode=file, dev=" + serialFile,
		fmt.Sprintf("clock: sync=none, time0=%d", startTime),
		"display_library: term",
		"sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy",
		"speaker: enabled=1, mode=none",
		"log: " + bochsLog,
		"panic: action=fatal",
	}
	network, err := b.Network.bochs(dir)
	if err != nil {
		return nil, err
	}
	lines = append(append(lines, network...), b.Config...)
	debug := b.Debug
	if debug == nil {
		debug = []string{"c"}
	}
	// Without "quit" a stop in the debugger would wait for a command.
	debug = append(debug[:len(debug):len(debug)], "quit")
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "bochsrc"), []byte(strings.Join(lines, "\n")+"\n"), 0o644),
		os.WriteFile(filepath.Join(dir, "debugger"), []byte(strings.Join(debug, "\n")+"\n"), 0o644),
	)
	if err != nil {
		return nil, err
	}
	c := &command{
		args:     []string{"-q", "-f", "bochsrc", "-rc", "debugger"},
		terminal: true,
		off:      bochsOff,
	}
	if b.Network == nil {
		c.env, err = standStill()
	}
	return c, err
}

// standStill is the environment in which Bochs sees the same time always. It begins the C library's random numbers, which RDRAND
// returns, with that time, and needs it for nothing else but a network.
func standStill() ([]string, error) {
	seed := 0
	if s := os.Getenv(SeedEnv); s != "" {
		var err error
		if seed, err = strconv.Atoi(s); err != nil {
			return nil, fmt.Errorf("%s: %w", SeedEnv, err)
		}
	}
	found, _ := filepath.Glob(StandStill) // its only error is a pattern that is wrong
	if len(found) == 0 {
		return nil, nil
	}
	at := time.Unix(startTime, 0).UTC().Add(time.Duration(seed) * time.Second)
	return []string{"LD_PRELOAD=" + found[0], "FAKETIME=" + at.Format(time.DateTime), "TZ=UTC"}, nil
}

// bochsOff reports whether a Bochs was switched off through ACPI. It reports
// that as a panic of its own, so the status that it exits with doesn't tell.
func bochsOff(dir string, _ error) bool {
	log, err := os.ReadFile(filepath.Join(dir, bochsLog))
	return err == nil && bytes.Contains(log, []byte("soft power off"))
}
