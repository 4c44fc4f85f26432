package api

import (
	"net/netip"
	"time"
)

// Network is how the host is reached, and what it was told about that.
type Network struct {
	Card      Card           `json:"card"`
	VLAN      int            `json:"vlan,omitempty"`
	Addresses []netip.Prefix `json:"addresses,omitempty"`
	Routers   []netip.Addr   `json:"routers,omitempty"`
	DNS       []netip.Addr   `json:"dns,omitempty"`
	NTP       []netip.Addr   `json:"ntp,omitempty"`
	DHCP      string         `json:"dhcp,omitempty"` // the server that gave the address
	Config    NetworkConfig  `json:"config"`
	Pending   *Pending       `json:"pending,omitempty"`  // a change that isn't confirmed
	Fallback  string         `json:"fallback,omitempty"` // why the configuration isn't in use
}

// NetworkConfig is what an administrator gives; what is absent the network gives.
type NetworkConfig struct {
	NIC       string         `json:"nic,omitempty"`  // auto, or a card's MAC address
	VLAN      int            `json:"vlan,omitempty"` // 1..4094; 0: untagged
	Addresses []netip.Prefix `json:"addresses,omitempty"`
	Routers   []netip.Addr   `json:"routers,omitempty"`
	DNS       []netip.Addr   `json:"dns,omitempty"`
	NTP       []netip.Addr   `json:"ntp,omitempty"`
	AllowFrom []netip.Prefix `json:"allowFrom,omitempty"` // who may open connections; none: anybody
}

// Pending is a change of the network that reverts by itself. POST /v1/host/network/confirm keeps it.
type Pending struct {
	Until time.Time     `json:"until"`
	Old   NetworkConfig `json:"old"` // what it reverts to
}
