package main

import (
	"context"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/sys"
)

// lastWords is how long the host waits, before it switches off, for the answer to get out, and for the audit log's
// collector.
const lastWords = 3 * time.Second

// Stop implements server.Host.
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
	m.log.Info(word, "cause", "an administrator has asked for it")
	time.AfterFunc(lastWords/3, func() {
		last, cancel := context.WithTimeout(context.Background(), lastWords)
		defer cancel()
		m.id.audit.Close(last)
		end()
	})
	return nil
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
