package door

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func newRates(l *Limits) *rates {
	return &rates{limits: l, sources: map[netip.Prefix]*source{}}
}

func from(a string) netip.Prefix { return sourceOf(netip.MustParseAddr(a)) }

// bent is a listener of one connection, on which reading panics as a fault in the handshake would.
type bent struct{ come chan net.Conn }

func (b bent) Accept() (net.Conn, error) {
	if c, ok := <-b.come; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (b bent) Addr() net.Addr { return nil }
func (b bent) Close() error   { return nil }

type panics struct{ net.Conn }

func (panics) Read([]byte) (int, error) { panic("bent") }

func TestAFaultInAHandshakeEndsItsConnectionAlone(t *testing.T) {
	ours, theirs := net.Pipe()
	l := bent{make(chan net.Conn, 1)}
	l.come <- panics{ours}
	said := make(chan string, 1)
	d := New(l, Config{TLS: &tls.Config{}, Limits: DefaultLimits(), Refused: func(_ netip.Addr, why string, err error) {
		said <- why + ": " + err.Error()
	}})
	defer d.Close()
	if got := <-said; !strings.HasPrefix(got, "fault: panic: bent\n") {
		t.Errorf("%s", got)
	}
	theirs.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := theirs.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection: %v", err)
	}
	if s := d.Stats(); s.HalfOpen != 0 || s.Refused[Fault] != 1 {
		t.Errorf("%+v", s)
	}
}

func TestSourcesAreAddressesOrNetworks(t *testing.T) {
	for a, want := range map[string]string{"192.0.2.1": "192.0.2.1/32", "::ffff:192.0.2.1": "192.0.2.1/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64"} {
		if got := from(a).String(); got != want {
			t.Errorf("%s: %s", a, got)
		}
	}
}

func TestHandshakesAreLimitedBySource(t *testing.T) {
	l := DefaultLimits()
	r := newRates(&l)
	now := time.Unix(1000, 0)
	allowed := func(a string, n int) (yes int) {
		for range n {
			if r.allow(from(a), now) {
				yes++
			}
		}
		return yes
	}
	if n := allowed("192.0.2.1", 1000); n != int(l.Burst1) {
		t.Errorf("%d of one source at once", n)
	}
	now = now.Add(time.Second)
	if n := allowed("192.0.2.1", 1000); n != int(l.Rate1) {
		t.Errorf("%d in a second", n)
	}
	r.welcome(from("192.0.2.1"), now)
	now = now.Add(time.Minute)
	if n := allowed("192.0.2.1", 1000); n != int(2*l.Burst1) {
		t.Errorf("%d of a known one", n)
	}
	now = now.Add(-time.Hour) // the clock was set back
	allowed("192.0.2.1", 1)
}

func TestACrowdThatTriesAgainLeavesRoomForNewcomers(t *testing.T) {
	l := DefaultLimits()
	r := newRates(&l)
	now := time.Unix(1000, 0)
	for range 50 { // five seconds of it
		for i := range 10 {
			for range 20 {
				r.allow(from(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}).String()), now)
			}
		}
		now = now.Add(100 * time.Millisecond)
	}
	if !r.allow(from("198.51.100.1"), now) {
		t.Error("somebody who comes for the first time is turned away")
	}
}

func TestWhatIsRememberedOfSourcesIsBounded(t *testing.T) {
	l := DefaultLimits()
	l.Sources = 8
	r := newRates(&l)
	now := time.Unix(1000, 0)
	r.allow(from("198.51.100.1"), now)
	r.welcome(from("198.51.100.1"), now)
	for i := range 1000 {
		now = now.Add(time.Millisecond)
		r.allow(from(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}).String()), now)
	}
	if len(r.sources) > 8 || !r.isKnown(from("198.51.100.1"), now) {
		t.Errorf("%d sources, known %v", len(r.sources), r.isKnown(from("198.51.100.1"), now))
	}
	if r.isKnown(from("198.51.100.1"), now.Add(knownFor)) {
		t.Error("known for ever")
	}
}

// halfOpen gives a door half-open connections.
func halfOpen(d *Door, a string, age time.Duration, spoke bool) *conn {
	server, _ := net.Pipe()
	c := &conn{Conn: server, door: d, source: from(a), began: time.Unix(1000, 0).Add(-age), half: true}
	c.spoke.Store(spoke)
	d.half[c] = true
	return c
}

func TestWhoGoesWhenItIsCrowded(t *testing.T) {
	d := &Door{half: map[*conn]bool{}, config: Config{Limits: DefaultLimits(), Now: func() time.Time { return time.Unix(1000, 0) }}}
	d.rates = rates{limits: &d.config.Limits, sources: map[netip.Prefix]*source{}}
	d.rates.welcome(from("198.51.100.1"), time.Unix(1000, 0))
	friend := halfOpen(d, "198.51.100.1", time.Hour, false)
	single := halfOpen(d, "192.0.2.9", time.Hour, false)
	spoke := halfOpen(d, "192.0.2.1", time.Minute, true)
	young, old := halfOpen(d, "192.0.2.1", time.Second, false), halfOpen(d, "192.0.2.1", 2*time.Second, false)
	for i, want := range []*conn{old, young, single, spoke, friend} {
		// With one each of two sources left, the silent one goes first.
		got := d.victim(netip.Prefix{})
		if got != want {
			t.Fatalf("step %d: %v of %v goes", i, got.began, got.source)
		}
		d.drop(got)
	}
	if d.victim(netip.Prefix{}) != nil {
		t.Error("nobody is there")
	}
	other := halfOpen(d, "192.0.2.2", time.Hour, false)
	mine := halfOpen(d, "192.0.2.3", time.Second, true)
	if d.victim(from("192.0.2.3")) != mine || d.victim(netip.Prefix{}) != other {
		t.Error("the wrong source pays")
	}
}
