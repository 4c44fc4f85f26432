package audit

import "time"

// What would take too much room one by one is counted: events of an object that has more of them than a person would
// read (a guest that reboots in a loop must neither fill the log nor push an administrator's acts out of it), and reads
// while there is no room for them (pressure.go). For each caller, act and object one record an interval says how many.
const (
	maxCounts = 48 // apart; the rest are counted together

	eventBurst   = 16               // events of one object that are recorded one by one
	eventRefill  = 10 * time.Minute // and then one more each
	maxThrottled = 512              // objects that are told apart
)

// act is what is counted together.
type act struct {
	who                Who
	method, action, on string
}

// tally is how often something has happened.
type tally struct {
	since time.Time
	n     int64
}

// bucket is how many events of an object may be recorded one by one.
type bucket struct {
	left int
	at   time.Time // when it was last filled
}

// counts are the acts counted in this interval.
type counts struct {
	acts    map[act]*tally
	others  tally
	buckets map[string]*bucket
}

// throttle says whether an event is to be counted, since its object has had too many. An event that a call has caused
// isn't: that caller is known.
func (c *counts) throttle(e *Entry, now time.Time) bool {
	if e.Cause > 0 || e.On == "" {
		return false
	}
	on := e.On
	b := c.buckets[on]
	if b == nil && len(c.buckets) >= maxThrottled {
		for k, b := range c.buckets {
			if b.fill(now); b.left == eventBurst {
				delete(c.buckets, k)
			}
		}
		if len(c.buckets) >= maxThrottled {
			on = "" // the rest share one
			b = c.buckets[on]
		}
	}
	if b == nil {
		if c.buckets == nil {
			c.buckets = map[string]*bucket{}
		}
		b = &bucket{eventBurst, now}
		c.buckets[on] = b
	}
	b.fill(now)
	if b.left == 0 {
		return true
	}
	b.left--
	return false
}

// fill gives a bucket what it may have by now.
func (b *bucket) fill(now time.Time) {
	if b.left == eventBurst {
		b.at = now
		return
	}
	if n := int64(now.Sub(b.at) / eventRefill); n > 0 {
		b.left = int(min(int64(b.left)+n, eventBurst))
		b.at = b.at.Add(time.Duration(n) * eventRefill)
	}
}

// count counts an act.
func (l *Log) count(e *Entry, now time.Time) {
	c := &l.counts
	k := act{e.Who, e.Method, e.Action, e.On}
	t := c.acts[k]
	switch {
	case t != nil:
	case len(c.acts) >= maxCounts:
		t = &c.others
	default:
		if c.acts == nil {
			c.acts = map[act]*tally{}
		}
		t = &tally{}
		c.acts[k] = t
	}
	if t.n == 0 {
		t.since = now
	}
	t.n++
	l.flush.arm(l, now)
}

// flush records what has been counted.
func (l *Log) flushCounts(now time.Time) {
	c := &l.counts
	for k, t := range c.acts {
		if l.full() {
			return // go on counting
		}
		l.startCounted(now, t)
		l.enc.entry(&Entry{Who: k.who, Method: k.method, Action: k.action, On: k.on})
		l.append(false)
		delete(c.acts, k)
	}
	if c.others.n > 0 && !l.full() {
		l.startCounted(now, &c.others)
		l.enc.text("action", "other", maxAction)
		l.append(false)
		c.others = tally{}
	}
}

func (l *Log) startCounted(now time.Time, t *tally) {
	l.start(now, kindCounted)
	l.enc.time("since", t.since)
	l.enc.number("count", t.n)
}
