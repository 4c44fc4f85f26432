package door

import (
	"net/netip"
	"time"
)

// bucket holds tokens, which come at a rate up to a burst.
type bucket struct {
	tokens float64
	last   time.Time
}

func (b *bucket) fill(now time.Time, rate, burst float64) {
	if b.last.IsZero() {
		b.tokens = burst
	} else if d := now.Sub(b.last); d > 0 {
		b.tokens = min(burst, b.tokens+d.Seconds()*rate)
	}
	b.last = now
}

func (b *bucket) take() bool {
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// rates says which handshakes may go on. What it remembers is bounded. Its user locks it.
type rates struct {
	limits  *Limits
	total   bucket
	sources map[netip.Prefix]*source
}

type source struct {
	bucket
	known time.Time // when somebody known has come last; zero: never
}

// knownFor is how long a source is known after somebody known has come from it.
const knownFor = 24 * time.Hour

func (r *rates) of(p netip.Prefix) *source {
	s := r.sources[p]
	if s == nil {
		if len(r.sources) >= r.limits.Sources {
			r.forget()
		}
		s = &source{}
		r.sources[p] = s
	}
	return s
}

// forget makes room: of the sources that aren't known the one that has rested longest goes, and of the known ones if
// there are no others.
func (r *rates) forget() {
	var worst netip.Prefix
	var least *source
	for p, s := range r.sources {
		known := !s.known.IsZero()
		if least == nil || !known && !least.known.IsZero() || known == !least.known.IsZero() && s.last.Before(least.last) {
			worst, least = p, s
		}
	}
	delete(r.sources, worst)
}

// isKnown says whether somebody known has come from there lately.
func (r *rates) isKnown(p netip.Prefix, now time.Time) bool {
	s := r.sources[p]
	return s != nil && !s.known.IsZero() && now.Sub(s.known) < knownFor
}

// welcome remembers that somebody known has come from there.
func (r *rates) welcome(p netip.Prefix, now time.Time) { r.of(p).known = now }

// light is how many handshakes a source may have begun of late and still count as one that comes now and then.
const light = 5

// allow says whether a handshake may go on. Of what all sources together may do, those that come often leave half to those
// that come now and then: a crowd that tries again and again doesn't shut out who comes for the first time.
func (r *rates) allow(p netip.Prefix, now time.Time) bool {
	s := r.of(p)
	l := r.limits
	if r.isKnown(p, now) {
		s.fill(now, 2*l.Rate1, 2*l.Burst1)
		return s.take()
	}
	s.fill(now, l.Rate1, l.Burst1)
	r.total.fill(now, l.Rate, l.Burst)
	if s.tokens < l.Burst1-light && r.total.tokens < 1+l.Burst/2 {
		return false
	}
	return s.tokens >= 1 && r.total.take() && s.take()
}
