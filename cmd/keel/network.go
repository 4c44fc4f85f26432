package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"keel/drivers/cards"
	"keel/drivers/metal"
	"keel/drivers/nic"
	"keel/drivers/pci"
	"keel/vmkernel/net"
	"keel/vmkernel/seed"
)

// hostNetwork is the host's own network.
type hostNetwork struct {
	log      *slog.Logger
	stack    *net.Stack
	nic      nic.NIC
	function *pci.Function
	wants    string // the seed's management.nic
	changed  func() // told of what the status page shows
	usable   chan struct{}

	mu   sync.Mutex
	last string
}

// findCards finds the machine's network cards, and says which have no driver.
func findCards(log *slog.Logger) []cards.Card {
	found := cards.Find(metal.Host{})
	for _, c := range found {
		if c.Driver == "" {
			log.Warn("network card without a driver", "nic", c.Function.String())
		}
	}
	return found
}

// startNetwork gives the host its own network. Addresses come later: each time they change, one line of the log says
// what they are.
func startNetwork(log *slog.Logger, host *seed.Host, found []cards.Card, changed func()) (*hostNetwork, error) {
	card, which, err := cards.Choose(found, macOf(host.Management.NIC))
	if err != nil {
		return nil, err
	}
	n := &hostNetwork{log: log, nic: card, function: which.Function, wants: host.Management.NIC, changed: changed, usable: make(chan struct{}, 1)}
	m := &host.Management
	n.stack, err = net.New(card, net.Config{Name: host.Name, VLAN: m.VLAN, Addresses: m.Addresses, Routers: m.Routers, DNS: m.DNS, NTP: m.NTP, AllowFrom: m.AllowFrom},
		net.Events{Changed: n.stateChanged, Warning: n.warning})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// macOf is the address that the seed chooses a card by, zero for auto: the seed has checked it.
func macOf(s string) (m nic.MAC) {
	if s != seed.NICAuto {
		fmt.Sscanf(s, "%02x:%02x:%02x:%02x:%02x:%02x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5])
	}
	return m
}

// stateChanged logs a line where what it says has changed. Before there is an address, that is only a
// cable that isn't there.
func (n *hostNetwork) stateChanged(s net.State) {
	if n.changed != nil {
		defer n.changed()
	}
	what := fmt.Sprint(s.Link, s.Addresses)
	n.mu.Lock()
	same := what == n.last || s.Link.Up && len(s.Addresses) == 0
	if !same {
		n.last = what
	}
	n.mu.Unlock()
	if same {
		return
	}
	level := slog.LevelInfo
	if !s.Link.Up {
		level = slog.LevelWarn
	}
	n.log.Log(context.Background(), level, "network", "nic", n.function.Address.String(), "driver", n.nic.Driver(), "mac", n.nic.MAC().String(),
		"link", s.Link.String(), "address", listOf(s.Addresses))
	if s.Link.Up {
		select {
		case n.usable <- struct{}{}:
		default:
		}
	}
}

func (n *hostNetwork) warning(err error) {
	n.log.Warn("network trouble", "nic", n.function.Address.String(), "error", err)
}

// addresses are what the host is reached by now.
func (n *hostNetwork) addresses() (list []netip.Addr) {
	if n == nil {
		return nil
	}
	for _, p := range n.stack.State().Addresses {
		list = append(list, p.Addr())
	}
	return list
}

// timeServers are those that the seed, an administrator or DHCP has named.
func (n *hostNetwork) timeServers() []netip.Addr { return slices.Clone(n.stack.State().NTP) }

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
