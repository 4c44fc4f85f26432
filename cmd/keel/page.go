package main

import (
	"context"
	"crypto/x509"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"keel/drivers/cards"
	"keel/vmkernel/auth"
	"keel/vmkernel/release"
	"keel/vmkernel/status"
	"keel/vmkernel/sys"
)

// pageEvery is how often the page is drawn when nothing asks for it: its clock shows minutes.
const pageEvery = 20 * time.Second

// statusPage is what the host's screen shows, from `ready` on.
type statusPage struct {
	h    *host
	poke chan struct{}

	mu       sync.Mutex
	found    []cards.Card
	stopping bool
}

func newStatusPage(h *host) *statusPage { return &statusPage{h: h, poke: make(chan struct{}, 1)} }

// changed has the page be drawn soon.
func (p *statusPage) changed() {
	select {
	case p.poke <- struct{}{}:
	default:
	}
}

// cards says which network cards there are.
func (p *statusPage) cards(found []cards.Card) {
	p.mu.Lock()
	p.found = found
	p.mu.Unlock()
	p.changed()
}

// foundCards are those network cards.
func (p *statusPage) foundCards() []cards.Card {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.found
}

// stop says whether the host is being switched off.
func (p *statusPage) stop(on bool) {
	p.mu.Lock()
	p.stopping = on
	p.mu.Unlock()
	p.changed()
}

// run draws the page for as long as the screen takes one.
func (p *statusPage) run() {
	tick := time.NewTicker(pageEvery)
	defer tick.Stop()
	var cells sys.Page
	for {
		cells = sys.Page(*status.Render(p.info()))
		if sys.ShowPage(&cells) != nil {
			return // there is no screen
		}
		select {
		case <-p.poke:
			time.Sleep(100 * time.Millisecond) // what comes together is drawn together
		case <-tick.C:
		}
	}
}

// info is what the page says now.
func (p *statusPage) info() *status.Info {
	h := p.h
	p.mu.Lock()
	defer p.mu.Unlock()
	var s sys.Stats
	sys.GetStats(&s)
	i := &status.Info{
		Name: h.seed.Host.Name, Version: release.Own().Name,
		Maker: cString(h.info.Maker[:]), Product: cString(h.info.Product[:]), Serial: cString(h.info.Serial[:]),
		CPUs: int(h.info.CPUs), Virt: virtName(h.info.Virt), Memory: h.info.Memory, Free: s.FreeMemory,
		Key: h.id.key.Fingerprint().Groups(), Lockdown: h.id.trust.Lockdown().Locked,
		Clock: h.clock.describe(), Now: time.Now(), Seed: h.seed.describe(), NotUsed: h.seed.notUsed, LastError: h.errors.last(),
	}
	for _, v := range h.vms.List() {
		i.Defined++
		if v.State() != 0 {
			i.Running++
		}
	}
	for _, ca := range h.id.trust.CAs() {
		i.CAs = append(i.CAs, status.CA{Name: ca.Subject.CommonName, Fingerprint: string(auth.FingerprintOf(ca))})
	}
	i.CAEnd = firstEnd(h.id.trust.CAs(), i.Now)
	n := h.id.net.Load()
	for _, a := range n.addresses() {
		i.Addresses = append(i.Addresses, a.String())
	}
	for _, c := range p.found {
		nic := status.NIC{Where: strings.TrimPrefix(c.Function.Address.String(), "0000:"), Driver: c.Driver}
		if c.NIC != nil {
			nic.MAC, nic.Link = c.NIC.MAC().String(), c.NIC.Link().String()
		}
		if n != nil && c.NIC == n.stack.NIC() {
			st := n.stack.State()
			nic.Management, nic.Link, nic.Address = true, st.Link.String(), listOf(st.Addresses)
		}
		i.NICs = append(i.NICs, nic)
	}
	claim := h.id.trust.ClaimState()
	if claim.Open && h.door.Load() {
		i.Claim = claim.Code
		if claim.Ends > 0 {
			i.ClaimUntil = i.Now.Add(claim.Ends)
		}
	}
	i.State = p.state(claim.Open, n != nil && len(i.Addresses) > 0 && n.stack.State().Link.Up)
	return i
}

// firstEnd says of the CA that ends first when that is, once it is near.
func firstEnd(cas []*x509.Certificate, now time.Time) string {
	if len(cas) == 0 {
		return ""
	}
	first := slices.MinFunc(cas, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	if end := auth.End(first, now); end != "" {
		return first.Subject.CommonName + " " + end
	}
	return ""
}

// startingFor is how long a host may take to its door before it counts as one that nobody reaches.
const startingFor = time.Minute

// state is the host's one word. claim: one is open; reached: the host has a link and an address.
func (p *statusPage) state(claim, reached bool) status.State {
	h := p.h
	switch {
	case p.stopping:
		return status.Stopping
	case h.unreached():
		if h.safe {
			return status.Safe
		}
		return status.Ready // it is to have no network
	case h.offline.Load(), h.door.Load() && !reached, !h.door.Load() && h.up() > startingFor:
		return status.Offline
	case !h.door.Load():
		return status.Starting
	case h.recover:
		return status.Recovery
	case claim:
		return status.Unclaimed
	case h.safe:
		return status.Safe
	}
	return status.Ready
}

// describe names the seed.
func (s *appliedSeed) describe() string {
	switch {
	case s.source == "":
		return ""
	case s.signature == nil:
		return s.source + ", not signed"
	}
	return s.source + ", signed by " + s.signature.Signer.Subject.CommonName + " on " + s.signature.Time.UTC().Format("2006-01-02 15:04")
}

// errorWatch remembers the last error of a log.
type errorWatch struct {
	slog.Handler
	text   *atomic.Pointer[string]
	notify func()
}

func watchErrors(h slog.Handler) *errorWatch {
	return &errorWatch{Handler: h, text: new(atomic.Pointer[string])}
}

func (w *errorWatch) last() string {
	if s := w.text.Load(); s != nil {
		return *s
	}
	return ""
}

// Handle implements slog.Handler.
func (w *errorWatch) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		var b strings.Builder
		b.WriteString(r.Message)
		r.Attrs(func(a slog.Attr) bool {
			b.WriteString(": " + a.Value.String())
			return b.Len() < 200
		})
		text := b.String()
		w.text.Store(&text)
		if w.notify != nil {
			w.notify()
		}
	}
	return w.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (w *errorWatch) WithAttrs(a []slog.Attr) slog.Handler {
	return &errorWatch{w.Handler.WithAttrs(a), w.text, w.notify}
}

// WithGroup implements slog.Handler.
func (w *errorWatch) WithGroup(name string) slog.Handler {
	return &errorWatch{w.Handler.WithGroup(name), w.text, w.notify}
}
