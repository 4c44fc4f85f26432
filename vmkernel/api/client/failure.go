package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Kind is what a Failure comes from.
type Kind uint8

// Kinds.
const (
	Broken      Kind = iota // what came is not what the door says
	Unreachable             // no connection, or not to the host that was meant
	Denied                  // the host takes no connection with this certificate
	Timeout                 // it took too long
)

// Failure is a call that got no answer.
type Failure struct {
	Kind Kind
	err  error
}

func (f *Failure) Error() string { return f.err.Error() }
func (f *Failure) Unwrap() error { return f.err }

func fail(kind Kind, format string, args ...any) error {
	return &Failure{kind, fmt.Errorf(format, args...)}
}

// failed turns an error of a call that got no answer into one that says what it means.
func (c *Conn) failed(ctx context.Context, r Request, err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) { // its text repeats the address
		err = u.Err
	}
	where := c.where()
	var other *unexpected
	var network *net.OpError
	var dns *net.DNSError
	switch {
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled):
		return context.Canceled
	case errors.As(err, &other):
		return fail(Unreachable, "%s is not the host that was meant: %w", where, other.error)
	case alert(err) != "":
		return fail(Denied, "%s %s (%s)", where, meaning(alert(err)), alert(err))
	case errors.As(err, &dns):
		return fail(Unreachable, "%s can't be reached: no address is known for %s", where, dns.Name)
	case errors.As(err, &network) && network.Op == "dial", errors.Is(err, errSlow):
		if ctx.Err() == nil && network != nil && network.Timeout() {
			return fail(Unreachable, "%s can't be reached: no answer within %s", where, DialTimeout)
		}
		return fail(Unreachable, "%s can't be reached: %w", where, cause(err))
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fail(Timeout, "%s did not answer %s %s in time: --timeout gives it longer", where, r.Method, r.Path)
	case errors.As(err, new(tls.RecordHeaderError)):
		return fail(Unreachable, "%s doesn't speak TLS: it is not the door of a Keel host", where)
	}
	if said := c.ask(ctx); said != "" {
		return fail(Denied, "%s %s (%s)", where, meaning(said), said)
	}
	return fail(Unreachable, "%s broke the connection off: %w", where, cause(err))
}

// where names the host with its address.
func (c *Conn) where() string {
	if c.config.Name == "" || c.config.Name == c.config.Address {
		return c.config.Address
	}
	return c.config.Name + " (" + c.config.Address + ")"
}

// cause is an error without the addresses that net puts around it.
func cause(err error) error {
	var network *net.OpError
	if errors.As(err, &network) {
		return network.Err
	}
	return err
}

// alert returns the TLS alert that a host has sent, as crypto/tls words it, or "". It has no type there.
func alert(err error) string {
	var network *net.OpError
	if errors.As(err, &network) && network.Op == "remote error" {
		return strings.TrimPrefix(network.Err.Error(), "tls: ")
	}
	return ""
}

// ask finds out why a host has broken a connection off. In TLS 1.3 it looks at the client's certificate when the client
// is already writing its request, and what it says about it gets lost if it closes the connection before it reads that.
func (c *Conn) ask(ctx context.Context) string {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := c.handshake(ctx)
	if err != nil {
		return alert(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(patience))
	_, err = conn.Read(make([]byte, 1))
	return alert(err)
}

// handshake opens a connection beside those for calls.
func (c *Conn) handshake(ctx context.Context) (*tls.Conn, error) {
	return dial(ctx, c.client.Transport.(*http.Transport), "tcp", c.config.Address)
}

// turnedAway is the alert with which a host ends a handshake before it computes anything for it: too many have come from
// this address, or from everywhere. No request has been sent then, and a second later there may be room.
const turnedAway = "internal error"

// retryEvery is how long dial waits before it tries again: who shares an address with a crowd has to try as often as that does.
const retryEvery = 300 * time.Millisecond

// dial connects, and tries again for HandshakeTimeout if it is turned away.
func dial(ctx context.Context, t *http.Transport, network, address string) (*tls.Conn, error) {
	for begin := time.Now(); ; {
		conn, err := dialOnce(ctx, t, network, address)
		if err == nil || alert(err) != turnedAway || time.Since(begin) > HandshakeTimeout {
			return conn, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(retryEvery):
		}
	}
}

// errSlow is a handshake that didn't end.
var errSlow = errors.New("no TLS handshake within " + HandshakeTimeout.String())

func dialOnce(ctx context.Context, t *http.Transport, network, address string) (*tls.Conn, error) {
	raw, err := t.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, t.TLSClientConfig)
	in, cancel := context.WithTimeout(ctx, HandshakeTimeout)
	defer cancel()
	if err := conn.HandshakeContext(in); err != nil {
		raw.Close()
		if in.Err() != nil && ctx.Err() == nil {
			err = errSlow
		}
		return nil, err
	}
	return conn, nil
}

// meaning says what a host's TLS alert is about (RFC 8446, section 6.2).
func meaning(alert string) string {
	switch alert {
	case "certificate required":
		return "wants a certificate: `keelctl init` or `keelctl cert request` makes one"
	case "unknown certificate authority":
		return "doesn't trust the operator CA of your certificate: is it in the host's seed (trust.operatorCAs)?"
	case "expired certificate":
		return "says that your certificate has expired, by its clock: `keelctl cert renew`, or look at the clock on its screen"
	case "bad certificate", "revoked certificate", "unknown certificate":
		return "doesn't take your certificate: it was revoked, has no role, or the host is locked down and doesn't know its key"
	case turnedAway:
		return "turns new connections away: too many come from your address, or from everywhere; in a minute there may be room"
	case "protocol version not supported", "insufficient security level":
		return "speaks another version of TLS than 1.3"
	}
	return "broke the TLS connection off"
}
