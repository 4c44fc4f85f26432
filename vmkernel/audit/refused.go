package audit

import (
	"net/netip"
	"slices"
	"time"
)

// Calls without a valid certificate are counted for each source, and one record an interval names the sources with most.
// A stranger with many addresses makes that record no longer than maxSources, and the interval grows from minInterval to
// maxInterval while something is counted: 24 records a day, which would take half a year to fill the log.
const (
	maxSources = 10 // that are told apart; the rest are counted together
	maxWhat    = 32

	minInterval = time.Minute
	maxInterval = time.Hour
)

// refusal is what a source was refused.
type refusal struct {
	n    int64
	what string // the latest reason
}

// refusals are those of this interval.
type refusals struct {
	since   time.Time
	sources map[netip.Prefix]*refusal
	others  int64
	n       int64
}

// Refuse counts a call that was refused since its caller isn't known: no certificate, a foreign or revoked one, too many
// attempts. source is an address, with or without a port.
func (l *Log) Refuse(source, what string) {
	from := prefixOf(source)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	r := &l.refused
	now := l.now()
	if r.n++; r.n == 1 {
		r.since = now
	}
	s := r.sources[from]
	switch {
	case s != nil:
	case len(r.sources) >= maxSources:
		r.others++
		l.flush.arm(l, now)
		return
	default:
		if r.sources == nil {
			r.sources = map[netip.Prefix]*refusal{}
		}
		s = &refusal{}
		r.sources[from] = s
	}
	s.n++
	s.what = what
	l.flush.arm(l, now)
}

// prefixOf is the network that a source is counted for: its address, or in IPv6 its network's 64 bits, as a stranger
// has all addresses of one. What isn't an address is counted for no network.
func prefixOf(source string) netip.Prefix {
	a, err := netip.ParseAddr(source)
	if err != nil {
		ap, err := netip.ParseAddrPort(source)
		if err != nil {
			return netip.Prefix{}
		}
		a = ap.Addr()
	}
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// flushRefused records what has been refused.
func (l *Log) flushRefused(now time.Time) {
	r := &l.refused
	if r.n == 0 || l.full() {
		return
	}
	l.start(now, kindRefused)
	l.enc.time("since", r.since)
	l.enc.number("count", r.n)
	if r.others > 0 {
		l.enc.number("others", r.others)
	}
	order := make([]netip.Prefix, 0, maxSources)
	for p := range r.sources {
		order = append(order, p)
	}
	slices.SortFunc(order, func(a, b netip.Prefix) int { return int(r.sources[b].n - r.sources[a].n) })
	l.enc.key("sources")
	l.enc.b = append(l.enc.b, '[')
	for i, p := range order {
		if i > 0 {
			l.enc.b = append(l.enc.b, ',')
		}
		l.enc.b = append(l.enc.b, '{')
		from := p.String()
		if p.Bits() == 32 {
			from = p.Addr().String()
		} else if !p.IsValid() {
			from = "unknown"
		}
		l.enc.text("from", from, maxFrom)
		l.enc.number("count", r.sources[p].n)
		l.enc.text("what", r.sources[p].what, maxWhat)
		l.enc.b = append(l.enc.b, '}')
	}
	l.enc.b = append(l.enc.b, ']')
	l.append(false)
	*r = refusals{}
}

// flusher has what is counted recorded, an interval after the first of it.
type flusher struct {
	timer    *time.Timer // nil: nothing is due
	interval time.Duration
	last     time.Time
}

// arm has a flush follow. The interval doubles with each, and halves for each maxInterval without one.
func (f *flusher) arm(l *Log, now time.Time) {
	if f.timer != nil {
		return
	}
	if !f.last.IsZero() {
		f.interval = min(2*f.interval, maxInterval)
		for quiet := now.Sub(f.last); quiet >= maxInterval && f.interval > minInterval; quiet -= maxInterval {
			f.interval /= 2
		}
	}
	f.interval = max(f.interval, minInterval)
	f.timer = time.AfterFunc(f.interval, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.closed {
			l.flushCounted()
		}
	})
}

// flushCounted records all that has been counted.
func (l *Log) flushCounted() {
	now := l.now()
	l.flushRefused(now)
	l.flushCounts(now)
	l.flush.timer, l.flush.last = nil, now
	if l.refused.n > 0 || len(l.counts.acts) > 0 || l.counts.others.n > 0 {
		l.flush.arm(l, now)
	}
}
