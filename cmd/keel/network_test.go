package main

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

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

// troubledCard breaks in its first moments.
type troubledCard struct{ fakeCard }

func (troubledCard) Link() nic.Link         { return nic.Link{} }
func (troubledCard) Sums() bool             { return false }
func (troubledCard) Send(f *nic.Frame) bool { return false }

func (troubledCard) Start(to nic.Receiver) error {
	to.Trouble(errors.New("it hung and was reset"))
	time.Sleep(50 * time.Millisecond) // as a reset takes: what is told is told before the stack is there
	return nil
}

// told is a log's lines.
type told chan string

func (w told) Write(b []byte) (int, error) { w <- string(b); return len(b), nil }

func TestCardThatBreaksAtItsStartIsALineOfTheLog(t *testing.T) {
	lines := make(told, 16)
	card := troubledCard{}
	n := &hostNetwork{log: newLogger(lines, slog.LevelInfo), found: []cards.Card{{Function: &pci.Function{Address: pci.At(0, 3, 0)}, NIC: card}}}
	stack, err := net.New(card, net.Config{}, net.Events{Changed: n.stateChanged, Warning: n.warning})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	for line := range lines {
		if strings.Contains(line, `msg="network trouble" nic=0000:00:03.0 error="it hung and was reset"`) {
			return
		}
	}
}

// TestVLANIsLeftOnlyWhereNobodyAnswers has Recover access keep the seed's VLAN if it is right.
func TestVLANIsLeftOnlyWhereNobodyAnswers(t *testing.T) {
	router := []netip.Addr{netip.MustParseAddr("192.0.2.254")}
	for name, c := range map[string]struct {
		state net.State
		left  bool
	}{
		"DHCP and routers are silent": {net.State{Asking: true}, true},
		"the given router is silent":  {net.State{Asking: true, Routers: router, Fallback: "router 192.0.2.254 doesn't answer"}, true},
		"the given router answers":    {net.State{Asking: true, Routers: router}, false},
		"DHCP answers":                {net.State{DHCP: router[0], Routers: router}, false},
	} {
		if got := nobodyAnswers(c.state); got != c.left {
			t.Errorf("%s: %v", name, got)
		}
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
