package main

import (
	"context"
	"log/slog"

	"keel/vmkernel/release"
	"keel/vmkernel/seed"
)

// doorPort is the one TCP port that the host answers on.
const doorPort = 443

// openDoor gives the host its network, its clock the network's time, and opens the door.
func (h *host) openDoor() {
	m := &h.seed.Host.Management
	if m.NIC == "" {
		if h.unreached() {
			return
		}
		m.NIC = seed.NICAuto // so that it can be claimed
	}
	found := findCards(h.log)
	n, err := startNetwork(h.log, &h.seed.Host, found, h.recover, h.networkChanged)
	h.page.cards(found)
	if err != nil {
		level := slog.LevelError
		if h.seed.source == "" {
			level = slog.LevelWarn // nobody has asked for one
		}
		h.log.Log(context.Background(), level, "no network", "error", err)
		h.offline.Store(true)
		h.page.changed()
		return
	}
	if n.wants == seed.NICAuto {
		go h.guarded("link", n.findLink)
	}
	h.id.net.Store(n)
	h.vms.IdleAfter(idleAfter)
	<-n.usable
	h.firstTime(n)
	go h.guarded("clock", func() { h.clock.follow(context.Background(), n.stack.AskTime, n.timeServers) })
	h.listen(n)
}

// unreached says whether the host's seed gives it no network, and nobody before the machine has asked to recover access.
func (h *host) unreached() bool {
	return h.seed.Host.Management.NIC == "" && h.seed.source != "" && !h.recover
}

// firstTime asks for the time, where somebody knows it, and waits for it a little.
func (h *host) firstTime(n *hostNetwork) {
	h.clock.first(n.stack.AskTime, n.timeServers, func() bool { return n.stack.State().Asking })
}

// listen opens the door.
func (h *host) listen(n *hostNetwork) {
	l, err := n.stack.Listen(doorPort)
	if err != nil {
		h.log.Error("the door can't be opened", "error", err)
		h.offline.Store(true)
		h.page.changed()
		return
	}
	h.named(n)
	h.id.trust.Listening()
	h.door.Store(true)
	list := n.addresses()
	h.log.Info("door open", "address", listOf(n.stack.State().Addresses), "port", doorPort, "version", release.Own().Name,
		"fingerprint", string(h.id.key.Fingerprint()), "clock", h.clock.now().source,
		"ticks", ticks(uint64(h.up()), h.info.TSCHz))
	if len(list) > 0 {
		h.id.showClaim(h.own, list[0].String())
	}
	h.page.changed()
	h.serve(l)
}

// networkChanged is told of addresses and links.
func (h *host) networkChanged() {
	if n := h.id.net.Load(); n != nil && h.door.Load() {
		h.named(n)
	}
	h.page.changed()
}

// named has the host's certificate be for the addresses that it has.
func (h *host) named(n *hostNetwork) {
	if err := h.id.key.SetNames([]string{h.id.name}, n.addresses(), h.id.floor); err != nil {
		h.log.Error("the host's certificate", "error", err)
	}
}
