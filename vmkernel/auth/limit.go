package auth

import (
	"net/netip"
	"time"
)

// How often a code may be tried. It has 80 bits: at a thousand tries a second, from all sources together, finding it takes
// 2 × 10¹³ years in the mean. The door lets strangers in at 50 connections a second, of which each may try MaxTries times, and so
// that limit can't be reached by strangers who would shut an administrator out. What a source is told to wait keeps wrong codes
// from being a business; a right one is taken meanwhile, since the administrator may be behind the same address as they.
const (
	triesFree  = 5                // wrong codes of a source that cost no waiting
	triesEvery = 10 * time.Second // a source is told to wait so long, for each wrong code beyond
	totalFree  = 10_000           // wrong codes of all sources together that cost no waiting
	totalEvery = time.Millisecond
	maxSources = 256
)

// MaxTries is how many claims a connection may try.
const MaxTries = 5

// limiter counts wrong codes: for each source, that is an IPv4 address or the /64 of an IPv6 one, and for all together.
// What it keeps is bounded: with more sources than maxSources the one that waits least is forgotten.
type limiter struct {
	total   bucket
	sources map[netip.Prefix]*bucket
}

// bucket is full until a time that each wrong code moves on.
type bucket struct{ until time.Duration } // of uptime

// wait says how long until the next try; 0: now.
func (b *bucket) wait(now, every time.Duration, free int) time.Duration {
	return max(0, b.until-now-every*time.Duration(free-1))
}

func (b *bucket) failed(now, every time.Duration) { b.until = max(b.until, now) + every }

func source(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // the zero prefix for no address: all of these are one source
	return p
}

// full says how long until a try is looked at at all; 0: now.
func (l *limiter) full(now time.Duration) time.Duration {
	return l.total.wait(now, totalEvery, totalFree)
}

// failed counts a wrong code, and says how long its source had still to wait: one that doesn't isn't told to wait for longer.
func (l *limiter) failed(from netip.Addr, now time.Duration) time.Duration {
	l.total.failed(now, totalEvery)
	p := source(from)
	b := l.sources[p]
	if b != nil {
		if wait := b.wait(now, triesEvery, triesFree); wait > 0 {
			return wait
		}
	} else {
		if l.sources == nil {
			l.sources = map[netip.Prefix]*bucket{}
		}
		if len(l.sources) == maxSources {
			l.forget()
		}
		b = &bucket{}
		l.sources[p] = b
	}
	b.failed(now, triesEvery)
	return 0
}

// forget makes room for a source.
func (l *limiter) forget() {
	var least netip.Prefix
	found := false
	for p, b := range l.sources {
		if !found || b.until < l.sources[least].until {
			least, found = p, true
		}
	}
	delete(l.sources, least)
}
