// Run shows Keel at work in an emulator: it makes a seed, boots the image with
// it, prints what the host says, and ends when the host has switched itself off.
//
//	go run ./tools/run [-emulator auto|qemu|bochs] [-f test/demo/demo.yaml]
//
// With auto it is QEMU, with KVM where that gives VT-x or AMD-V, and with
// QEMU's own AMD-V where it doesn't. Bochs has VT-x. It ends with status 0 only
// when a VM was started, no error was logged, and the host switched itself off.
// `make run` calls it, with the image and the guest's files made before.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"keel/boot/iso"
	"keel/test/machine"
)

type options struct {
	emulator, manifest, kernel, dir string
	cpus, memMiB                    int
	limit                           time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.emulator, "emulator", "auto", "auto, qemu (without KVM) or bochs")
	flag.StringVar(&o.manifest, "f", "test/demo/demo.yaml", "what to run, a YAML `file`")
	flag.StringVar(&o.kernel, "kernel", "build/keel.elf", "kernel image `file`")
	flag.StringVar(&o.dir, "dir", "build/run", "`folder` for the seed and the logs")
	flag.IntVar(&o.cpus, "cpus", 2, "`number` of processors")
	flag.IntVar(&o.memMiB, "memory", 1024, "memory in `MiB`")
	flag.DurationVar(&o.limit, "limit", 10*time.Minute, "end the machine after this `time`")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "run: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	seed := filepath.Join(o.dir, "seed.tar")
	keelctl := exec.CommandContext(ctx, "go", "run", "./cmd/keelctl", "seed", "create", "-f", o.manifest, "-o", seed)
	keelctl.Stdout, keelctl.Stderr = os.Stderr, os.Stderr
	if err := keelctl.Run(); err != nil {
		return fmt.Errorf("keelctl seed create -f %s: %w", o.manifest, err)
	}
	m, err := choose(ctx, o, seed)
	if err != nil {
		return err
	}
	p, err := machine.Start(m, filepath.Join(o.dir, "machine"), o.limit)
	if err != nil {
		return err
	}
	stopped := context.AfterFunc(ctx, p.Stop)
	defer stopped()
	if err := p.Follow(os.Stdout); err != nil {
		p.Stop()
		return err
	}
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err := p.Wait(ctx); err != nil {
		return err
	}
	return judge(p.Lines())
}

// choose returns the machine that o asks for, and says which it is.
func choose(ctx context.Context, o options, seed string) (machine.Machine, error) {
	q := machine.QEMU{CPUs: o.cpus, MemMiB: o.memMiB, Kernel: o.kernel, Seed: seed}
	switch o.emulator {
	case "auto":
		virt, err := machine.KVMWorks()
		if err != nil {
			reason, _, _ := strings.Cut(err.Error(), "\n")
			fmt.Fprintf(os.Stderr, "run: QEMU, emulating AMD-V (no KVM: %s)\n", reason)
			return q, nil
		}
		fmt.Fprintf(os.Stderr, "run: QEMU with KVM, which gives %s\n", virt)
		q.KVM = true
		return q, nil
	case "qemu":
		fmt.Fprintln(os.Stderr, "run: QEMU, emulating AMD-V")
		return q, nil
	case "bochs":
		medium := filepath.Join(o.dir, "keel.iso")
		if err := iso.Build(ctx, medium, iso.Options{Kernel: o.kernel, Seed: seed, Quick: true}); err != nil {
			return nil, err
		}
		fmt.Fprintln(os.Stderr, "run: Bochs, emulating VT-x")
		return machine.Bochs{CPUs: o.cpus, MemMiB: o.memMiB, ISO: medium}, nil
	}
	return nil, fmt.Errorf("no emulator %q: give auto, qemu or bochs", o.emulator)
}

// judge says what is wrong with a run of which these are the serial port's
// lines. Guest lines are prefixed with their VM's name, so they can't be taken
// for the host's.
func judge(lines []string) error {
	started := false
	for _, l := range lines {
		host := strings.HasPrefix(l, "level=") || strings.HasPrefix(l, "time=")
		started = started || host && strings.Contains(l, `msg="vm started"`)
		if host && strings.Contains(l, "level=ERROR ") {
			return fmt.Errorf("the host logged an error: %s", l)
		}
	}
	if !started {
		return errors.New("the host started no VM")
	}
	return nil
}
