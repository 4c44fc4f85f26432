package main

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"keel/drivers/cards"
	"keel/drivers/nic"
	"keel/drivers/pci"
	"keel/vmkernel/net"
)

type fakeCard struct{ nic.NIC }

func (fakeCard) Driver() string { return "e1000" }
func (fakeCard) MAC() nic.MAC   { return nic.MAC{0x52, 0x54, 0, 0x12, 0x34, 0x56} }

func TestNetworkIsOneLineForEachChange(t *testing.T) {
	var b bytes.Buffer
	w := &hostNetwork{log: newLogger(&b, slog.LevelInfo), found: []cards.Card{{Function: &pci.Function{Address: pci.At(0, 3, 0)}, Driver: "e1000", NIC: fakeCard{}}}}
	up := nic.Link{Up: true, Mbps: 1000}
	with := []netip.Prefix{netip.MustParsePrefix("10.0.2.15/24")}
	for _, s := range []net.State{
		{Link: up}, // nothing to say yet
		{Link: up, Addresses: with},
		{Link: up, Addresses: with}, // the lease has been renewed
		{Addresses: with},
		{Link: up, Addresses: with},
	} {
		s.Card = fakeCard{}
		w.stateChanged(s)
	}
	const about = " msg=network nic=0000:00:03.0 driver=e1000 mac=52:54:00:12:34:56 link="
	want := "level=INFO" + about + "1000Mbit/s address=10.0.2.15/24\n" +
		"level=WARN" + about + "down address=10.0.2.15/24\n" +
		"level=INFO" + about + "1000Mbit/s address=10.0.2.15/24\n"
	if got := b.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if listOf(nil) != "none" || !strings.Contains(listOf(append(with, with...)), ",") {
		t.Error("lists of addresses")
	}
}

func TestCardsAreChosenByAddress(t *testing.T) {
	if m := macOf("52:54:00:ab:cd:ef"); m != (nic.MAC{0x52, 0x54, 0, 0xAB, 0xCD, 0xEF}) {
		t.Errorf("%v", m)
	}
	if m := macOf("auto"); m != (nic.MAC{}) {
		t.Errorf("auto is %v", m)
	}
}
