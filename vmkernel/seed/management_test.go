package seed

import (
	"net/netip"
	"reflect"
	"testing"
)

func TestManagement(t *testing.T) {
	for text, want := range map[string]Management{
		`{}`:                        {},
		`{"management":{}}`:         {NIC: "auto"},
		`{"management":{"ntp":[]}}`: {NIC: "auto"},
		`{"management":{"nic":"52:54:00:AB:CD:EF"}}`: {NIC: "52:54:00:ab:cd:ef"},
		`{"management":{"addresses":["192.0.2.5/24","2001:db8::5/64"],"routers":["192.0.2.1","fe80::1"],"dns":["192.0.2.2"],"ntp":["198.51.100.3"]}}`: {
			NIC:       "auto",
			Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.5/24"), netip.MustParsePrefix("2001:db8::5/64")},
			Routers:   []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fe80::1")},
			DNS:       []netip.Addr{netip.MustParseAddr("192.0.2.2")},
			NTP:       []netip.Addr{netip.MustParseAddr("198.51.100.3")},
		},
		`{"management":{"vlan":4094,"allowFrom":["192.0.2.0/24","2001:db8::7/128"]}}`: {
			NIC: "auto", VLAN: 4094, AllowFrom: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::7/128")},
		},
	} {
		s, err := Parse(ofJSON(t, `{"apiVersion":"keel/v1","host":`+text+`,FILES}`))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if !reflect.DeepEqual(s.Host.Management, want) {
			t.Errorf("%s: %+v, want %+v", text, s.Host.Management, want)
		}
		again, err := Parse(pack(t, s.Host, nil, nil))
		if err != nil || !reflect.DeepEqual(again.Host, s.Host) {
			t.Errorf("%s: written and read again: %+v, %v", text, again, err)
		}
	}
}
