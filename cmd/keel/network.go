package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"keel/drivers/cards"
	"keel/drivers/metal"
	"keel/drivers/nic"
	"keel/drivers/pci"
	"keel/vmkernel/net"
	"keel/vmkernel/seed"
)

// startNetwork gives the host its own network, where the seed says so. Addresses come later: each time
// they change, one line of the log says what they are.
func startNetwork(log *slog.Logger, host *seed.Host) (*net.Stack, error) {
	if host.Management.NIC == "" {
		return nil, nil
	}
	found := cards.Find(metal.Host{})
	for _, c := range found {
		if c.Driver == "" {
			log.Warn("network card without a driver", "nic", c.Function.String())
		}
	}
	card, which, err := cards.Choose(found, macOf(host.Management.NIC))
	if err != nil {
		return nil, err
	}
	m := &host.Management
	w := &networkLog{log: log, nic: card, function: which.Function}
	return net.New(card, net.Config{Name: host.Name, VLAN: m.VLAN, Addresses: m.Addresses, Routers: m.Routers, DNS: m.DNS, NTP: m.NTP, AllowFrom: m.AllowFrom},
		net.Events{Changed: w.changed, Warning: w.warning})
}

// macOf is the address that the seed chooses a card by, zero for auto: the seed has checked it.
func macOf(s string) (m nic.MAC) {
	if s != seed.NICAuto {
		fmt.Sscanf(s, "%02x:%02x:%02x:%02x:%02x:%02x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5])
	}
	return m
}

// networkLog tells the log of the network.
type networkLog struct {
	log      *slog.Logger
	nic      nic.NIC
	function *pci.Function
	last     string
}

// changed logs a line where what it says has changed. Before there is an address, that is only a
// cable that isn't there.
func (w *networkLog) changed(s net.State) {
	what := fmt.Sprint(s.Link, s.Addresses)
	if what == w.last || s.Link.Up && len(s.Addresses) == 0 {
		return
	}
	w.last = what
	level := slog.LevelInfo
	if !s.Link.Up {
		level = slog.LevelWarn
	}
	w.log.Log(context.Background(), level, "network", "nic", w.function.Address.String(), "driver", w.nic.Driver(), "mac", w.nic.MAC().String(),
		"link", s.Link.String(), "address", listOf(s.Addresses))
}

func (w *networkLog) warning(err error) {
	w.log.Warn("network trouble", "nic", w.function.Address.String(), "error", err)
}

func listOf(addresses []netip.Prefix) string {
	if len(addresses) == 0 {
		return "none"
	}
	var list []string
	for _, a := range addresses {
		list = append(list, a.String())
	}
	return strings.Join(list, ",")
}
