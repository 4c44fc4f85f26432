package main

import (
	"context"
	"time"

	"keel/vmkernel/audit"
	"keel/vmkernel/datastore"
	"keel/vmkernel/sys"
	"keel/vmkernel/vm"
)

// idleAfter is how long an administrator has to start a VM after the last has stopped, before a host that is to power
// off when idle does.
const idleAfter = 10 * time.Second

// defineVMs makes the seed's images and VMs, without starting any.
func (h *host) defineVMs() {
	images := datastore.NewMemory(imageSpace(h.info.Memory), imageMemory(func() *vm.Manager { return h.vms }))
	for _, f := range h.seed.Files {
		if err := images.AddFile(f); err != nil {
			h.log.Error("image refused", "image", f.Name, "error", err)
		}
	}
	h.vms = vm.NewManager(vm.Kernel{}, vm.Host{Virt: h.info.Virt, TSCHz: h.info.TSCHz, CPUID: sys.HostCPUID}, h.log, h.console, images)
	h.vms.OnEvent(h.vmEvent)
	if err := h.vms.AddPools(h.seed.Host.Pools); err != nil {
		h.log.Error("pools refused", "error", err) // VMs in them are, too
	}
	for _, v := range h.seed.VMs {
		if _, _, err := h.vms.Create(v); err != nil {
			h.log.Error("vm refused", "vm", v.Name, "error", err)
		}
	}
}

// runVMs starts the seed's VMs, unless the start is a safe one, and waits for the last to stop. It returns false where
// none may run.
func (h *host) runVMs() bool {
	switch {
	case h.safe:
		h.log.Warn("safe start: no VM is started", "vms", len(h.seed.VMs))
		return false
	case h.vms == nil || h.info.Virt == sys.VirtNone:
		return false // the log says why
	}
	h.vms.Autostart(context.Background())
	h.vms.WaitIdle()
	return true
}

// recorded are the events of VMs that stand in the audit log.
var recorded = map[vm.EventKind]string{
	vm.Started: "vm.started", vm.NotStarted: "vm.not-started", vm.Ended: "vm.stopped", vm.Crashed: "vm.crashed",
}

// vmEvent takes what happens to VMs.
func (h *host) vmEvent(e vm.Event) {
	if action := recorded[e.Kind]; action != "" {
		h.id.audit.Event(audit.Entry{Action: action, On: e.VM, Detail: e.Reason})
	}
	if h.page != nil {
		h.page.changed()
	}
}
