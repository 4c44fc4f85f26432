package auth

import (
	"net/netip"
	"time"
)

// How often a code may be tried. Guessing one of 80 bits is hopeless at any rate that a network allows; the limits keep
// the log readable and the processor free.
const (
	triesFree  = 5                // wrong codes of a source that cost no waiting
	triesEvery = 10 * time.Second // a source may try again after that, for each wrong code beyond
	totalFree  = 200              // the same for all sources together
	totalEvery = 100 * time.Millisecond
	maxSources = 256
)

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

// wait says how long a source has to wait until its next try is looked at.
func (l *limiter) wait(from netip.Addr, now time.Duration) time.Duration {
	w := l.total.wait(now, totalEvery, totalFree)
	if b := l.sources[source(from)]; b != nil {
		w = max(w, b.wait(now, triesEvery, triesFree))
	}
	return w
}

// failed counts a wrong code.
func (l *limiter) failed(from netip.Addr, now time.Duration) {
	l.total.failed(now, totalEvery)
	p := source(from)
	b := l.sources[p]
	if b == nil {
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
