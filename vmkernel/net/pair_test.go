package net

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"keel/drivers/nic"
)

// end is a card at one end of a cable.
type end struct {
	mac  nic.MAC
	sums bool
	peer *end

	mu     sync.Mutex
	to     nic.Receiver
	up     bool
	wire   chan []byte
	sent   int
	taken  [][]byte // what was sent since give began
	giving bool
}

func (e *end) Driver() string { return "cable" }
func (e *end) MAC() nic.MAC   { return e.mac }
func (e *end) Sums() bool     { return e.sums }
func (e *end) Link() nic.Link { return nic.Link{Up: e.up} }
func (e *end) Stats() nic.Stats {
	return nic.Stats{}
}

func (e *end) Start(to nic.Receiver) error {
	e.mu.Lock()
	e.to = to
	e.mu.Unlock()
	to.LinkChanged(nic.Link{Up: e.up})
	go func() {
		for f := range e.wire {
			to.Receive(f, false)
			clear(f) // it isn't the receiver's any more
		}
	}()
	return nil
}

// give has the card receive a frame, and returns what the host sends in the 3 ms after it. Where a frame is wanted that is waited
// for, 3 s at most: what is answered mustn't be taken for the next one's answer on a busy machine.
func (e *end) give(frame []byte, wanted func(frame []byte) bool) [][]byte {
	e.mu.Lock()
	e.taken, e.giving = nil, true
	e.mu.Unlock()
	e.wire <- frame
	for range 1000 {
		time.Sleep(3 * time.Millisecond)
		e.mu.Lock()
		sent := e.taken
		e.mu.Unlock()
		if wanted == nil || slices.ContainsFunc(sent, wanted) {
			return sent
		}
	}
	return nil
}

// Send fills the checksum in as a card does: what is in the field counts.
func (e *end) Send(f *nic.Frame) bool {
	var b []byte
	for _, p := range f.Parts {
		b = append(b, p...)
	}
	if f.Sum != (nic.Checksum{}) {
		v := uint32(0)
		for i := f.Sum.Start; i < len(b); i += 2 {
			v += uint32(b[i]) << 8
			if i+1 < len(b) {
				v += uint32(b[i+1])
			}
		}
		for v>>16 != 0 {
			v = v&0xFFFF + v>>16
		}
		if v = ^v & 0xFFFF; v == 0 {
			v = 0xFFFF
		}
		binary.BigEndian.PutUint16(b[f.Sum.Start+f.Sum.Offset:], uint16(v))
	}
	e.mu.Lock()
	e.sent++
	if e.giving {
		e.taken = append(e.taken, b)
	}
	e.mu.Unlock()
	select {
	case e.peer.wire <- append([]byte(nil), b...):
		return true
	default:
		return false
	}
}

// cable is two cards.
func cable(sums bool) (a, b *end) {
	a = &end{mac: nic.MAC{2, 0, 0, 0, 0, 1}, sums: sums, up: true, wire: make(chan []byte, 512)}
	b = &end{mac: nic.MAC{2, 0, 0, 0, 0, 2}, up: true, wire: make(chan []byte, 512), peer: a}
	a.peer = b
	return a, b
}

// pair is two hosts, 192.0.2.1 and 192.0.2.2, 2001:db8::1 and 2001:db8::2.
func pair(t *testing.T, sums bool) (host, peer *Stack, at *end) {
	t.Helper()
	a, b := cable(sums)
	make := func(e *end, v4, v6 string) *Stack {
		s, err := New(e, Config{Name: "test", Addresses: []netip.Prefix{netip.MustParsePrefix(v4), netip.MustParsePrefix(v6)},
			DNS: []netip.Addr{netip.MustParseAddr("192.0.2.2")}}, Events{Warning: func(_ nic.NIC, err error) { t.Log(err) }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	return make(a, "192.0.2.1/24", "2001:db8::1/64"), make(b, "192.0.2.2/24", "2001:db8::2/64"), a
}
