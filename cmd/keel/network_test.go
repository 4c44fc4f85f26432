package main

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
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

// pluggedCard is a network card whose link comes up when its cable is plugged in.
type pluggedCard struct {
	nic.NIC
	mac nic.MAC
	up  atomic.Bool
}

func (c *pluggedCard) Driver() string         { return "fake" }
func (c *pluggedCard) MAC() nic.MAC           { return c.mac }
func (c *pluggedCard) Sums() bool             { return false }
func (c *pluggedCard) Send(f *nic.Frame) bool { return true }
func (c *pluggedCard) Link() nic.Link         { return nic.Link{Up: c.up.Load()} }

func (c *pluggedCard) Start(to nic.Receiver) error {
	to.LinkChanged(c.Link())
	return nil
}

// bus is PCI's with network cards: their command registers.
type bus struct {
	pci.Host
	command map[pci.Address]uint32
}

func (b bus) Read(a pci.Address, off, size int) uint32 {
	command, ok := b.command[a]
	switch {
	case !ok:
		return 0xFFFF_FFFF
	case off == 0:
		return 0x1AF4
	case off == 4:
		return command
	}
	return 0
}

func (b bus) Write(a pci.Address, off, size int, v uint32) error {
	b.command[a] = v
	return nil
}

// TestHostMovesToTheCardThatIsPluggedIn where none was when it started, and stays on it then.
func TestHostMovesToTheCardThatIsPluggedIn(t *testing.T) {
	b := bus{command: map[pci.Address]uint32{pci.At(0, 3, 0): pci.CommandMaster, pci.At(0, 4, 0): 0}}
	first, second := &pluggedCard{mac: nic.MAC{2, 0, 0, 0, 0, 1}}, &pluggedCard{mac: nic.MAC{2, 0, 0, 0, 0, 2}}
	n := &hostNetwork{log: newLogger(io.Discard, slog.LevelInfo), usable: make(chan struct{}, 1)}
	for i, f := range pci.Walk(b) {
		n.found = append(n.found, cards.Card{Function: f, NIC: []nic.NIC{first, second}[i]})
	}
	var err error
	if n.stack, err = net.New(first, net.Config{}, net.Events{Changed: n.stateChanged, Warning: n.warning}); err != nil {
		t.Fatal(err)
	}
	defer n.stack.Close()
	time.AfterFunc(100*time.Millisecond, func() { second.up.Store(true) })
	n.findLink()
	if n.stack.NIC() != nic.NIC(second) || !n.stack.State().Link.Up {
		t.Errorf("it is on %v", n.stack.NIC().MAC())
	}
	if b.command[pci.At(0, 3, 0)]&pci.CommandMaster != 0 || b.command[pci.At(0, 4, 0)]&pci.CommandMaster == 0 {
		t.Errorf("%x", b.command)
	}
	first.up.Store(true)
	if n.findLink(); n.stack.NIC() != nic.NIC(second) {
		t.Error("it has left a card that has a link")
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
