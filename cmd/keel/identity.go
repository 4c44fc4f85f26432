package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"keel/vmkernel/audit"
	"keel/vmkernel/auth"
	"keel/vmkernel/release"
)

// identity is who the host is, whom it trusts, and what it writes down.
type identity struct {
	name  string
	floor time.Time // certificates begin then
	key   *auth.HostKey
	trust *auth.Store
	audit *audit.Log
	net   atomic.Pointer[hostNetwork] // once there is one
}

// newIdentity makes the host's key and its audit log. It trusts whom the image and the seed name.
func newIdentity(name string, c auth.Config, floor time.Time) (*identity, error) {
	began := time.Now()
	c.Clock = time.Now
	c.Uptime = func() time.Duration { return time.Since(began) }
	i := &identity{name: name, floor: floor}
	var err error
	if i.trust, err = auth.NewStore(c); err != nil {
		return nil, err
	}
	if i.key, err = auth.NewHostKey(name, []string{name}, nil, floor); err != nil {
		return nil, err
	}
	var boot [16]byte
	rand.Read(boot[:])
	i.audit, err = audit.New(audit.Config{Host: name, Boot: fmt.Sprintf("%x", boot), Version: release.Own().Name, Key: i.key.Signer(), Dial: i.dial})
	if err != nil {
		return nil, err
	}
	return i, nil
}

// trustOf is whom the host trusts from its boot on, and the time before which it can't be.
func trustOf(s *appliedSeed, recover bool) (c auth.Config, floor time.Time, err error) {
	if c, err = s.Host.Trust.Config(); err != nil {
		return c, floor, err
	}
	c = image.Extend(c)
	c.Recover = recover
	if errImage != nil {
		c = auth.Config{Lockdown: auth.Lockdown{On: true}} // which offers no claim
	}
	var signed time.Time
	if s.signature != nil {
		signed = s.signature.Time
	}
	return c, auth.Floor(builtAt(), signed, c.CAs), nil
}

// dial connects to the audit log's collector.
func (i *identity) dial(ctx context.Context, network, address string) (net.Conn, error) {
	n := i.net.Load()
	if n == nil {
		return nil, errors.New("the host has no network")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	list, err := n.stack.Resolver().LookupHost(ctx, host)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, a := range list {
		conn, err := n.stack.Dial(ctx, network, net.JoinHostPort(a, port))
		if err == nil {
			return conn, nil
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

// seedApplied records the seed, and what was asked for at the boot menu.
func (i *identity) seedApplied(s *appliedSeed, safe, recover bool) {
	e := audit.Entry{Action: "seed.applied", On: s.source, Detail: "not signed"}
	if s.signature != nil {
		e.Detail = fmt.Sprintf("signed by %s at %s, sequence %d", s.signature.Signer.Subject.CommonName, s.signature.Time.Format(time.RFC3339), s.signature.Sequence)
	}
	if s.source == "" {
		e.Action, e.Detail = "seed.none", ""
	}
	i.audit.Event(e)
	for _, why := range s.notUsed {
		i.audit.Event(audit.Entry{Action: "seed.refused", Detail: why})
	}
	if recover {
		i.audit.Event(audit.Entry{Action: "recover.access", Detail: "chosen at the boot menu: a claim is open for " + auth.RecoverWindow.String()})
	}
	if safe {
		i.audit.Event(audit.Entry{Action: "safe.start", Detail: "no VM is started"})
	}
}

// showClaim writes the code of an open claim to the host's own console, and nowhere else.
func (i *identity) showClaim(console *slog.Logger, address string) {
	c := i.trust.ClaimState()
	if !c.Open {
		return
	}
	args := []any{"code", c.Code, "fingerprint", string(i.key.Fingerprint()), "claim", "keelctl host claim " + address + " --code " + c.Code}
	if c.Ends > 0 {
		args = append(args, "for", c.Ends.Round(time.Second).String())
	}
	console.Warn("claim open", args...)
}
