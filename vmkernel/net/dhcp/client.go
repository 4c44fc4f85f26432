package dhcp

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"keel/drivers/nic"
)

// A Lease is what a server has given.
type Lease struct {
	Address netip.Prefix
	Router  netip.Addr // none: there is no way out of the network
	DNS     []netip.Addr
	NTP     []netip.Addr
	Server  netip.Addr
	Until   time.Time
}

// A Client gets a lease and keeps it. Its fields are set before Run.
type Client struct {
	MAC  nic.MAC
	Name string // of the host, told to servers
	// Send sends a frame; false: it wasn't.
	Send func(frame []byte) bool
	// Changed is told of each lease, also of one that goes on with other contents, and with nil that
	// there is none any more.
	Changed func(*Lease)
	// Silent is told once that no server has answered for a while.
	Silent func()

	replies chan reply
	up      chan struct{}
}

// Times (RFC 2131 4.1): the first wait for an answer, doubled up to the longest, and give or take.
const (
	firstWait   = time.Second
	longestWait = 32 * time.Second
	jitter      = 250 * time.Millisecond
	silentAfter = 10 * time.Second

	shortestLease = time.Minute // a shorter one is taken for as long
	forever       = 0xFFFF_FFFF * time.Second
)

// NewClient makes a client for a card.
func NewClient(mac nic.MAC, name string) *Client {
	return &Client{MAC: mac, Name: name, replies: make(chan reply, 8), up: make(chan struct{}, 1)}
}

// Receive takes a frame for which IsReply holds. It doesn't keep it.
func (c *Client) Receive(frame []byte, summed bool) {
	if r, ok := parse(frame, c.MAC, summed); ok {
		select {
		case c.replies <- r:
		default: // more than anybody asked for
		}
	}
}

// LinkUp tells that the cable has been plugged in: the network may be another one.
func (c *Client) LinkUp() {
	select {
	case c.up <- struct{}{}:
	default:
	}
}

// errNone says that no server answers.
var errNone = errors.New("no server answers")

// Run gets a lease once the link is up, and renews it, until ctx is done.
func (c *Client) Run(ctx context.Context) {
	started := time.Now()
	told := false
	silent := func() {
		if !told && time.Since(started) > silentAfter {
			told = true
			c.Silent()
		}
	}
	select {
	case <-ctx.Done():
		return
	case <-c.up:
	}
	started = time.Now()
	for ctx.Err() == nil {
		lease, r, err := c.acquire(ctx, silent)
		if err != nil {
			return // ctx is done
		}
		c.Changed(lease)
		c.keep(ctx, lease, r)
		if ctx.Err() == nil {
			c.Changed(nil)
			started, told = time.Now(), false
		}
	}
}

// acquire asks until a server has given an address.
func (c *Client) acquire(ctx context.Context, silent func()) (*Lease, reply, error) {
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		q := query{kind: discover, xid: rand.Uint32(), mac: c.MAC, name: c.Name}
		offered, err := c.ask(ctx, &q, wait, func(r *reply) bool {
			return r.kind == offer && r.address.IsValid() && r.server.IsValid()
		})
		if err == nil {
			q.kind, q.requested, q.server = request, offered.address.Addr(), offered.server
			var r reply
			r, err = c.ask(ctx, &q, 2*firstWait, answers(offered.address.Addr()))
			if err == nil && r.kind == ack {
				return leaseOf(&r), r, nil
			}
		}
		if ctx.Err() != nil {
			return nil, reply{}, ctx.Err()
		}
		silent()
	}
}

// keep renews a lease until it is lost.
func (c *Client) keep(ctx context.Context, l *Lease, r reply) {
	for {
		t1, t2, end := r.times()
		start := time.Now()
		select {
		case <-ctx.Done():
			return
		case <-time.After(t1):
		case <-c.up:
			// Another cable, maybe: is the address still good here (RFC 2131 3.2)?
			q := query{kind: request, xid: rand.Uint32(), mac: c.MAC, name: c.Name, requested: l.Address.Addr()}
			a, err := c.ask(ctx, &q, 2*firstWait, answers(l.Address.Addr()))
			if err == nil && a.kind == nak {
				return
			}
			if err == nil {
				r = a
				l = c.renewed(&r)
				continue
			}
			if !c.wait(ctx, t1-time.Since(start)) {
				return
			}
		}
		// Renewed as it is rebound, from any server: one kind of message less.
		for renewed := false; !renewed; {
			q := query{kind: request, xid: rand.Uint32(), mac: c.MAC, name: c.Name, current: l.Address.Addr()}
			a, err := c.ask(ctx, &q, 2*firstWait, answers(l.Address.Addr()))
			switch {
			case ctx.Err() != nil, err == nil && a.kind == nak:
				return
			case err == nil:
				r, renewed = a, true
				l = c.renewed(&r)
			case time.Since(start) >= end:
				return
			default:
				// Half of what is left, at least a while (RFC 2131 4.4.5).
				left := t2 - time.Since(start)
				if left < 0 {
					left = end - time.Since(start)
				}
				if !c.wait(ctx, min(max(left/2, 10*time.Second), end-time.Since(start))) {
					return
				}
			}
		}
	}
}

func (c *Client) wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// renewed tells of a lease that goes on.
func (c *Client) renewed(r *reply) *Lease {
	l := leaseOf(r)
	c.Changed(l)
	return l
}

// answers says whether a reply settles a request for an address.
func answers(a netip.Addr) func(*reply) bool {
	return func(r *reply) bool {
		return r.kind == nak || r.kind == ack && r.address.Addr() == a
	}
}

// ask sends a query and waits for the reply to it.
func (c *Client) ask(ctx context.Context, q *query, wait time.Duration, good func(*reply) bool) (reply, error) {
	c.Send(q.frame())
	timer := time.NewTimer(wait - jitter + rand.N(2*jitter))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return reply{}, ctx.Err()
		case <-timer.C:
			return reply{}, errNone
		case r := <-c.replies:
			if r.xid == q.xid && good(&r) {
				return r, nil
			}
		}
	}
}

func leaseOf(r *reply) *Lease {
	_, _, end := r.times()
	return &Lease{Address: r.address, Router: r.router, DNS: r.dns, NTP: r.ntp, Server: r.server, Until: time.Now().Add(end)}
}

// times are when to renew, to rebind, and when the lease ends, from now. What a server says of them
// has to be in order, or is what RFC 2131 4.4.5 says.
func (r *reply) times() (t1, t2, end time.Duration) {
	end = r.lease
	if end == 0 {
		end = time.Hour
	}
	end = min(max(end, shortestLease), forever)
	t1, t2 = r.t1, r.t2
	if t1 < shortestLease/4 || t2 < t1 || end < t2 {
		t1, t2 = end/2, end/8*7
	}
	return t1, t2, end
}
