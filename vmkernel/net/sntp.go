package net

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// SNTP, the simple network time protocol, version 4 (RFC 4330, RFC 5905).
const (
	ntpPort = 123
	ntpSize = 48

	ntpClient = 4<<3 | 3 // version 4, client
	ntpServer = 4
	ntpAlarm  = 3 // leap indicator: the server's clock isn't set

	ntpOriginate = 24
	ntpReceive   = 32
	ntpTransmit  = 40

	maxStratum = 15
	maxDelay   = 5 * time.Second
)

// ntpEpoch is what NTP's first era counts from; the second begins in 2036.
var ntpEpoch = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)

// AskTime asks a server how far off the host's clock is: what to add to time.Now. It waits as long as
// ctx says, 5 s at most.
func (s *Stack) AskTime(ctx context.Context, server netip.Addr) (time.Duration, error) {
	conn, err := s.Dial(ctx, "udp", netip.AddrPortFrom(server, ntpPort).String())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return askTime(ctx, conn)
}

func askTime(ctx context.Context, conn net.Conn) (time.Duration, error) {
	deadline := time.Now().Add(maxDelay)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	conn.SetDeadline(deadline)
	q := make([]byte, ntpSize)
	q[0] = ntpClient
	// The time of sending needs only come back: a random one tells a guesser nothing (RFC 8633 4).
	rand.Read(q[ntpTransmit:])
	sent := time.Now()
	if _, err := conn.Write(q); err != nil {
		return 0, fmt.Errorf("sntp: %v: %w", conn.RemoteAddr(), err)
	}
	r := make([]byte, 512)
	for {
		n, err := conn.Read(r)
		took := time.Since(sent)
		if err != nil {
			return 0, fmt.Errorf("sntp: %v: %w", conn.RemoteAddr(), err)
		}
		if n >= ntpSize && [8]byte(r[ntpOriginate:]) == [8]byte(q[ntpTransmit:]) {
			offset, err := offsetOf(r[:ntpSize], sent, took)
			if err != nil {
				return 0, fmt.Errorf("sntp: %v: %w", conn.RemoteAddr(), err)
			}
			return offset, nil
		}
	}
}

// offsetOf is what an answer says of the clock that was read at sent, before the answer took so long.
func offsetOf(r []byte, sent time.Time, took time.Duration) (time.Duration, error) {
	switch stratum := r[1]; {
	case r[0]&7 != ntpServer:
		return 0, fmt.Errorf("mode %d is no server's", r[0]&7)
	case r[0]>>6 == ntpAlarm, stratum == 0, stratum > maxStratum:
		return 0, fmt.Errorf("its own clock isn't set (stratum %d)", stratum)
	}
	received, transmitted := timeOf(r[ntpReceive:]), timeOf(r[ntpTransmit:])
	inside := transmitted.Sub(received)
	if binary.BigEndian.Uint64(r[ntpTransmit:]) == 0 || inside < 0 || inside > took {
		return 0, fmt.Errorf("it says that it received at %v and answered at %v", received, transmitted)
	}
	// Half of the way there and back (RFC 5905 8).
	return received.Sub(sent.Add((took - inside) / 2)), nil
}

// timeOf is a timestamp: 32 bits of seconds, 32 of their fraction. Those before 1968 are of the era
// that begins in 2036 (RFC 4330 3).
func timeOf(b []byte) time.Time {
	s, f := uint64(binary.BigEndian.Uint32(b)), uint64(binary.BigEndian.Uint32(b[4:]))
	if s&(1<<31) == 0 {
		s += 1 << 32
	}
	return time.Unix(int64(s)+ntpEpoch.Unix(), int64(f*1e9>>32)).UTC()
}
