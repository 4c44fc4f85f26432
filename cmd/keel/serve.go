package main

import (
	"net"

	"keel/vmkernel/api/machines"
	"keel/vmkernel/api/server"
	"keel/vmkernel/release"
)

// serve answers at the door. What goes wrong there costs one call, and never a VM.
func (h *host) serve(l net.Listener) {
	s := server.New(server.Config{
		Name: h.seed.Host.Name, Version: release.Own().Name, Build: builtAt().Format("2006-01-02T15:04:05Z"),
		VMs: machines.New(h.vms), Images: h.vms.Images(), Host: managed{h}, Trust: h.id.trust, Key: h.id.key, Audit: h.id.audit,
		Lines: h.lines, Log: h.log,
	})
	if err := s.Serve(l); err != nil {
		h.log.Error("the door is closed", "error", err)
	}
	h.door.Store(false)
	h.page.changed()
}
