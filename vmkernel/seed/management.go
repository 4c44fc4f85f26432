package seed

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
)

// NICAuto is the Management.NIC that means: the first network card with a link.
const NICAuto = "auto"

// maxHosts is how many addresses a list of Management's may hold.
const maxHosts = 8

// Limits of Management's.
const (
	MaxVLAN    = 4094
	maxAllowed = 64 // networks in allowFrom
)

// Management sets how the host is reached. The zero value is a host without a network.
type Management struct {
	NIC string `json:"nic,omitempty"` // auto, or a card's MAC address, such as 52:54:00:12:34:56; "": none
	// Addresses are the host's own. Without one of IPv4, DHCP gives it.
	Addresses []netip.Prefix `json:"addresses,omitempty"`
	Routers   []netip.Addr   `json:"routers,omitempty"` // within the addresses' networks, or link-local
	DNS       []netip.Addr   `json:"dns,omitempty"`
	NTP       []netip.Addr   `json:"ntp,omitempty"`
	VLAN      uint16         `json:"vlan,omitempty"`      // 1..MaxVLAN of IEEE 802.1Q; 0: frames without a tag
	AllowFrom []netip.Prefix `json:"allowFrom,omitempty"` // the networks that may reach the management port; none: all
}

// management decodes the key `management`. A host without it has no network.
func (d *Decoder) management(host *object) (m Management) {
	given := host.get("management") != nil
	o := host.group("management").in("host.management")
	if given {
		m.NIC = NICAuto
	}
	nic := o.get("nic")
	if s, ok := d.text(nic); ok {
		if m.NIC = strings.ToLower(s); s != NICAuto && !isMAC(m.NIC) {
			d.fail(nic, "%s is no network card: give auto, or its MAC address as 52:54:00:12:34:56", quote(s))
		}
	}
	if n := o.get("vlan"); n != nil {
		m.VLAN = uint16(d.integer(n, 1, MaxVLAN))
	}
	for _, n := range o.list("allowFrom", maxAllowed) {
		s, ok := d.text(n)
		if !ok {
			continue
		}
		switch p, err := netip.ParsePrefix(s); {
		case err != nil || p.Addr().Is4In6():
			d.fail(n, "%s is no network: give one with its length, as 192.0.2.0/24", quote(s))
		case p != p.Masked():
			d.fail(n, "%s has bits of a host: the network is %s, one host %s/%d", quote(s), p.Masked(), p.Addr(), p.Addr().BitLen())
		default:
			m.AllowFrom = append(m.AllowFrom, p)
		}
	}
	for _, n := range o.list("addresses", maxHosts) {
		s, ok := d.text(n)
		if !ok {
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil || !isHost(p.Addr()) || p.Bits() == 0 {
			d.fail(n, "%s is no address: give a host's with its network's length, as 192.0.2.5/24", quote(s))
			continue
		}
		if slices.ContainsFunc(m.Addresses, func(q netip.Prefix) bool { return p.Addr() == q.Addr() }) {
			d.fail(n, "%s is there twice", quote(s))
			continue
		}
		m.Addresses = append(m.Addresses, p)
	}
	for _, list := range []struct {
		key string
		to  *[]netip.Addr
	}{{"routers", &m.Routers}, {"dns", &m.DNS}, {"ntp", &m.NTP}} {
		for _, n := range o.list(list.key, maxHosts) {
			s, ok := d.text(n)
			if !ok {
				continue
			}
			a, err := netip.ParseAddr(s)
			switch {
			case err != nil || !isHost(a):
				d.fail(n, "%s is no host's address: give one as 192.0.2.1", quote(s))
			case list.key == "routers" && !m.reaches(a):
				d.fail(n, "%s is in no network of management.addresses", quote(s))
			default:
				*list.to = append(*list.to, a)
			}
		}
	}
	o.done()
	return m
}

// reaches says whether a is at hand for a host with these addresses.
func (m *Management) reaches(a netip.Addr) bool {
	if a.IsLinkLocalUnicast() {
		return true
	}
	for _, p := range m.Addresses {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// isHost says whether an address may be one host's.
func isHost(a netip.Addr) bool {
	return a.IsValid() && a.Zone() == "" && !a.Is4In6() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback()
}

// isMAC says whether s is a card's own Ethernet address, in lower case: no group's.
func isMAC(s string) bool {
	if len(s) != 17 {
		return false
	}
	for i := 2; i < len(s); i += 3 {
		if s[i] != ':' {
			return false
		}
	}
	b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	return err == nil && len(b) == 6 && b[0]&1 == 0
}
