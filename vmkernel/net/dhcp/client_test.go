package dhcp

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// world is a client and what it did.
type world struct {
	c      *Client
	asked  []asked
	at     []time.Duration
	leases []string
	silent int
	answer func(asked) []byte // nil: none
	start  time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{c: NewClient(testMAC, "keel-1"), start: time.Now()}
	w.c.Send = func(frame []byte) bool {
		a := read(frame)
		w.asked, w.at = append(w.asked, a), append(w.at, time.Since(w.start))
		if !a.checksumIP || !a.sumUDP || a.name != "keel-1" {
			t.Errorf("a bad query: %+v", a)
		}
		if w.answer != nil {
			if f := w.answer(a); f != nil {
				w.c.Receive(f, false)
			}
		}
		return true
	}
	w.c.Changed = func(l *Lease) {
		s := "none"
		if l != nil {
			s = fmt.Sprint(l.Address, l.Router, l.DNS, l.NTP)
		}
		w.leases = append(w.leases, s)
	}
	w.c.Silent = func() { w.silent++ }
	return w
}

// run runs the client for a while.
func (w *world) run(t *testing.T, d time.Duration, meanwhile func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { w.c.Run(ctx); close(done) }()
	w.c.LinkUp()
	time.Sleep(d)
	synctest.Wait()
	if meanwhile != nil {
		meanwhile()
	}
	cancel()
	<-done
}

const theLease = "192.0.2.50/24 192.0.2.1 [192.0.2.2 192.0.2.3] [192.0.2.4]"

// good is a server that gives 192.0.2.50.
func good(a asked) []byte {
	if a.kind == discover {
		return answer(offer, a.xid, "192.0.2.50", usual...)
	}
	return answer(ack, a.xid, "192.0.2.50", usual...)
}

func TestLeaseIsTakenAndRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer = good
		w.run(t, 31*time.Minute, nil)
		if !slices.Equal(w.leases, []string{theLease, theLease}) || w.silent != 0 {
			t.Errorf("leases %q, silent %d", w.leases, w.silent)
		}
		var kinds []uint8
		for _, a := range w.asked {
			kinds = append(kinds, a.kind)
		}
		if !slices.Equal(kinds, []uint8{discover, request, request}) {
			t.Fatalf("asked %v", kinds)
		}
		fifty, none := netip.MustParseAddr("192.0.2.50"), netip.IPv4Unspecified()
		if a := w.asked[1]; a.requested != fifty || a.server != netip.MustParseAddr("192.0.2.1") || a.current != none || a.xid != w.asked[0].xid {
			t.Errorf("request %+v", a)
		}
		if a := w.asked[2]; a.requested.IsValid() || a.server.IsValid() || a.current != fifty || w.at[2].Round(time.Second) != 30*time.Minute {
			t.Errorf("renewal %+v after %v", a, w.at[2])
		}
	})
}

func TestSilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run(t, 2*time.Minute, nil)
		if len(w.leases) != 0 || w.silent != 1 || len(w.asked) < 5 || len(w.asked) > 9 {
			t.Errorf("leases %q, silent %d, asked %d times", w.leases, w.silent, len(w.asked))
		}
		w.answer = good // and then it does answer
		w.run(t, time.Minute, nil)
		if len(w.leases) != 1 {
			t.Errorf("%q", w.leases)
		}
	})
}

func TestLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer = good
		w.run(t, time.Minute, func() {
			w.answer = nil
			time.Sleep(61 * time.Minute)
			synctest.Wait()
			if !slices.Equal(w.leases, []string{theLease, "none"}) {
				t.Errorf("%q", w.leases)
			}
			if n := len(w.asked); n < 5 || n > 80 {
				t.Errorf("asked %d times", n)
			}
			w.answer = good
			time.Sleep(time.Minute)
			synctest.Wait()
			if len(w.leases) != 3 || w.leases[2] != theLease {
				t.Errorf("%q", w.leases)
			}
		})
	})
}

func TestRefusedAddressIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer = good
		w.run(t, time.Minute, func() {
			// Another network: the cable was moved.
			w.answer = func(a asked) []byte {
				switch {
				case a.kind == discover:
					return answer(offer, a.xid, "192.0.2.99", usual...)
				case a.requested == netip.MustParseAddr("192.0.2.99"):
					return answer(ack, a.xid, "192.0.2.99", usual...)
				}
				return answer(nak, a.xid, "0.0.0.0")
			}
			w.c.LinkUp()
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if len(w.leases) != 3 || w.leases[1] != "none" || w.leases[2][:13] != "192.0.2.99/24" {
				t.Errorf("%q", w.leases)
			}
		})
	})
}

func TestForeignAnswersAreIgnored(t *testing.T) {
	for name, f := range map[string]func(asked) []byte{
		"another's":       func(a asked) []byte { return answer(offer, a.xid+1, "192.0.2.50", usual...) },
		"another card's":  func(a asked) []byte { b := good(a); b[ethSize+ipSize+udpSize+28] ^= 1; return b },
		"no address":      func(a asked) []byte { return answer(offer, a.xid, "0.0.0.0", usual...) },
		"a group's":       func(a asked) []byte { return answer(offer, a.xid, "224.0.0.1", usual...) },
		"a bad checksum":  func(a asked) []byte { b := good(a); b[len(b)-2] ^= 1; return b },
		"a bad header":    func(a asked) []byte { b := good(a); b[ethSize+8]++; return b },
		"cut off":         func(a asked) []byte { b := good(a); return b[:len(b)-40] },
		"a query":         func(a asked) []byte { b := good(a); b[ethSize+ipSize+udpSize] = 1; return b },
		"an early ACK":    func(a asked) []byte { return answer(ack, a.xid, "192.0.2.50", usual...) },
		"a port not ours": func(a asked) []byte { b := good(a); b[ethSize+ipSize+3] = 69; return b },
		"an option too long": func(a asked) []byte {
			return answer(offer, a.xid, "192.0.2.50", append(slices.Clone(usual), 200, 200)...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.answer = f
				w.run(t, time.Minute, nil)
				if len(w.leases) != 0 {
					t.Errorf("took %q", w.leases)
				}
			})
		})
	}
}

func TestOddLeases(t *testing.T) {
	seconds := func(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
	for _, c := range []struct {
		name       string
		options    []byte
		lease      string
		t1, t2, to time.Duration
	}{
		{"nothing but the address", nil, "192.0.2.50/24 invalid IP [] []", 30 * time.Minute, 52*time.Minute + 30*time.Second, time.Hour},
		{"a mask with holes", []byte{optMask, 4, 255, 0, 255, 0}, "192.0.2.50/24 invalid IP [] []", 30 * time.Minute, 52*time.Minute + 30*time.Second, time.Hour},
		{"a router elsewhere", []byte{optMask, 4, 255, 255, 255, 0, optRouter, 4, 10, 0, 0, 1}, "192.0.2.50/24 invalid IP [] []", 30 * time.Minute, 52*time.Minute + 30*time.Second, time.Hour},
		{"a moment", append([]byte{optLease, 4}, seconds(1)...), "192.0.2.50/24 invalid IP [] []", 30 * time.Second, 52500 * time.Millisecond, time.Minute},
		{"for ever", append([]byte{optLease, 4}, seconds(0xFFFF_FFFF)...), "192.0.2.50/24 invalid IP [] []", forever / 2, forever / 8 * 7, forever},
		{"renewed after its end", append(append(append([]byte{optLease, 4}, seconds(3600)...), optRenew, 4), seconds(9999)...), "192.0.2.50/24 invalid IP [] []", 30 * time.Minute, 52*time.Minute + 30*time.Second, time.Hour},
		{"servers that can't be", []byte{optDNS, 12, 127, 0, 0, 1, 0, 0, 0, 0, 192, 0, 2, 9, optNTP, 3, 1, 2, 3}, "192.0.2.50/24 invalid IP [192.0.2.9] []", 30 * time.Minute, 52*time.Minute + 30*time.Second, time.Hour},
	} {
		r, ok := parse(answer(ack, 1, "192.0.2.50", c.options...), testMAC, false)
		l := leaseOf(&r)
		t1, t2, end := r.times()
		if got := fmt.Sprint(l.Address, l.Router, l.DNS, l.NTP); !ok || got != c.lease || t1 != c.t1 || t2 != c.t2 || end != c.to {
			t.Errorf("%s: %v %s, %v %v %v", c.name, ok, got, t1, t2, end)
		}
	}
}

// FuzzParse reads arbitrary frames.
func FuzzParse(f *testing.F) {
	f.Add(answer(ack, 1, "192.0.2.50", usual...))
	f.Add(answer(nak, 1, "0.0.0.0"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		// Checksums are made right, or nothing would get behind them.
		if ip, ok := datagram(frame); ok {
			n := int(ip[0]&15) * 4
			ip[10], ip[11] = 0, 0
			binary.BigEndian.PutUint16(ip[10:], ^sum(ip[:n], 0))
		}
		r, ok := parse(frame, testMAC, true)
		if !ok {
			return
		}
		t1, t2, end := r.times()
		if t1 <= 0 || t2 < t1 || end < t2 || end > forever {
			t.Errorf("times %v %v %v", t1, t2, end)
		}
		if r.address.IsValid() && (!r.address.Addr().Is4() || r.address.Bits() > 32 || r.address.Addr().IsMulticast()) {
			t.Errorf("address %v", r.address)
		}
		if r.router.IsValid() && !r.address.Contains(r.router) && r.address.IsValid() {
			t.Errorf("router %v of %v", r.router, r.address)
		}
		if len(r.dns) > maxList || len(r.ntp) > maxList {
			t.Errorf("%d and %d servers", len(r.dns), len(r.ntp))
		}
	})
}
