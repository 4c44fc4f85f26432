package net

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"keel/drivers/nic"
)

const (
	hour     = 3600
	routerAt = "fe80::2"
)

// icmp6 is a frame with a message of ICMPv6.
func icmp6(to, from nic.MAC, src, dst string, kind, hops byte, body []byte) []byte {
	b := make([]byte, nic.HeaderSize+header.IPv6MinimumSize+4, 256)
	b = append(b, body...)
	copy(b, to[:])
	copy(b[6:], from[:])
	binary.BigEndian.PutUint16(b[12:], uint16(header.IPv6ProtocolNumber))
	s, d := addressOf(netip.MustParseAddr(src)), addressOf(netip.MustParseAddr(dst))
	ip := header.IPv6(b[nic.HeaderSize:])
	ip.Encode(&header.IPv6Fields{PayloadLength: uint16(4 + len(body)), TransportProtocol: header.ICMPv6ProtocolNumber, HopLimit: hops, SrcAddr: s, DstAddr: d})
	m := header.ICMPv6(ip.Payload())
	m.SetType(header.ICMPv6Type(kind))
	m.SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{Header: m, Src: s, Dst: d}))
	return b
}

// advertise has a router advertise itself for so many seconds, with options, to the host at one end of a cable.
func advertise(e *end, lifetime uint16, options ...[]byte) {
	body := make([]byte, 12)
	binary.BigEndian.PutUint16(body[2:], lifetime)
	all := nic.MAC{0x33, 0x33, 0, 0, 0, 1}
	e.wire <- icmp6(all, e.peer.mac, routerAt, "ff02::1", 134, 255, append(body, slices.Concat(options...)...))
}

// prefixOption advertises a network of 64 bits for so many seconds, on the link and for addresses (RFC 4861 4.6.2).
func prefixOption(network string, valid uint32) []byte {
	o := append([]byte{3, 4, 64, 0xC0}, make([]byte, 12)...)
	binary.BigEndian.PutUint32(o[4:], valid)
	binary.BigEndian.PutUint32(o[8:], valid)
	return append(o, netip.MustParseAddr(network).AsSlice()...)
}

// serverOption advertises DNS servers (RFC 8106 5.1).
func serverOption(lifetime uint32, servers ...string) []byte {
	o := []byte{25, byte(1 + 2*len(servers)), 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(o[4:], lifetime)
	for _, s := range servers {
		o = append(o, netip.MustParseAddr(s).AsSlice()...)
	}
	return o
}

// settled waits until the host has taken in what it was sent before.
func settled(t *testing.T, s *Stack) {
	t.Helper()
	time.Sleep(100 * time.Millisecond)
	s.wait(func() error { return nil })
}

func TestAddressesAreMadeOfWhatARouterAdvertises(t *testing.T) {
	t.Parallel()
	a, _ := cable(false)
	host, _ := start(t, a, Config{})
	const made = "2001:db8::ff:fe00:1/64" // of the card's address (RFC 4291, appendix A)
	for range 2 {                         // a second time changes nothing
		advertise(a, hour, prefixOption("2001:db8::", 4*hour))
		until(t, "the address", func() bool { return slices.Equal(host.State().Addresses, prefixes(made)) })
	}
	settled(t, host)
	if st := host.State(); !slices.Equal(st.Addresses, prefixes(made)) || fmt.Sprint(st.Routers) != "["+routerAt+"]" {
		t.Errorf("%+v", st)
	}
	// A router that isn't one any more. The address stays a while: a forged message mustn't take it away (RFC 4862 5.5.3 e).
	advertise(a, 0, prefixOption("2001:db8::", 0))
	until(t, "no router", func() bool { return len(host.State().Routers) == 0 })
	if st := host.State(); !slices.Equal(st.Addresses, prefixes(made)) {
		t.Errorf("%+v", st)
	}
	advertise(a, hour, prefixOption("2001:db8:1::", 0))
	settled(t, host)
	if n := len(host.State().Addresses); n != 1 {
		t.Errorf("a network that is over gives an address: %d", n)
	}
}

func TestAdvertisedNetworksAreBounded(t *testing.T) {
	t.Parallel()
	a, _ := cable(false)
	host, _ := start(t, a, Config{})
	for i := range 3 * maxAdvertised {
		advertise(a, hour, prefixOption(fmt.Sprintf("2001:db8:%x::", i+1), 4*hour))
	}
	settled(t, host)
	host.mu.Lock()
	defer host.mu.Unlock()
	if n := len(host.prefix); n != maxAdvertised {
		t.Errorf("%d networks are kept, want %d", n, maxAdvertised)
	}
	if n := len(host.state.Addresses); n == 0 || n > 2*maxAdvertised {
		t.Errorf("%d addresses", n)
	}
}

// TestMadeAddressOfAnotherHostIsGivenUp where one on the link answers for it.
func TestMadeAddressOfAnotherHostIsGivenUp(t *testing.T) {
	t.Parallel()
	a, b := cable(false)
	host, warnings := start(t, a, Config{})
	advertise(a, hour, prefixOption("2001:db8::", 4*hour))
	until(t, "the address", func() bool { return len(host.State().Addresses) == 1 })
	const made = "2001:db8::ff:fe00:1"
	body := append([]byte{0x20, 0, 0, 0}, netip.MustParseAddr(made).AsSlice()...)
	body = append(append(body, 2, 1), b.mac[:]...) // a neighbour advertisement, with the target's Ethernet address
	a.wire <- icmp6(nic.MAC{0x33, 0x33, 0, 0, 0, 1}, b.mac, made, "ff02::1", 136, 255, body)
	if w := <-warnings; !strings.Contains(w, "another host has address "+made) {
		t.Error(w)
	}
	until(t, "it is given up", func() bool { return len(host.State().Addresses) == 0 })
}

func TestAdvertisedServersAreAskedWhereNobodyElseNamesAny(t *testing.T) {
	t.Parallel()
	a, _ := cable(false)
	host, _ := start(t, a, Config{})
	is := func(list ...string) func() bool {
		var want []netip.Addr
		for _, s := range list {
			want = append(want, netip.MustParseAddr(s))
		}
		return func() bool { return slices.Equal(host.State().DNS, want) }
	}
	advertise(a, hour, serverOption(hour, "2001:db8::53", "fe80::53"))
	until(t, "the servers", is("2001:db8::53", "fe80::53"))
	advertise(a, hour, serverOption(hour, "2001:db8::53", "::1", "2001:db8::54", "2001:db8::55"))
	until(t, "three at most, and no loopback", is("2001:db8::53", "fe80::53", "2001:db8::54"))
	advertise(a, hour, serverOption(0, "fe80::53"))
	until(t, "one isn't any more", is("2001:db8::53", "2001:db8::54"))
	advertise(a, hour, serverOption(1, "2001:db8::53"))
	until(t, "one is over", is("2001:db8::54"))
	given := []netip.Addr{netip.MustParseAddr("192.0.2.53")}
	if err := host.wait(func() error { return host.apply(Config{DNS: given}) }); err != nil || !slices.Equal(host.State().DNS, given) {
		t.Errorf("%v, %+v", err, host.State())
	}
}

// TestNothingElseAnswersOverIPv6 sends the host all messages of ICMPv6 and all next headers: it answers an echo request and a
// multicast listener query, and says of the rest at most that it can't take it.
func TestNothingElseAnswersOverIPv6(t *testing.T) {
	host, peer, at := pair(t, true)
	listen(t, host)
	conn, err := dialUntil(t.Context(), peer, "[2001:db8::1]:443") // so that each knows the other's Ethernet address
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	time.Sleep(300 * time.Millisecond)
	// What a frame holds of ICMPv6, or something else of IPv6; nil of none.
	message := func(frame []byte) header.ICMPv6 {
		if len(frame) <= nic.HeaderSize+header.IPv6MinimumSize || binary.BigEndian.Uint16(frame[12:]) != uint16(header.IPv6ProtocolNumber) {
			return nil
		}
		if ip := header.IPv6(frame[nic.HeaderSize:]); ip.TransportProtocol() == header.ICMPv6ProtocolNumber {
			return header.ICMPv6(ip.Payload())
		}
		return header.ICMPv6{0xFF, 0, 0, 0, 0, 0, 0, 0}
	}
	isReply := func(frame []byte) bool { m := message(frame); return m != nil && m.Type() == header.ICMPv6EchoReply }
	const src, dst = "2001:db8::2", "2001:db8::1"
	own := []header.ICMPv6Type{header.ICMPv6RouterSolicit, header.ICMPv6NeighborSolicit} // which the host sends unasked
	echoes := 0
	for kind := range 256 {
		wanted := isReply
		if header.ICMPv6Type(kind) != header.ICMPv6EchoRequest {
			wanted = nil
		}
		for _, frame := range at.give(icmp6(at.mac, at.peer.mac, src, dst, byte(kind), 255, make([]byte, 60)), wanted) {
			m := message(frame)
			switch {
			case m == nil, slices.Contains(own, m.Type()):
			case wanted != nil && isReply(frame):
				echoes++
			case header.ICMPv6Type(kind) == header.ICMPv6MulticastListenerQuery && (m.Type() == header.ICMPv6MulticastListenerReport || m.Type() == header.ICMPv6MulticastListenerV2Report):
			default:
				t.Errorf("ICMPv6's message %d is answered by % x", kind, []byte(m))
			}
		}
	}
	if echoes != 1 {
		t.Errorf("a ping is answered %d times", echoes)
	}
	refusals := []header.ICMPv6Type{header.ICMPv6DstUnreachable, header.ICMPv6ParamProblem}
	for next := range 256 {
		if next == int(header.TCPProtocolNumber) || next == int(header.ICMPv6ProtocolNumber) {
			continue
		}
		frame := icmp6(at.mac, at.peer.mac, src, dst, 0, 255, make([]byte, 60))
		header.IPv6(frame[nic.HeaderSize:]).SetNextHeader(uint8(next))
		for _, frame := range at.give(frame, nil) {
			if m := message(frame); m != nil && !slices.Contains(append(own, refusals...), m.Type()) {
				t.Errorf("next header %d is answered by % x", next, []byte(m))
			}
		}
	}
}
