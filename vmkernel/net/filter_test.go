package net

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/waiter"
)

func TestStrangersDoNotReachThePort(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from []string
		in   bool
	}{
		{nil, true}, {[]string{"192.0.2.0/24"}, true}, {[]string{"198.51.100.0/24", "192.0.2.2/32"}, true},
		{[]string{"198.51.100.0/24"}, false}, {[]string{"2001:db8::/32"}, false},
	} {
		t.Run(fmt.Sprint(c.from), func(t *testing.T) {
			a, b := cable(false)
			host, _ := start(t, a, Config{Addresses: prefixes(hostAt), AllowFrom: prefixes(c.from...)})
			peer, _ := start(t, b, Config{Addresses: prefixes(peerAt)})
			listen(t, host)
			if got := reaches(t, peer, "192.0.2.1:443"); got != c.in {
				t.Errorf("reached: %v", got)
			}
			// Dropped, not refused: before the handshake.
			if n := host.stack.Stats().TCP.PassiveConnectionOpenings.Value(); n != 0 && !c.in {
				t.Errorf("%d connections", n)
			}
			// What the host asks for comes back.
			listen(t, peer)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			conn, err := host.Dial(ctx, "tcp", "192.0.2.2:443")
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
			if pings(t, peer, 1) != 1 {
				t.Error("no answer to a ping")
			}
		})
	}
}

// pings sends so many at once, and counts the answers.
func pings(t *testing.T, peer *Stack, n int) (answers int) {
	t.Helper()
	var wq waiter.Queue
	ep, e := peer.stack.NewEndpoint(icmp.ProtocolNumber4, header.IPv4ProtocolNumber, &wq)
	if e != nil {
		t.Fatal(e)
	}
	defer ep.Close()
	entry, ready := waiter.NewChannelEntry(waiter.ReadableEvents)
	wq.EventRegister(&entry)
	to := tcpip.FullAddress{NIC: card, Addr: addressOf(netip.MustParseAddr("192.0.2.1"))}
	q := make([]byte, header.ICMPv4MinimumSize+8)
	header.ICMPv4(q).SetType(header.ICMPv4Echo)
	for i := range n {
		header.ICMPv4(q).SetSequence(uint16(i))
		ep.Write(bytes.NewReader(q), tcpip.WriteOptions{To: &to})
		if i%32 == 31 {
			time.Sleep(time.Millisecond) // the cable isn't endless
		}
	}
	for {
		var b bytes.Buffer
		if _, e := ep.Read(&b, tcpip.ReadOptions{}); e == nil {
			answers++
			continue
		}
		select {
		case <-ready:
		case <-time.After(300 * time.Millisecond):
			return answers
		}
	}
}

func TestPingFloodIsAnsweredInPart(t *testing.T) {
	t.Parallel()
	a, b := cable(false)
	start(t, a, Config{Addresses: prefixes(hostAt)})
	peer, _ := start(t, b, Config{Addresses: prefixes(peerAt)})
	began := time.Now()
	n := pings(t, peer, 2000)
	most := pingBurst + int(time.Since(began).Seconds()*pingRate) + 1
	if n < pingBurst/2 || n > most {
		t.Errorf("%d of 2000 pings are answered, want %d at most", n, most)
	}
}

// TestPingsDoNotHide behind what the limit of pings doesn't look through.
func TestPingsDoNotHide(t *testing.T) {
	v4 := func(flags, protocol byte, body ...byte) []byte {
		ip := []byte{0x45, 0, 0, 0, 0, 0, flags, 0, 64, protocol, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1}
		return append(append(make([]byte, 12), 8, 0), append(ip, body...)...)
	}
	v6 := func(next byte, body ...byte) []byte {
		ip := append([]byte{0x60, 0, 0, 0, 0, 8, next, 64}, make([]byte, 32)...)
		return append(append(make([]byte, 12), 0x86, 0xDD), append(ip, body...)...)
	}
	for name, c := range map[string]struct {
		frame []byte
		ping  bool
	}{
		"IPv4":                    {v4(0, 1, 8, 0), true},
		"its answer":              {v4(0, 1, 0, 0), false},
		"a first fragment":        {v4(0x20, 1, 8, 0), true},
		"a fragment":              {v4(1, 1, 0, 0), true},
		"TCP":                     {v4(0, 6, 8, 0), false},
		"IPv6":                    {v6(58, 128, 0), true},
		"its neighbours":          {v6(58, 135, 0), false},
		"behind options":          {v6(0, 58, 0, 5, 2, 0, 0, 0, 0, 128, 0), true},
		"multicast listeners":     {v6(0, 58, 0, 5, 2, 0, 0, 0, 0, 130, 0), false},
		"behind long options":     {v6(0, 58, 1, 5, 2, 0, 0, 0, 0, 130, 0), true},
		"behind destination's":    {v6(60, 58, 0), true},
		"behind a route":          {v6(43, 58, 0), true},
		"IPv6's fragment":         {v6(44, 58, 0), true},
		"TCP over IPv6":           {v6(6, 128, 0), false},
		"nothing behind a header": {v4(0, 1), false},
		"nothing behind IPv6's":   {v6(58), false},
	} {
		if isPing(c.frame) != c.ping {
			t.Errorf("%s: %v", name, !c.ping)
		}
	}
}

// FuzzFilter has no frame make it panic, and none of a stranger's reach the port that is guarded.
func FuzzFilter(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1, 0, 67, 1, 187})
	f.Add([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xDD, 0x60, 0, 0, 0, 0, 8, 0, 1})
	var filter filter
	filter.guard(443)
	filter.allow(prefixes("198.51.100.0/24"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 14 {
			return
		}
		isPing(b)
		p := b[14:]
		if filter.admits(b) && b[12] == 8 && b[13] == 0 && len(p) >= 24 && p[0] == 0x45 && p[9] == 6 &&
			p[22] == 1 && p[23] == 187 && !prefixes("198.51.100.0/24")[0].Contains(netip.AddrFrom4([4]byte(p[12:]))) {
			t.Errorf("% x gets in", b)
		}
	})
}
