package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"time"

	"keel/vmkernel/audit"
	"keel/vmkernel/auth"
)

// identity is who the host is, and whom it trusts.
type identity struct {
	key   *auth.HostKey
	trust *auth.Store
	audit *audit.Log
	dial  lateDialer
}

// newIdentity makes the host's key and its audit log, and has it trust whom the image and the seed name. Where the
// seed's trust can't be used it trusts nobody, and says so.
func newIdentity(name string, c auth.Config, floor time.Time) (*identity, error) {
	began := time.Now()
	c.Clock = time.Now
	c.Uptime = func() time.Duration { return time.Since(began) }
	var i identity
	var err error
	if i.trust, err = auth.NewStore(c); err != nil {
		return nil, err
	}
	if i.key, err = auth.NewHostKey(name, []string{name}, nil, floor); err != nil {
		return nil, err
	}
	var id [16]byte
	rand.Read(id[:])
	i.audit, err = audit.New(audit.Config{Host: name, Boot: fmt.Sprintf("%x", id), Version: release, Key: i.key.Signer(), Dial: i.dial.dial})
	return &i, err
}

// lateDialer connects to the audit log's collector once there is a network.
type lateDialer struct{ to chan dialer }

// A dialer connects over TCP, by name or address.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

var _ netip.Addr
