package main

import (
	"context"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/sys"
)

// What the host waits for before it switches off.
const (
	lastWords   = time.Second      // for the answer to get out
	lastRecords = 20 * time.Second // for the audit log's collector, if there is one
)

// Stop implements backend.Host.
func (m managed) Stop(ctx context.Context, restart, force bool, progress func(api.Progress)) error {
	m.page.stop(true)
	if err := m.stopVMs(ctx, force, progress); err != nil {
		m.page.stop(false)
		return err
	}
	end, word := sys.PowerOff, "power-off"
	if restart {
		end, word = sys.Restart, "restart"
	}
	m.vms.Hold() // for good: whenIdle doesn't switch off a host that is to restart
	time.AfterFunc(lastWords, func() {
		m.endAudit()
		m.log.Info(word, "cause", "an administrator has asked for it") // the log's last line
		end()
	})
	return nil
}

// endAudit ends the audit log, and has its collector take what it hasn't yet.
func (h *host) endAudit() {
	ctx, cancel := context.WithTimeout(context.Background(), lastRecords)
	defer cancel()
	if err := h.id.audit.Close(ctx); err != nil {
		h.log.Error("the audit log ends here", "error", err)
	}
}

// stopVMs stops all VMs that are on: by their power buttons, or, with force, at once.
func (m managed) stopVMs(ctx context.Context, force bool, progress func(api.Progress)) error {
	p := api.Progress{Unit: "vms"}
	return m.vms.ShutdownAll(ctx, force, func(left int) {
		p.Total = max(p.Total, uint64(left))
		p.Done = p.Total - uint64(left)
		progress(p)
	})
}
