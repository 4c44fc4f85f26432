package door

import (
	"maps"
	"net/netip"
)

// enter gives a new connection a place among the half-open ones, taking another's if it must.
func (d *Door) enter(c *conn) {
	d.mu.Lock()
	d.stats.Accepted++
	l := &d.config.Limits
	var out *conn
	same := 0
	for h := range d.half {
		if h.source == c.source {
			same++
		}
	}
	switch {
	case same >= l.PerSource:
		out = d.victim(c.source)
	case len(d.half) >= l.HalfOpen:
		out = d.victim(netip.Prefix{})
	}
	if out != nil {
		d.drop(out)
	}
	c.half = true
	d.half[c] = true
	d.mu.Unlock()
	if out != nil {
		d.refuse(out, Crowded, nil)
		out.abort()
	}
}

// victim is the half-open connection that goes: of one source if that is given, else of the source that has most, and
// of one that is known only once these have more than their own places; silent ones first, then the oldest.
func (d *Door) victim(of netip.Prefix) *conn {
	now := d.config.Now()
	counts := map[netip.Prefix]int{}
	known := 0
	for h := range d.half {
		counts[h.source]++
		if d.rates.isKnown(h.source, now) {
			known++
		}
	}
	spare := known <= d.config.Limits.Known // those of known sources
	var worst *conn
	for h := range d.half {
		if of.IsValid() && h.source != of || !of.IsValid() && spare && known < len(d.half) && d.rates.isKnown(h.source, now) {
			continue
		}
		if worst == nil || worse(h, worst, counts) {
			worst = h
		}
	}
	return worst
}

func worse(a, b *conn, counts map[netip.Prefix]int) bool {
	if counts[a.source] != counts[b.source] {
		return counts[a.source] > counts[b.source]
	}
	if a, b := a.spoke.Load(), b.spoke.Load(); a != b {
		return b
	}
	return a.began.Before(b.began)
}

// admit moves a connection whose handshake is done to the open ones, if there is a place for its caller.
func (d *Door) admit(c *conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !c.half {
		return false // it was dropped meanwhile
	}
	p, l := c.peer, &d.config.Limits
	places, most := l.Open, l.PerCaller
	switch {
	case !p.Known:
		most = l.Strangers
	case !p.Admin:
		places -= l.ForAdmins
	}
	caller := callerKey(p)
	if p.Known && (len(d.open)-d.callers[strangers] >= places || d.callers[caller] >= most) {
		return false
	}
	if !p.Known && d.callers[strangers] >= most { // the newcomer may be the one with the code
		out := d.worstStranger()
		if out == nil {
			return false
		}
		d.release(out)
		go func() {
			d.refuse(out, Crowded, nil)
			out.abort()
		}()
	}
	d.drop(c)
	c.open = true
	d.open[c] = true
	d.callers[caller]++
	d.stats.In++
	if p.Known {
		d.rates.welcome(c.source, d.config.Now())
	}
	return true
}

// worstStranger is the one who goes when another comes: of the source that has most, the oldest. The mutex is held.
func (d *Door) worstStranger() *conn {
	counts := map[netip.Prefix]int{}
	for c := range d.open {
		if !c.peer.Known {
			counts[c.source]++
		}
	}
	var worst *conn
	for c := range d.open {
		if !c.peer.Known && (worst == nil || counts[c.source] > counts[worst.source] ||
			counts[c.source] == counts[worst.source] && c.began.Before(worst.began)) {
			worst = c
		}
	}
	return worst
}

// strangers is the caller whom all without a certificate are counted as.
const strangers = ""

func callerKey(p *Peer) string {
	if !p.Known {
		return strangers
	}
	return "=" + p.Caller
}

// drop takes a connection from the half-open ones. The mutex is held.
func (d *Door) drop(c *conn) {
	c.half = false
	delete(d.half, c)
}

// leave gives a connection's place back.
func (d *Door) leave(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop(c)
	if c.open {
		d.release(c)
	}
}

// release gives an open connection's place back. The mutex is held.
func (d *Door) release(c *conn) {
	c.open = false
	delete(d.open, c)
	caller := callerKey(c.peer)
	if d.callers[caller]--; d.callers[caller] == 0 {
		delete(d.callers, caller)
	}
}

// refuse counts a connection that wasn't let in.
func (d *Door) refuse(c *conn, why string, err error) {
	d.mu.Lock()
	counted := why == Crowded || c.half // one that was dropped has been counted
	if counted {
		d.stats.Refused[why]++
	}
	d.mu.Unlock()
	if counted && d.config.Refused != nil {
		d.config.Refused(c.from.Addr(), why, err)
	}
}

// Recheck closes the connections of those of whom stay says that they may not.
func (d *Door) Recheck(stay func(*Peer) bool) (closed int) {
	d.mu.Lock()
	all := make([]*conn, 0, len(d.open))
	for c := range d.open {
		all = append(all, c)
	}
	d.mu.Unlock()
	for _, c := range all {
		if !stay(c.peer) {
			c.abort()
			closed++
		}
	}
	return closed
}

// Stats returns the counts.
func (d *Door) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.stats
	s.HalfOpen, s.Open = len(d.half), len(d.open)
	s.Refused = maps.Clone(d.stats.Refused)
	s.RememberedAddrs = len(d.rates.sources)
	now := d.config.Now()
	for p := range d.rates.sources {
		if d.rates.isKnown(p, now) {
			s.KnownSources++
		}
	}
	return s
}
