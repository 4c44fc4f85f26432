package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"keel/drivers/cards"
	"keel/drivers/metal"
	"keel/drivers/nic"
	"keel/vmkernel/net"
	"keel/vmkernel/seed"
)

// hostNetwork is the host's own network.
type hostNetwork struct {
	log     *slog.Logger
	stack   *net.Stack
	found   []cards.Card
	changed func() // told of what the status page shows
	usable  chan struct{}

	mu    sync.Mutex
	last  string
	wants string // management.nic, of the seed or an administrator's
	base  string // what that goes back to, while a change waits for confirmation
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
// what they are. While access to the host is recovered its seed can't keep it from being reached, by naming a card that isn't
// there, or addresses, a VLAN or others' networks alone: whoever comes needs the code from its console.
func startNetwork(log *slog.Logger, host *seed.Host, found []cards.Card, recovered bool, changed func()) (*hostNetwork, error) {
	m := host.Management
	card, err := cards.Choose(found, macOf(m.NIC))
	if recovered && errors.Is(err, cards.ErrNoSuch) {
		log.Warn("another network card than the seed's is taken, while access is recovered", "error", err)
		m.NIC = seed.NICAuto
		card, err = cards.Pick(found, nic.MAC{})
	}
	if err != nil {
		return nil, err
	}
	if recovered && len(m.AllowFrom) > 0 {
		log.Warn("hosts in all networks may reach this one, while access is recovered", "otherwise", fmt.Sprint(m.AllowFrom))
		m.AllowFrom = nil
	}
	if recovered && len(m.Addresses) > 0 {
		log.Warn("DHCP is asked for an address as well, while access is recovered", "otherwise", listOf(m.Addresses))
	}
	n := &hostNetwork{log: log, found: found, wants: m.NIC, changed: changed, usable: make(chan struct{}, 1)}
	n.stack, err = net.New(card, net.Config{Name: host.Name, VLAN: m.VLAN, Addresses: m.Addresses, DHCP: recovered, Routers: m.Routers, DNS: m.DNS, NTP: m.NTP, AllowFrom: m.AllowFrom},
		net.Events{Changed: n.stateChanged, Warning: n.warning})
	if err != nil {
		return nil, err
	}
	if recovered && m.VLAN != 0 {
		time.AfterFunc(untagAfter, func() { n.leaveVLAN(m.VLAN) })
	}
	return n, nil
}

// untagAfter is how long somebody in the seed's VLAN has to answer, while access is recovered.
const untagAfter = 15 * time.Second

// leaveVLAN leaves the seed's VLAN if nobody in it answers: neither DHCP nor a router.
func (n *hostNetwork) leaveVLAN(vlan uint16) {
	if !nobodyAnswers(n.stack.State()) {
		return
	}
	n.log.Warn("the VLAN is left, while access is recovered: neither DHCP nor a router answers in it", "otherwise", vlan)
	if err := n.stack.Change(func(c *net.Config) { c.VLAN = 0 }); err != nil {
		n.log.Error("leaving the VLAN", "error", err)
	}
}

// nobodyAnswers says whether a host that asks DHCP has found neither that nor a router.
func nobodyAnswers(s net.State) bool {
	return s.Asking && (len(s.Routers) == 0 || s.Fallback != "")
}

// lookEvery is how often the cards' links are looked at while the host's has not been up yet.
const lookEvery = time.Second

// findLink moves a host that may be reached by any card to the first whose link comes up, for as long as its own hasn't been:
// who plugs the cable in late needn't restart it.
func (n *hostNetwork) findLink() {
	for ; !n.stack.State().Link.Up; time.Sleep(lookEvery) {
		i := slices.IndexFunc(n.found, func(c cards.Card) bool { return c.NIC != nil && c.NIC.Link().Up })
		if i < 0 || n.found[i].NIC == n.stack.NIC() {
			continue // whose link the stack is about to be told of
		}
		c := n.found[i]
		n.log.Info("the host moves to the network card that has a link", "nic", c.Function.Address.String())
		err := c.Function.Enable()
		if err == nil {
			err = n.stack.Change(func(config *net.Config) { config.Card = c.NIC })
		}
		cards.Rest(n.found, n.stack.NIC())
		if err != nil {
			n.log.Error("the network card can't be used", "nic", c.Function.Address.String(), "error", err)
			return
		}
	}
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
	card := n.cardOf(s.Card)
	n.log.Log(context.Background(), level, "network", "nic", card.Function.Address.String(), "driver", card.Driver, "mac", card.NIC.MAC().String(),
		"link", s.Link.String(), "address", listOf(s.Addresses))
	if s.Link.Up {
		select {
		case n.usable <- struct{}{}:
		default:
		}
	}
}

// warning is called from the card's start on, when there is no stack yet.
func (n *hostNetwork) warning(on nic.NIC, err error) {
	n.log.Warn("network trouble", "nic", n.cardOf(on).Function.Address.String(), "error", err)
}

// card is the one that the host is reached by.
func (n *hostNetwork) card() cards.Card { return n.cardOf(n.stack.NIC()) }

func (n *hostNetwork) cardOf(c nic.NIC) cards.Card {
	return n.found[slices.IndexFunc(n.found, func(f cards.Card) bool { return f.NIC == c })]
}

// pick finds the card that an administrator asks for, and what management.nic is then.
func (n *hostNetwork) pick(asked string) (nic.NIC, string, error) {
	n.mu.Lock()
	wants := n.wants
	n.mu.Unlock()
	asked = strings.ToLower(asked)
	if asked == "" || asked == wants {
		return n.stack.NIC(), wants, nil
	}
	if m := macOf(asked); asked != seed.NICAuto && asked != m.String() {
		return nil, "", fmt.Errorf("nic: %.40q is none: give auto, or a card's MAC address as 52:54:00:12:34:56", asked)
	}
	c, err := cards.Pick(n.found, macOf(asked))
	if err != nil {
		return nil, "", fmt.Errorf("nic: %w", err)
	}
	return c, asked, nil
}

// try remembers what management.nic is, from now on and unless that is confirmed.
func (n *hostNetwork) try(wants string, pending bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !pending {
		n.base = n.wants
	}
	n.wants = wants
}

// settled switches the cards off that aren't in use; back: the change wasn't confirmed.
func (n *hostNetwork) settled(back bool) {
	n.mu.Lock()
	if back {
		n.wants = n.base
	}
	n.mu.Unlock()
	cards.Rest(n.found, n.stack.NIC())
	if n.changed != nil {
		n.changed()
	}
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
