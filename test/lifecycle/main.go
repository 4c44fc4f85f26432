package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	_ "keel/boot"
	"keel/vmkernel/console"
	_ "keel/vmkernel/core"
	"keel/vmkernel/datastore"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
	"keel/vmkernel/vm"
)

// env is what the checks run with.
type env struct {
	m    *vm.Manager
	v    *vm.VM
	port *console.Port
	text *console.Watcher
	info sys.Info
}

// A check returns what it measured. The guest's shell waits before each and after it.
type check struct {
	name string
	run  func(context.Context, *env) (string, error)
}

var checks = []check{
	{"type", checkType},
	{"paste", checkPaste},
	{"pause", checkPause},
	{"nmi", checkNMI},
	{"reset", checkReset},
	{"shutdown", checkShutdown},
	{"images", checkImages},
	{"churn", checkChurn},
}

// limit is how long a check may take.
const limit = 3 * time.Minute

func main() {
	failed, err := run()
	if err != nil {
		say("FAIL start: %v", err)
		failed++
	}
	if failed > 0 {
		time.Sleep(100 * time.Millisecond) // so that what it is about is printed as well
	}
	sys.PowerOff()
}

func say(format string, args ...any) { fmt.Printf("lifecycle| "+format+"\n", args...) }

func run() (failed int, err error) {
	e, err := newEnv()
	if err != nil {
		return 0, err
	}
	line, _, _ := bytes.Cut(e.info.CommandLine[:], []byte{0})
	var only []string
	for w := range strings.FieldsSeq(string(line)) {
		if names, ok := strings.CutPrefix(w, "lifecycle="); ok {
			only = strings.Split(names, ",")
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	if err := e.start(ctx); err != nil {
		cancel()
		return 0, err
	}
	cancel()
	passed := 0
	for _, c := range checks {
		if only != nil && !slices.Contains(only, c.name) {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		began := time.Now()
		report, err := c.run(ctx, e)
		took := time.Since(began).Round(time.Millisecond)
		cancel()
		if err != nil {
			failed++
			say("FAIL %s: %v (%v)", c.name, err, took)
			continue
		}
		passed++
		say("PASS %s %s (%v)", c.name, report, took)
	}
	say("%d passed, %d failed", passed, failed)
	return failed, nil
}

// newEnv makes the first VM of the seed that the machine was booted with.
func newEnv() (*env, error) {
	e := &env{}
	if err := sys.GetInfo(&e.info); err != nil {
		return nil, err
	}
	data, _, err := sys.GetModule(0)
	if err != nil {
		return nil, err
	}
	s, err := seed.Open(data)
	if err != nil {
		return nil, err
	}
	if len(s.VMs) == 0 {
		return nil, errors.New("the seed has no VM")
	}
	images := datastore.NewMemory(64<<20, imageMemory)
	for _, f := range s.Files {
		if err := images.AddFile(f); err != nil {
			return nil, err
		}
	}
	log := slog.New(slog.NewTextHandler(os.Stdout, nil))
	host := vm.Host{Virt: e.info.Virt, TSCHz: e.info.TSCHz, CPUID: sys.HostCPUID}
	e.m = vm.NewManager(vm.Kernel{}, host, log, os.Stdout, images)
	if e.v, _, err = e.m.Create(s.VMs[0]); err != nil {
		return nil, err
	}
	e.port = e.v.Console("")
	e.text, err = e.port.Watch("lifecycle", -1)
	return e, err
}

func imageMemory(n int64) ([]byte, func(), error) {
	b, err := sys.MapMemory(n)
	return b, func() { sys.UnmapMemory(b) }, err
}

// start starts the VM and waits for its shell.
func (e *env) start(ctx context.Context) error {
	if err := e.v.Start(ctx); err != nil {
		return err
	}
	return e.expect(ctx, "shell ready")
}

// expect waits until the guest prints a text.
func (e *env) expect(ctx context.Context, want string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var had []byte
	buf := make([]byte, 4<<10)
	for !bytes.Contains(had, []byte(want)) {
		n, _, _, err := e.text.Read(ctx, buf)
		if err != nil {
			return fmt.Errorf("the guest doesn't print %q, but %q: %w", want, had[max(0, len(had)-300):], err)
		}
		had = append(had, buf[:n]...)
	}
	return nil
}

// typeTo types to the guest.
func (e *env) typeTo(ctx context.Context, text string) error {
	w, err := e.port.Hold("lifecycle", false)
	if err != nil {
		return err
	}
	defer w.Close()
	_, err = w.Write(ctx, []byte(text))
	return err
}

// answers says whether the shell does.
func (e *env) answers(ctx context.Context, sum int) error {
	return errors.Join(e.typeTo(ctx, fmt.Sprintf("echo is=$((%d+1))\n", sum-1)), e.expect(ctx, fmt.Sprintf("is=%d", sum)))
}
