package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"keel/cmd/keelctl/config"
	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/auth"
)

// remote is a host that a command asks.
type remote struct {
	*client.Conn
	context *config.Context
	host    *config.Host
}

// ask connects to the host that was asked for and calls f, which may take as long as --timeout says, or normal. 0 is
// for what goes on until the user ends it: its single calls are bounded by what they are.
func (a *app) ask(normal time.Duration, f func(ctx context.Context, r *remote) error) error {
	c, h, err := a.target()
	if err != nil {
		return err
	}
	return a.askHost(c, h, normal, f)
}

// askHost is ask for a certain host.
func (a *app) askHost(c *config.Context, h *config.Host, normal time.Duration, f func(ctx context.Context, r *remote) error) error {
	own, err := a.ownCertificate(c)
	if err != nil {
		return err
	}
	if normal != 0 || a.options.timeoutGiven {
		normal = a.limit(normal)
	}
	ctx, cancel := a.bounded(normal)
	defer cancel()
	r := &remote{a.connection(h, own), c, h}
	err = f(ctx, r)
	r.Close()
	var other *auth.ErrOtherKey
	if !errors.As(err, &other) {
		return err
	}
	// Nothing was asked yet: the handshake failed.
	h, err = a.recognise(ctx, c, h, own, other.Got)
	if err != nil {
		return err
	}
	r = &remote{a.connection(h, own), c, h}
	defer r.Close()
	return f(ctx, r)
}

// bounded is the command's context, with a limit unless that is 0.
func (a *app) bounded(limit time.Duration) (context.Context, context.CancelFunc) {
	if limit == 0 {
		return context.WithCancel(a.ctx)
	}
	return context.WithTimeout(a.ctx, limit)
}

func (a *app) connection(h *config.Host, own *tls.Certificate) *client.Conn {
	return client.New(client.Config{
		Name: h.Name, Address: h.Address, Client: own,
		Expect:    auth.Expect{Key: auth.Fingerprint(h.Fingerprint)},
		UserAgent: userAgent(),
	})
}

// ownCertificate reads the context's certificate and key, and warns when its end is near.
func (a *app) ownCertificate(c *config.Context) (*tls.Certificate, error) {
	certificate, err := os.ReadFile(c.CertFile())
	if os.IsNotExist(err) {
		if config.Exists(c.RequestKeyFile()) {
			return nil, exit.Errorf(exit.Denied, "your request for context %s has not been answered yet: send %s to who has the operator CA's key, then `keelctl cert install FILE`", c.Name, c.RequestFile())
		}
		return nil, exit.Errorf(exit.Denied, "context %s has no certificate: `keelctl cert request --context %s` asks for one", c.Name, c.Name)
	}
	if err != nil {
		return nil, err
	}
	key, err := config.ReadSecret(c.KeyFile())
	if err != nil {
		return nil, err
	}
	own, err := auth.TLSCertificate(certificate, key)
	if err != nil {
		return nil, inFile(c.CertFile(), err)
	}
	left := own.Leaf.NotAfter.Sub(a.now())
	switch {
	case left <= 0:
		return nil, exit.Errorf(exit.Denied, "your certificate for context %s expired at %s: `keelctl cert renew` makes or asks for a new one", c.Name, output.Time(own.Leaf.NotAfter))
	case left < auth.WarnBefore && !a.warnedOwn:
		a.warnedOwn = true
		a.note("warning: your certificate for context %s ends at %s, in %s: `keelctl cert renew`", c.Name, output.Time(own.Leaf.NotAfter), output.Age(left))
	}
	if ca, err := readCertificate(c.CAFile()); err == nil {
		if left := ca.NotAfter.Sub(a.now()); left < auth.WarnBefore && !a.warnedCA {
			a.warnedCA = true
			verb := "ends"
			if left < 0 {
				verb = "ended"
			}
			a.note("warning: the operator CA of context %s %s at %s: make another (`keelctl init --context`), and name both in the hosts' seeds", c.Name, verb, output.Time(ca.NotAfter))
		}
	}
	return own, nil
}

// recognise finds out whether a host that shows another key than before is the same host, and returns it with its new
// key. A host that can't keep its key has a new one after each restart. It proves itself by its seed's token, or by what
// its own screen shows, which the user has to read off: the key that was offered is not shown for a yes.
func (a *app) recognise(ctx context.Context, c *config.Context, h *config.Host, own *tls.Certificate, got auth.Fingerprint) (*config.Host, error) {
	if h.KeepsKey {
		return nil, exit.Errorf(exit.Unreachable, "%s (%s) shows the key %s, and its own is %s.\n"+
			"keelctl: This host keeps its key when it restarts: what answers there is another machine, or the host was made anew.\n"+
			"keelctl: If you know that it was, `keelctl host remove %s` and add it again", h.Name, h.Address, got, h.Fingerprint, h.Name)
	}
	if token, err := config.ReadSecret(c.TokenFile(h.Name)); err == nil {
		if err := a.proveByToken(ctx, h.Address, h.Name, own, got, strings.TrimSpace(string(token))); err != nil {
			return nil, err
		}
		a.note("%s has restarted; it has proved by its seed's token that its new key is %s", h.Name, got)
		return a.pin(c, h, got)
	}
	const why = "%s (%s) shows a new key. That is what a restart does: this host can't keep its key.\n"
	if !a.canAsk() {
		return nil, exit.Errorf(exit.Unreachable, why+
			"keelctl: Read the fingerprint off its screen or serial line, and give it by:\n"+
			"keelctl:   keelctl host add %s --name %s --fingerprint SHA256:...\n"+
			"keelctl: With a token in its seed (trust.token) and --token-file the host could prove itself", h.Name, h.Address, h.Address, h.Name)
	}
	a.note(strings.TrimSuffix(why, "\n"), h.Name, h.Address)
	a.note("So that you don't talk to another: type the fingerprint that its screen or serial line shows now.")
	a.note("The first four groups of four characters are enough.")
	typed, err := a.prompt(ctx, "fingerprint: SHA256:")
	if err != nil {
		return nil, err
	}
	if !sameFingerprint(typed, got) {
		return nil, exit.Errorf(exit.Unreachable, "that is not the key of what answers at %s: either it was mistyped, or another machine answers there. Nothing was sent to it", h.Address)
	}
	return a.pin(c, h, got)
}

// minTyped is how many characters of a fingerprint have to be typed: 96 bits, which nobody finds a second key for.
const minTyped = 16

// sameFingerprint says whether what was typed is the fingerprint, or enough of its beginning.
func sameFingerprint(typed string, f auth.Fingerprint) bool {
	digits := func(s string) string {
		return strings.TrimPrefix(strings.Join(strings.Fields(s), ""), "SHA256:")
	}
	t := digits(typed)
	return len(t) >= minTyped && strings.HasPrefix(digits(string(f)), t)
}

// pin remembers a host's new key.
func (a *app) pin(c *config.Context, h *config.Host, key auth.Fingerprint) (*config.Host, error) {
	h.Fingerprint = string(key)
	c.Set(h)
	return h, a.file.Save()
}

// proveByToken has what answers with the key got prove that it knows the token.
func (a *app) proveByToken(ctx context.Context, address, name string, own *tls.Certificate, got auth.Fingerprint, token string) error {
	conn := client.New(client.Config{Name: name, Address: address, Client: own, Expect: auth.Expect{Key: got}, UserAgent: userAgent()})
	defer conn.Close()
	nonce := auth.NewNonce()
	var proof api.Proof
	if err := conn.Post(ctx, client.Path("trust", "proof"), api.Nonce{Nonce: nonce}, &proof); err != nil {
		return err
	}
	return exit.With(exit.Unreachable, auth.CheckProof(token, got, nonce, proof.Proof))
}

// canAsk says whether there is somebody to ask.
func (a *app) canAsk() bool { return a.terminal.Stdin() && a.terminal.Stderr() && !a.quiet }

// prompt asks for a line. It ends with the command.
func (a *app) prompt(ctx context.Context, question string) (string, error) {
	fmt.Fprint(a.stderr, question)
	type answer struct {
		line string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(a.stdin).ReadString('\n')
		if line != "" {
			err = nil
		}
		got <- answer{strings.TrimSpace(line), err}
	}()
	select {
	case r := <-got:
		if r.err != nil {
			fmt.Fprintln(a.stderr)
			return "", exit.Errorf(exit.Fault, "no answer")
		}
		return r.line, nil
	case <-ctx.Done():
		fmt.Fprintln(a.stderr)
		if a.ctx.Err() != nil {
			return "", a.ctx.Err()
		}
		return "", exit.Errorf(exit.Timeout, "no answer in time")
	}
}

// hostPort returns an address with its port, 443 unless one is given.
func hostPort(address string) (string, error) {
	host, port := address, "443"
	if h, p, err := net.SplitHostPort(address); err == nil {
		host, port = h, p
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "" || strings.ContainsAny(host, "/ ") || strings.Count(host, ":") == 1 {
		return "", exit.Errorf(exit.Usage, "%q is no address: give a name or an IP address, with a port if it isn't 443", address)
	}
	return net.JoinHostPort(host, port), nil
}
