package net

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/waiter"

	"keel/drivers/nic"
)

func TestConnections(t *testing.T) {
	for _, sums := range []bool{false, true} {
		for _, to := range []string{"192.0.2.1:443", "[2001:db8::1]:443"} {
			t.Run(fmt.Sprintf("sums=%v %s", sums, to), func(t *testing.T) {
				host, peer, at := pair(t, sums)
				l, err := host.Listen(443)
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					if a, _, _ := net.SplitHostPort(conn.RemoteAddr().String()); a != "192.0.2.2" && a != "2001:db8::2" {
						t.Errorf("accepted from %v", conn.RemoteAddr())
					}
					io.Copy(conn, conn)
					conn.Close()
				}()
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				conn, err := dialUntil(ctx, peer, to)
				if err != nil {
					t.Fatal(err)
				}
				data := make([]byte, 3<<20)
				rand.NewChaCha8([32]byte{}).Read(data)
				go func() {
					conn.Write(data)
					conn.(*gonet.TCPConn).CloseWrite()
				}()
				conn.SetDeadline(time.Now().Add(20 * time.Second))
				back, err := io.ReadAll(conn)
				if err != nil || !bytes.Equal(back, data) {
					t.Errorf("%d bytes of %d, %v", len(back), len(data), err)
				}
				if at.sent < len(data)/1500 {
					t.Errorf("%d frames", at.sent)
				}
			})
		}
	}
}

// dialUntil dials until the addresses are in use: IPv6's are checked for a second.
func dialUntil(ctx context.Context, s *Stack, to string) (net.Conn, error) {
	for {
		once, cancel := context.WithTimeout(ctx, 2*time.Second)
		conn, err := s.Dial(once, "tcp", to)
		cancel()
		if err == nil || ctx.Err() != nil {
			return conn, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// TestOnePortAnswers scans the host.
func TestOnePortAnswers(t *testing.T) {
	host, peer, _ := pair(t, true)
	listen(t, host)
	for _, address := range []string{"192.0.2.1", "2001:db8::1"} {
		conn, err := dialUntil(t.Context(), peer, net.JoinHostPort(address, "443"))
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		scan(t, peer, address)
	}
}

// scan looks for the ports that answer.
func scan(t *testing.T, peer *Stack, address string) {
	t.Helper()
	var mu sync.Mutex
	var open []int
	var wg sync.WaitGroup
	ports := make(chan int)
	for range 16 {
		wg.Go(func() {
			for p := range ports {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				conn, err := peer.Dial(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(p)))
				cancel()
				if err == nil {
					conn.Close()
					mu.Lock()
					open = append(open, p)
					mu.Unlock()
				} else if !strings.Contains(err.Error(), "refused") {
					t.Errorf("%s: port %d: %v", address, p, err)
				}
			}
		})
	}
	for p := 1; p < 1<<16; p++ {
		if testing.Short() && p > 1100 {
			break
		}
		ports <- p
	}
	close(ports)
	wg.Wait()
	if !slices.Equal(open, []int{443}) {
		t.Errorf("%s: open: %v", address, open)
	}
	for _, p := range []int{53, 67, 68, 123, 443, 546, 547, 5353, 1900} {
		conn, err := peer.Dial(t.Context(), "udp", net.JoinHostPort(address, strconv.Itoa(p)))
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
		conn.Write([]byte("hello"))
		if n, err := conn.Read(make([]byte, 64)); err == nil {
			t.Errorf("%s: UDP port %d answers with %d bytes", address, p, n)
		}
		conn.Close()
	}
}

// TestNothingElseAnswers sends the host packets of all protocols, and all messages of ICMP: it answers an echo request, and says
// of the rest at most that it can't be reached.
func TestNothingElseAnswers(t *testing.T) {
	host, peer, at := pair(t, true)
	if _, err := host.Listen(443); err != nil {
		t.Fatal(err)
	}
	// So that each knows the other's Ethernet address.
	if pings(t, peer, 1) != 1 {
		t.Fatal("no answer to a ping")
	}
	packet := func(protocol, kind byte) []byte {
		b := make([]byte, nic.HeaderSize+header.IPv4MinimumSize+64)
		copy(b, at.mac[:])
		copy(b[6:], at.peer.mac[:])
		binary.BigEndian.PutUint16(b[12:], uint16(header.IPv4ProtocolNumber))
		ip := header.IPv4(b[nic.HeaderSize:])
		ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(ip)), TTL: 64, Protocol: protocol,
			SrcAddr: tcpip.AddrFrom4([4]byte{192, 0, 2, 2}), DstAddr: tcpip.AddrFrom4([4]byte{192, 0, 2, 1})})
		ip.SetChecksum(^ip.CalculateChecksum())
		if protocol == byte(header.ICMPv4ProtocolNumber) {
			q := header.ICMPv4(ip.Payload())
			q.SetType(header.ICMPv4Type(kind))
			q.SetChecksum(header.ICMPv4Checksum(q, 0))
		}
		return b
	}
	is4 := func(frame []byte) bool {
		return len(frame) >= nic.HeaderSize+header.IPv4MinimumSize && binary.BigEndian.Uint16(frame[12:]) == uint16(header.IPv4ProtocolNumber)
	}
	is := func(frame []byte, kind header.ICMPv4Type) bool {
		ip := header.IPv4(frame[nic.HeaderSize:])
		return ip.TransportProtocol() == header.ICMPv4ProtocolNumber && header.ICMPv4(ip.Payload()).Type() == kind
	}
	isReply := func(frame []byte) bool { return is4(frame) && is(frame, header.ICMPv4EchoReply) }
	echoes := 0
	for kind := range 256 {
		wanted := isReply
		if header.ICMPv4Type(kind) != header.ICMPv4Echo {
			wanted = nil
		}
		for _, frame := range at.give(packet(byte(header.ICMPv4ProtocolNumber), byte(kind)), wanted) {
			switch {
			case !is4(frame):
			case wanted != nil && isReply(frame):
				echoes++
			default:
				t.Errorf("ICMP's message %d is answered by % x", kind, frame)
			}
		}
	}
	if echoes != 1 {
		t.Errorf("a ping is answered %d times", echoes)
	}
	for protocol := range 256 {
		if protocol == int(header.ICMPv4ProtocolNumber) || protocol == int(header.TCPProtocolNumber) {
			continue
		}
		for _, frame := range at.give(packet(byte(protocol), 0), nil) {
			if is4(frame) && !is(frame, header.ICMPv4DstUnreachable) {
				t.Errorf("protocol %d is answered by % x", protocol, frame)
			}
		}
	}
}

func TestPing(t *testing.T) {
	_, peer, _ := pair(t, true)
	var wq waiter.Queue
	ep, e := peer.stack.NewEndpoint(icmp.ProtocolNumber4, header.IPv4ProtocolNumber, &wq)
	if e != nil {
		t.Fatal(e)
	}
	defer ep.Close()
	entry, ready := waiter.NewChannelEntry(waiter.ReadableEvents)
	wq.EventRegister(&entry)
	q := make([]byte, header.ICMPv4MinimumSize+56)
	header.ICMPv4(q).SetType(header.ICMPv4Echo)
	header.ICMPv4(q).SetSequence(7)
	for i := range 56 {
		q[header.ICMPv4MinimumSize+i] = byte(i)
	}
	to := tcpip.FullAddress{NIC: card, Addr: addressOf(netip.MustParseAddr("192.0.2.1"))}
	if _, e := ep.Write(bytes.NewReader(q), tcpip.WriteOptions{To: &to}); e != nil {
		t.Fatal(e)
	}
	select {
	case <-ready:
	case <-time.After(5 * time.Second):
		t.Fatal("no answer")
	}
	var b bytes.Buffer
	if _, e := ep.Read(&b, tcpip.ReadOptions{}); e != nil {
		t.Fatal(e)
	}
	r := header.ICMPv4(b.Bytes())
	if r.Type() != header.ICMPv4EchoReply || r.Sequence() != 7 || !bytes.Equal(r.Payload(), q[header.ICMPv4MinimumSize:]) {
		t.Errorf("answer % x", b.Bytes())
	}
}

// serveUDP answers datagrams to a port of the peer.
func serveUDP(t *testing.T, s *Stack, port uint16, answer func([]byte) []byte) {
	conn, err := gonet.DialUDP(s.stack, &tcpip.FullAddress{Port: port}, nil, header.IPv4ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			conn.WriteTo(answer(b[:n]), from)
		}
	}()
}

func TestNames(t *testing.T) {
	host, peer, _ := pair(t, true)
	serveUDP(t, peer, dnsPort, func(q []byte) []byte {
		end := 12
		for q[end] != 0 {
			end += 1 + int(q[end])
		}
		kind := binary.BigEndian.Uint16(q[end+1:])
		r := append([]byte(nil), q[:end+5]...)
		r[2], r[3] = 0x84, 0 // an answer
		clear(r[6:12])
		if kind == 1 {
			r[7] = 1
			r = append(r, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 51, 100, 7)
		}
		return r
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	list, err := host.Resolver().LookupNetIP(ctx, "ip", "time.example.org")
	if err != nil || fmt.Sprint(list) != "[198.51.100.7]" {
		t.Errorf("%v, %v", list, err)
	}
	none, _ := cable(false)
	none.up = false
	alone, err := New(none, Config{}, Events{})
	if err != nil {
		t.Fatal(err)
	}
	defer alone.Close()
	if _, err := alone.Resolver().LookupNetIP(ctx, "ip", "time.example.org"); err == nil || !strings.Contains(err.Error(), errNoDNS.Error()) {
		t.Errorf("without servers: %v", err)
	}
}

func putTime(b []byte, at time.Time) {
	s := uint64(at.Unix() - ntpEpoch.Unix())
	binary.BigEndian.PutUint32(b, uint32(s))
	binary.BigEndian.PutUint32(b[4:], uint32(uint64(at.Nanosecond())<<32/1e9))
}

func TestTimeIsAsked(t *testing.T) {
	host, peer, _ := pair(t, true)
	const ahead = 400*24*time.Hour + 250*time.Millisecond
	broken := ""
	serveUDP(t, peer, ntpPort, func(q []byte) []byte {
		r := make([]byte, ntpSize)
		r[0], r[1] = 4<<3|ntpServer, 2
		copy(r[ntpOriginate:], q[ntpTransmit:])
		now := time.Now().Add(ahead)
		putTime(r[ntpReceive:], now)
		putTime(r[ntpTransmit:], now)
		switch broken {
		case "alarm":
			r[0] |= 3 << 6
		case "stratum":
			r[1] = 0
		case "mode":
			r[0] = 4<<3 | 3
		case "guessed":
			r[ntpOriginate] ^= 1
		case "backwards":
			putTime(r[ntpTransmit:], now.Add(-time.Hour))
		case "short":
			r = r[:47]
		}
		return r
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	server := netip.MustParseAddr("192.0.2.2")
	off, err := host.AskTime(ctx, server)
	if err != nil || (off-ahead).Abs() > 200*time.Millisecond {
		t.Errorf("off by %v, %v; want %v", off, err, ahead)
	}
	for _, broken = range []string{"alarm", "stratum", "mode", "guessed", "backwards", "short"} {
		once, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		if off, err := host.AskTime(once, server); err == nil {
			t.Errorf("%s: off by %v", broken, off)
		}
		cancel()
	}
}

func TestErasOfNTP(t *testing.T) {
	for _, want := range []time.Time{
		time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 1, 0, 0, 0, 500_000_000, time.UTC),
		time.Date(2036, 2, 7, 6, 28, 15, 0, time.UTC), time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC), time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		var b [8]byte
		putTime(b[:], want)
		if got := timeOf(b[:]); got.Sub(want).Abs() > time.Microsecond {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

// TestStateFollows is told of links and addresses.
func TestStateFollows(t *testing.T) {
	a, _ := cable(false)
	states := make(chan State, 10)
	p := netip.MustParsePrefix("192.0.2.1/24")
	s, err := New(a, Config{Addresses: []netip.Prefix{p}, Routers: []netip.Addr{netip.MustParseAddr("192.0.2.254")}}, Events{Changed: func(st State) { states <- st }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a.to.LinkChanged(a.Link())
	for st := range states {
		if st.Link.Up && slices.Equal(st.Addresses, []netip.Prefix{p}) && len(st.Routers) == 1 {
			break
		}
	}
	for _, bad := range []string{"224.0.0.1/24", "0.0.0.0/0", "127.0.0.1/8"} {
		b, _ := cable(false)
		if _, err := New(b, Config{Addresses: []netip.Prefix{netip.MustParsePrefix(bad)}}, Events{}); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// FuzzFrames sends arbitrary frames to a host and to one in a VLAN, as they stand and with a right header.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1, 0, 67, 0, 68}, true)
	f.Add([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xDD}, false)
	f.Add([]byte{2, 0, 0, 0, 0, 1}, false)
	f.Add([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 12, 8, 6}, true)
	f.Add([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 12}, false)
	const vlan = 12
	stacks, cards := [2]*Stack{}, [2]*end{}
	for i, id := range []uint16{0, vlan} {
		cards[i], _ = cable(true)
		s, err := New(cards[i], Config{Name: "fuzz", VLAN: id}, Events{})
		if err != nil {
			f.Fatal(err)
		}
		s.link.trouble = func(err error) { panic(err) } // a fault, which would be told of and no more
		if _, err := s.Listen(443); err != nil {
			f.Fatal(err)
		}
		stacks[i] = s
	}
	f.Fuzz(func(t *testing.T, frame []byte, summed bool) {
		for i, s := range stacks {
			for len(cards[i].peer.wire) > 0 {
				<-cards[i].peer.wire
			}
			to := s.link.port.Load()
			to.Receive(frame, summed)
			if len(frame) <= nic.HeaderSize {
				continue
			}
			m := s.link.card().MAC()
			own := append(m[:], frame[len(m):]...)
			to.Receive(own, summed)
			if i == 1 { // behind a tag of its VLAN
				to.Receive(slices.Concat(own[:tagAt], []byte{tagType >> 8, tagType & 0xFF, frame[0] &^ 0xF, vlan}, own[tagAt:]), summed)
			}
		}
	})
}

// FuzzTimeAnswer has no answer of a time server make it panic, nor set the clock to a time that it doesn't name.
func FuzzTimeAnswer(f *testing.F) {
	sent := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	b := make([]byte, ntpSize)
	b[0], b[1] = 4<<3|ntpServer, 2
	f.Add(b, int64(time.Millisecond))
	binary.BigEndian.PutUint32(b[ntpReceive:], uint32(sent.Unix()-ntpEpoch.Unix()))
	binary.BigEndian.PutUint32(b[ntpTransmit:], uint32(sent.Unix()-ntpEpoch.Unix()))
	f.Add(b, int64(time.Second))
	f.Fuzz(func(t *testing.T, b []byte, took int64) {
		if len(b) != ntpSize || took < 0 || took > int64(maxDelay) {
			return
		}
		off, err := offsetOf(b, sent, time.Duration(took))
		if err != nil {
			return
		}
		at := sent.Add(off) // when the question was sent, by the server's clock
		if at.After(timeOf(b[ntpReceive:])) || at.Add(time.Duration(took)).Before(timeOf(b[ntpTransmit:])) {
			t.Errorf("off by %v: received %v, answered %v, after %v", off, timeOf(b[ntpReceive:]), timeOf(b[ntpTransmit:]), time.Duration(took))
		}
	})
}
