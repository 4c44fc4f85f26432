package main

import (
	"fmt"
	"math/bits"
	"net/netip"
	"strings"
	"time"

	"keel/drivers/cards"
	"keel/vmkernel/api"
	"keel/vmkernel/api/backend"
	"keel/vmkernel/audit"
	"keel/vmkernel/net"
	"keel/vmkernel/sys"
)

// managed is the host as the door shows it: backend.Host.
type managed struct{ *host }

func invalid(err error) error { return &api.Error{Code: api.CodeInvalid, Message: err.Error()} }

func conflict(err error) error { return &api.Error{Code: api.CodeConflict, Message: err.Error()} }

// Info implements backend.Host.
func (m managed) Info() api.Host {
	var s sys.Stats
	sys.GetStats(&s)
	page := m.page.info()
	h := api.Host{
		State:   strings.ToLower(string(page.State)),
		Serial:  page.Serial,
		Started: handover().UTC(),
		Hardware: api.Hardware{
			CPUs: int(m.info.CPUs), CPUModel: cpuModel(), Virtualisation: page.Virt, TSCHz: m.info.TSCHz,
			ClockSource: cString(m.info.TSCSource[:]), Memory: m.info.Memory, DMAProtection: page.DMAProtected,
		},
		Resources: api.HostResources{MemoryUsed: s.UsedMemory, MemoryFree: s.FreeMemory, Worlds: int(s.Worlds)},
		Seed:      api.HostSeed{Source: m.seed.source, Others: m.seed.notUsed},
	}
	var nodes sys.Nodes
	if sys.GetNodes(&nodes) == nil {
		h.Resources.Nodes = nodesOf(&nodes)
	}
	if m.seed.signature != nil {
		h.Seed.Signer = m.seed.signature.Signer.Subject.CommonName
	}
	for _, c := range m.page.foundCards() {
		h.Hardware.Cards = append(h.Hardware.Cards, cardOf(c))
	}
	h.Health.Problems = m.problems()
	return h
}

// nodesOf are the host's NUMA nodes as the API shows them.
func nodesOf(all *sys.Nodes) (list []api.HostNode) {
	for _, n := range all.Node[:min(all.N, sys.MaxNodes)] {
		node := api.HostNode{Node: n.Domain, Memory: n.Total, MemoryFree: n.Free, MemoryClean: n.Clean}
		for cpus := n.CPUs; cpus != 0; cpus &= cpus - 1 {
			node.CPUs = append(node.CPUs, bits.TrailingZeros64(cpus))
		}
		list = append(list, node)
	}
	return list
}

// problems are what an administrator should look at.
func (m managed) problems() (list []string) {
	if m.info.Virt == sys.VirtNone {
		list = append(list, "no VM can run here: "+cString(m.info.NoVirt[:]))
	}
	if m.safe {
		list = append(list, "started without VMs")
	}
	if st := m.net().State(); st.Fallback != "" {
		list = append(list, "network: "+st.Fallback)
	}
	if c := m.clock.now(); c.source == clockBuild || c.source == clockSeed {
		list = append(list, "the clock isn't set: it shows "+m.clock.describe())
	}
	list = append(list, m.seed.notUsed...)
	if last := m.errors.last(); last != "" {
		list = append(list, backend.LastError+last)
	}
	return list
}

func (m managed) net() *net.Stack { return m.id.net.Load().stack }

// cpuModel is the processor's name (CPUID leaves 80000002H to 80000004H).
func cpuModel() string {
	const first, leaves = 0x8000_0002, 3
	if most, _, _, _ := sys.HostCPUID(first&^0xF, 0); most < first+leaves-1 {
		return ""
	}
	var b []byte
	for leaf := range uint32(leaves) {
		eax, ebx, ecx, edx := sys.HostCPUID(first+leaf, 0)
		for _, v := range [...]uint32{eax, ebx, ecx, edx} {
			b = append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
		}
	}
	return strings.Join(strings.Fields(cString(b)), " ")
}

func cardOf(c cards.Card) api.Card {
	a := api.Card{Address: c.Function.Address.String(), Driver: c.Driver}
	if c.NIC != nil {
		a.MAC, a.Link = c.NIC.MAC().String(), c.NIC.Link().String()
	}
	return a
}

// Time implements backend.Host.
func (m managed) Time() api.HostTime {
	c := m.clock.now()
	t := api.HostTime{Now: time.Now().UTC(), Source: c.source, Last: c.last}
	servers := c.servers
	if servers == nil {
		servers = m.id.net.Load().timeServers()
	}
	for _, s := range servers {
		t.Servers = append(t.Servers, s.String())
	}
	return t
}

// SetTime implements backend.Host.
func (m managed) SetTime(t api.HostTimeSet) error {
	var servers []netip.Addr
	if t.Servers != nil {
		for _, s := range *t.Servers {
			a, err := netip.ParseAddr(s)
			if err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
				return invalid(fmt.Errorf("servers: %.60q is no host's address: give one as 192.0.2.1", s))
			}
			servers = append(servers, a)
		}
		if len(servers) > maxTimeServers {
			return invalid(fmt.Errorf("servers: %d are given; at most %d are asked", len(servers), maxTimeServers))
		}
	}
	if t.Now != nil {
		if err := m.clock.setBy(*t.Now); err != nil {
			return invalid(fmt.Errorf("now: %w", err))
		}
		m.log.Info("clock", "source", clockSet)
	}
	if t.Servers != nil {
		m.clock.use(servers)
	}
	return nil
}

// maxTimeServers is how many an administrator can name.
const maxTimeServers = 8

// Network implements backend.Host.
func (m managed) Network() api.Network {
	n := m.id.net.Load()
	st, config := n.stack.State(), n.stack.Config()
	n.mu.Lock()
	wants, before := n.wants, n.base
	n.mu.Unlock()
	out := api.Network{
		Card: cardOf(n.card()),
		VLAN: int(config.VLAN), Addresses: st.Addresses, Routers: st.Routers, DNS: st.DNS, NTP: st.NTP,
		Config: configOf(config, wants), Fallback: st.Fallback,
	}
	if st.DHCP.IsValid() {
		out.DHCP = st.DHCP.String()
	}
	if base, until, ok := n.stack.Trial(); ok {
		out.Pending = &api.Pending{Until: until.UTC(), Old: configOf(base, before)}
	}
	return out
}

func configOf(c net.Config, wants string) api.NetworkConfig {
	return api.NetworkConfig{NIC: wants, VLAN: int(c.VLAN), Addresses: c.Addresses, Routers: c.Routers, DNS: c.DNS, NTP: c.NTP, AllowFrom: c.AllowFrom}
}

// SetNetwork implements backend.Host.
func (m managed) SetNetwork(c api.NetworkConfig) error {
	n := m.id.net.Load()
	config := net.Config{Name: m.seed.Host.Name, VLAN: uint16(c.VLAN), Addresses: c.Addresses, Routers: c.Routers, DNS: c.DNS, NTP: c.NTP, AllowFrom: c.AllowFrom}
	if c.VLAN < 0 || c.VLAN > net.MaxVLAN {
		return invalid(fmt.Errorf("vlan: %d is none: give 1 to %d, or leave it out", c.VLAN, net.MaxVLAN))
	}
	if err := config.Check(); err != nil {
		return invalid(err)
	}
	card, wants, err := n.pick(c.NIC)
	if err != nil {
		return invalid(err)
	}
	config.Card = card
	_, _, pending := n.stack.Trial()
	n.try(wants, pending)
	_, err = n.stack.Try(config, net.ConfirmWithin, func(err error) {
		n.settled(true)
		m.id.audit.Event(audit.Entry{Action: "host.network.reverted", On: m.seed.Host.Name})
		if err != nil {
			m.log.Error("the network's change can't be made: it is as before", "error", err)
		} else {
			m.log.Warn("the network's change is reverted: nobody has confirmed it", "within", net.ConfirmWithin.String())
		}
	})
	if err != nil {
		return invalid(err)
	}
	m.log.Info("the network's change is tried", "until confirmed, for", net.ConfirmWithin.String())
	return nil
}

// ConfirmNetwork implements backend.Host.
func (m managed) ConfirmNetwork() error {
	n := m.id.net.Load()
	if err := n.stack.Confirm(); err != nil {
		return conflict(err)
	}
	n.settled(false)
	m.log.Info("the network's change is confirmed")
	return nil
}
