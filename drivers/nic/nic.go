// Package nic is the one interface of network cards: what a driver offers, and what the network's
// stack makes of it.
//
// The rule that it keeps: frames are Ethernet's, without the frame check sequence.
package nic

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Sizes in bytes.
const (
	HeaderSize = 14
	TagSize    = 4 // of a VLAN's tag, within the header (IEEE 802.1Q)
	MTU        = 1500
	MaxFrame   = HeaderSize + TagSize + MTU
)

// MAC is an Ethernet address.
type MAC [6]byte

func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// Valid says whether it may be a card's own: not a group's, and not all zero.
func (m MAC) Valid() bool { return m[0]&1 == 0 && m != MAC{} }

// Link is what the cable does.
type Link struct {
	Up   bool
	Mbps int // 0: unknown
}

func (l Link) String() string {
	switch {
	case !l.Up:
		return "down"
	case l.Mbps == 0:
		return "up"
	}
	return fmt.Sprintf("%dMbit/s", l.Mbps)
}

// A Frame is sent. Its parts follow one another; the first holds the headers up to the transport's.
type Frame struct {
	Parts [][]byte
	// Sum says where the card is to fill in a checksum, where its driver says that it can. The
	// field holds the sum of the pseudo-header by then.
	Sum Checksum
}

// Len is the frame's length, bytes.
func (f *Frame) Len() int {
	n := 0
	for _, p := range f.Parts {
		n += len(p)
	}
	return n
}

// A Checksum is the Internet checksum of a frame's bytes from Start to its end, to be stored Offset
// bytes behind Start. The zero value is none.
type Checksum struct{ Start, Offset int }

// A Receiver takes what a card receives. Its methods are called one at a time.
type Receiver interface {
	// Receive takes a frame. It lies in memory that the card can change: it is copied before it is
	// looked at, and not kept. summed: the card has found the TCP or UDP checksum right.
	Receive(frame []byte, summed bool)
	// LinkChanged tells of the link, at least once after the start.
	LinkChanged(Link)
	// Trouble tells of what went wrong and what was done, for the log.
	Trouble(error)
}

// NIC is a network card. Its methods may be called from any goroutine.
type NIC interface {
	Driver() string
	MAC() MAC
	// Link is the link now.
	Link() Link
	// Sums says whether Send fills in checksums.
	Sums() bool
	// Start begins to receive, and tells of the link before it returns. It is called once.
	Start(Receiver) error
	// Send copies a frame to the card. false: it was dropped, since the link is down, or the card
	// takes no more for now.
	Send(*Frame) bool
	Stats() Stats
}

// Stats counts since the start.
type Stats struct {
	Received, ReceivedBytes uint64
	Sent, SentBytes         uint64
	Dropped                 uint64 // frames that were to be sent
	Bad                     uint64 // frames that came damaged
	Resets                  uint64
}

// Counters are what a driver counts Stats in. Their methods may be called from any goroutine.
type Counters struct {
	Received, ReceivedBytes, Sent, SentBytes, Dropped, Bad, Resets atomic.Uint64
}

// Stats implements NIC, for drivers that embed Counters.
func (c *Counters) Stats() Stats {
	return Stats{Received: c.Received.Load(), ReceivedBytes: c.ReceivedBytes.Load(), Sent: c.Sent.Load(),
		SentBytes: c.SentBytes.Load(), Dropped: c.Dropped.Load(), Bad: c.Bad.Load(), Resets: c.Resets.Load()}
}

// How the driver of a card is served.
const (
	// Patrol is how often a card is looked at that doesn't call.
	Patrol = time.Second
	// polling is how often, once it has proved that its interrupts don't arrive.
	polling = 5 * time.Millisecond
	// lostBefore is how many patrols in a row must find what no interrupt has told.
	lostBefore = 3
)

// Interrupt is waited for, see pci.Interrupt.
type Interrupt interface {
	Wait(seen uint64) (uint64, error)
}

// Serve calls service whenever the card interrupts, and now and then without: it returns whether
// there was something to do, and is never called twice at once. Until it has returned no further
// interrupt is waited for. Serve doesn't return. trouble is told when interrupts don't arrive, and
// the card is polled from then on.
func Serve(irq Interrupt, service func(patrol bool) bool, trouble func(error)) {
	var mu sync.Mutex
	told := false // since the last patrol
	go func() {
		for seen := uint64(0); ; {
			n, err := irq.Wait(seen)
			mu.Lock()
			if err != nil {
				trouble(fmt.Errorf("no interrupts: %w", err))
				mu.Unlock()
				return
			}
			seen, told = n, true
			service(false)
			mu.Unlock()
		}
	}()
	every, lost := Patrol, 0
	for {
		time.Sleep(every)
		mu.Lock()
		found := service(true)
		switch {
		case told || !found:
			lost = 0
		case every == Patrol:
			if lost++; lost >= lostBefore {
				every = polling
				trouble(fmt.Errorf("its interrupts don't arrive: it is looked at every %v", polling))
			}
		}
		told = false
		mu.Unlock()
	}
}
