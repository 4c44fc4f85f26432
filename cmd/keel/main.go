package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	_ "keel/boot" // the entry from firmware
	"keel/vmkernel/datastore"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
	"keel/vmkernel/vm"

	_ "keel/vmkernel/core" // the lower half
)

func main() {
	console := os.Stdout
	level := &slog.LevelVar{}
	log := newLogger(console, level)
	var info sys.Info
	if err := sys.GetInfo(&info); err != nil {
		log.Error("not on the bare machine: boot this image with GRUB or QEMU's -kernel", "error", err)
		os.Exit(1)
	}
	limitMemory()

	given, problems := seedOf(&info)
	host := given.Host
	sys.SetPolicy(host.OnPanic == seed.PanicRestart)
	level.Set(levelOf(host.Log.Level))

	announce(log, &info)
	if errImage != nil {
		log.Error("no seed is taken", "error", errImage)
	}
	for _, p := range problems {
		log.LogAttrs(context.Background(), p.level, p.message, p.attrs...)
	}
	// The network takes its time, and nothing waits for it.
	go func() {
		if _, err := startNetwork(log, &host); err != nil {
			log.Error("no network", "error", err)
		}
	}()
	safe := hasWord(cString(info.CommandLine[:]), "safe")
	if lastCrash(log, console, time.Now()) {
		log.Warn("safe start: the host has crashed three times within ten minutes")
		safe = true
	}
	if runVMs(log, console, &info, given, safe) && host.WhenIdle == seed.IdlePowerOff {
		log.Info("power-off", "cause", "no VM runs, and whenIdle is poweroff")
		sys.PowerOff()
	}
	for { // the runtime takes a program that waits for nothing for dead
		time.Sleep(time.Hour)
	}
}

// runVMs starts the seed's VMs, unless safe is set, and waits for the last to stop. It returns false where none may run.
func runVMs(log *slog.Logger, console io.Writer, info *sys.Info, s *seed.Seed, safe bool) bool {
	if safe {
		log.Warn("safe start: no VM is started", "vms", len(s.VMs))
		return false
	}
	if info.Virt == sys.VirtNone {
		return false // announce has said why
	}
	var m *vm.Manager
	images := datastore.NewMemory(imageSpace(info.Memory), imageMemory(func() *vm.Manager { return m }))
	for _, f := range s.Files {
		if err := images.AddFile(f); err != nil {
			log.Error("image refused", "image", f.Name, "error", err)
		}
	}
	m = vm.NewManager(vm.Kernel{}, vm.Host{Virt: info.Virt, TSCHz: info.TSCHz, CPUID: sys.HostCPUID}, log, console, images)
	if err := m.AddPools(s.Host.Pools); err != nil {
		log.Error("pools refused", "error", err) // VMs in them are, too
	}
	for _, v := range s.VMs {
		if _, _, err := m.Create(v); err != nil {
			log.Error("vm refused", "vm", v.Name, "error", err)
		}
	}
	m.Autostart(context.Background())
	m.WaitIdle()
	return true
}
