package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	_ "keel/boot" // the entry from firmware
	"keel/vmkernel/api/server"
	"keel/vmkernel/auth"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
	"keel/vmkernel/vm"

	_ "keel/vmkernel/core" // the lower half
)

// host is what the parts of the kernel's main share.
type host struct {
	info    sys.Info
	up      func() time.Duration // since the boot loader handed over
	seed    *appliedSeed
	safe    bool // no VM is started
	recover bool // someone at the boot menu has asked for a claim

	log     *slog.Logger // to console
	errors  *errorWatch
	console io.Writer     // the machine's own, and lines; for the guests' lines too
	lines   *server.Lines // what the door shows of the log
	own     *slog.Logger  // to the machine's own console alone
	clock   *hostClock
	id      *identity
	vms     *vm.Manager
	page    *statusPage

	door    atomic.Bool // it is open
	offline atomic.Bool // and won't be
}

func main() {
	h := &host{}
	level := &slog.LevelVar{}
	h.startLog(os.Stdout, level)
	if err := sys.GetInfo(&h.info); err != nil {
		h.log.Error("not on the bare machine: boot this image with GRUB or QEMU's -kernel", "error", err)
		os.Exit(1)
	}
	h.up = sinceHandover
	limitMemory()

	rules := image.SeedRules()
	var problems []problem
	h.seed, problems = seedOf(&h.info, &rules)
	config := &h.seed.Host
	sys.SetPolicy(config.OnPanic == seed.PanicRestart)
	level.Set(levelOf(config.Log.Level))

	announce(h.log, &h.info)
	if errImage != nil {
		h.log.Error("no seed is taken", "error", errImage)
	}
	for _, p := range problems {
		h.log.LogAttrs(context.Background(), p.level, p.message, p.attrs...)
	}
	h.recover = hasWord(cString(h.info.CommandLine[:]), "recover")
	h.safe = h.recover || hasWord(cString(h.info.CommandLine[:]), "safe")
	if lastCrash(h.log, h.console, time.Now()) {
		h.log.Warn("safe start: the host has crashed three times within ten minutes")
		h.safe = true
	}
	if err := h.begin(); err != nil {
		h.log.Error("the host can't be managed", "error", err)
	} else {
		go h.guarded("status page", h.page.run)
		go h.guarded("door", h.openDoor) // which takes its time, and nothing waits for it
	}
	if h.runVMs() && config.WhenIdle == seed.IdlePowerOff {
		h.log.Info("power-off", "cause", "no VM runs, and whenIdle is poweroff")
		if h.id != nil {
			h.endAudit()
		}
		sys.PowerOff()
	}
	for { // the runtime takes a program that waits for nothing for dead
		time.Sleep(time.Hour)
	}
}

// begin sets the clock right as far as can be, makes the host's identity, and defines its VMs.
func (h *host) begin() error {
	trust, floor, err := trustOf(h.seed, h.recover)
	if err != nil {
		return err
	}
	h.clock = startClock(h.log, builtAt(), floor, auth.Ceiling(trust.CAs), sys.SetClock)
	if h.id, err = newIdentity(h.seed.Host.Name, trust, floor); err != nil {
		return err
	}
	if c := h.seed.Host.Audit.Collector; c != nil {
		if err := h.id.audit.Forward(c); err != nil {
			h.log.Error("the audit log is not forwarded", "collector", c.Address, "error", err)
		}
	}
	h.id.seedApplied(h.seed, h.safe, h.recover)
	h.defineVMs()
	h.page = newStatusPage(h)
	h.clock.changed, h.errors.notify = h.page.changed, h.page.changed
	h.id.trust.Watch(h.page.changed)
	return nil
}

// guarded runs a part of the host's management. What goes wrong there takes no VM with it.
func (h *host) guarded(what string, part func()) {
	defer func() {
		if e := recover(); e != nil {
			h.log.Error("a fault of Keel's: this part of it has ended", "part", what, "panic", fmt.Sprint(e), "stack", string(debug.Stack()))
		}
	}()
	part()
}
