package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func newHostKey(t testing.TB) *HostKey {
	t.Helper()
	return must[*HostKey](t)(NewHostKey("keel-1", []string{"keel-1"}, []netip.Addr{netip.MustParseAddr("192.0.2.5")}, now))
}

// shake has a client and the host's door shake hands, and exchange a byte, and returns what each says of it.
func shake(t testing.TB, server, client *tls.Config) (state, seen tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	defer l.Close()
	b := must[net.Conn](t)(net.Dial("tcp", l.Addr().String()))
	a := must[net.Conn](t)(l.Accept())
	for _, c := range []net.Conn{a, b} {
		c.SetDeadline(time.Now().Add(10 * time.Second))
		defer c.Close()
	}
	done := make(chan error, 1)
	s := tls.Server(a, server)
	go func() {
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte{1})
		}
		a.(*net.TCPConn).CloseWrite() // what the client still sends would reset the connection, and the alert be lost
		done <- err
	}()
	c := tls.Client(b, client)
	if clientErr = c.Handshake(); clientErr == nil {
		_, clientErr = c.Read(make([]byte, 1))
	}
	b.Close()
	serverErr = <-done
	return s.ConnectionState(), c.ConnectionState(), serverErr, clientErr
}

func presents(c *x509.Certificate, key crypto.Signer, more ...*x509.Certificate) *tls.Certificate {
	t := &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key}
	for _, m := range more {
		t.Certificate = append(t.Certificate, m.Raw)
	}
	return t
}

func TestTheDoorOpensForWhoIsTrusted(t *testing.T) {
	ca := newCA(t, "ops")
	m, host := newMachine(t, Config{}, ca), newHostKey(t)
	anna, key := userWithKey(t, ca, "anna", Grant{Role: Admin})
	client := ClientConfig(presents(anna, key), Expect{Key: host.Fingerprint()})
	state, seen, serverErr, clientErr := shake(t, m.ServerConfig(host), client)
	if serverErr != nil || clientErr != nil {
		t.Fatal(serverErr, clientErr)
	}
	id, err := m.Peer(&state)
	if err != nil || id.Name != "anna" || id.Role != Admin || id.Issuer != ca.Fingerprint() {
		t.Errorf("%+v, %v", id, err)
	}
	if state.NegotiatedProtocol != "h2" || state.Version != tls.VersionTLS13 || KeyOf(&seen) != host.Fingerprint() {
		t.Errorf("%+v", state)
	}
	if m.Lockdown().Admins != 1 {
		t.Error("the administrator isn't known")
	}
	m.Revoke(RevokedCertificate{ca.Fingerprint(), Serial(anna)})
	if _, err := m.Peer(&state); ReasonOf(err) != Revoked {
		t.Errorf("once revoked: %v", err)
	}
	// Chains count, and not what was shown: that a handshake has found them good is for it to say.
	unverified := state
	unverified.VerifiedChains = nil
	if _, err := m.Peer(&unverified); ReasonOf(err) != UnknownCA {
		t.Errorf("without a chain that was found good: %v", err)
	}
}

func TestTheDoorStaysShut(t *testing.T) {
	ca, stranger := newCA(t, "ops"), newCA(t, "ops")
	m, host := newMachine(t, Config{}, ca), newHostKey(t)
	key := newKey(t)
	of := func(change func(*x509.Certificate)) *tls.Certificate {
		return presents(bent(t, ca, key.Public(), change), key)
	}
	anna, annaKey := userWithKey(t, ca, "anna", Grant{Role: Admin})
	m.Revoke(RevokedCertificate{ca.Fingerprint(), Serial(anna)})
	eve, eveKey := userWithKey(t, stranger, "eve", Grant{Role: Admin})
	belowKey := newKey(t)
	below := bent(t, stranger, belowKey.Public(), func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.KeyUsage, c.ExtKeyUsage, c.URIs = ca.Certificate.Subject, true, x509.KeyUsageCertSign, nil, nil
	})
	// A CA that may have others below it, as ours may not.
	rootKey := newKey(t)
	rootTemplate := *stranger.Certificate
	rootTemplate.PublicKey = rootKey.Public()
	rootTemplate.MaxPathLen, rootTemplate.MaxPathLenZero = 3, false
	root := must[*x509.Certificate](t)(create(&rootTemplate, &rootTemplate, rootKey.Public(), rootKey))
	lax := newMachine(t, Config{CAs: []*x509.Certificate{root, ca.Certificate}})
	middle := bent(t, &CA{root, rootKey}, belowKey.Public(), func(c *x509.Certificate) {
		c.Subject.CommonName, c.IsCA, c.KeyUsage, c.ExtKeyUsage, c.URIs = "middle", true, x509.KeyUsageCertSign, nil, nil
	})
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)

	type config = func(*tls.Config)
	for _, test := range []struct {
		name   string
		m      *machine
		client *tls.Certificate
		change config
		reason Reason
		alert  string // what the client is told
	}{
		{"no certificate", m, nil, nil, NoCertificate, "certificate required"},
		{"expired", m, of(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }), nil, Expired, "expired certificate"},
		{"not yet valid", m, of(func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }), nil, NotYetValid, "expired certificate"},
		{"another CA", m, presents(eve, eveKey, stranger.Certificate), nil, UnknownCA, "unknown certificate authority"},
		{"one below another CA, of our CA's name", m, presents(bent(t, &CA{below, belowKey}, key.Public(), func(*x509.Certificate) {}), key, below, stranger.Certificate), nil, UnknownCA, "bad certificate"},
		{"one below ours", lax, presents(bent(t, &CA{middle, belowKey}, key.Public(), func(*x509.Certificate) {}), key, middle), nil, UnknownCA, "bad certificate"},
		{"revoked", m, presents(anna, annaKey), nil, Revoked, "bad certificate"},
		{"the CA's own", m, presents(ca.Certificate, ca.key), nil, BadPurpose, "bad certificate"},
		{"a server's", m, of(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), nil, BadPurpose, "bad certificate"},
		{"for nothing in particular", m, of(func(c *x509.Certificate) { c.ExtKeyUsage = nil }), nil, BadPurpose, "bad certificate"},
		{"no role", m, of(func(c *x509.Certificate) { c.URIs = nil }), nil, NoRole, "bad certificate"},
		{"two roles", m, of(func(c *x509.Certificate) { c.URIs = grants("keel:role/viewer", "keel:role/admin") }), nil, NoRole, "bad certificate"},
		{"P-384", m, presents(bent(t, ca, p384.Public(), func(*x509.Certificate) {}), p384), nil, BadKey, "bad certificate"},
		{"TLS 1.2", m, of(func(*x509.Certificate) {}), func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }, HandshakeFail, "protocol version"},
		{"a slow curve", m, of(func(*x509.Certificate) {}), func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP521} }, HandshakeFail, "handshake failure"},
		{"another protocol", m, of(func(*x509.Certificate) {}), func(c *tls.Config) { c.NextProtos = []string{"spdy/3"} }, HandshakeFail, "no application protocol"},
	} {
		client := ClientConfig(test.client, Expect{Key: host.Fingerprint()})
		if test.change != nil {
			test.change(client)
		}
		state, _, serverErr, clientErr := shake(t, test.m.ServerConfig(host), client)
		if serverErr == nil || ReasonOf(serverErr) != test.reason {
			t.Errorf("%s: %v, reason %s", test.name, serverErr, test.reason)
		}
		if clientErr == nil || !strings.Contains(clientErr.Error(), test.alert) {
			t.Errorf("%s: the client is told %v, not %s", test.name, clientErr, test.alert)
		}
		if id, err := test.m.Peer(&state); err == nil {
			t.Errorf("%s: is %s", test.name, id)
		}
	}
}

// TestSomeoneElsesCertificateIsNoWayIn shows a certificate without its key, which makes nobody known either.
func TestSomeoneElsesCertificateIsNoWayIn(t *testing.T) {
	ca := newCA(t, "ops")
	m, host := newMachine(t, Config{}, ca), newHostKey(t)
	anna := user(t, ca, "anna", Grant{Role: Admin})
	_, _, serverErr, _ := shake(t, m.ServerConfig(host), ClientConfig(presents(anna, newKey(t)), Expect{}))
	if serverErr == nil || m.Lockdown().Admins != 0 {
		t.Errorf("%v, %+v", serverErr, m.Lockdown())
	}
}

func TestWhileAClaimIsOpenACertificateMayBeAbsentButNotWrong(t *testing.T) {
	m, host := newMachine(t, Config{}), newHostKey(t)
	ca := newCA(t, "ops")
	anna, key := userWithKey(t, ca, "anna", Grant{Role: Admin})
	server := m.ServerConfig(host)
	state, _, serverErr, clientErr := shake(t, server, ClientConfig(nil, Expect{}))
	if serverErr != nil || clientErr != nil {
		t.Fatal(serverErr, clientErr)
	}
	if _, err := m.Peer(&state); ReasonOf(err) != NoCertificate {
		t.Errorf("%v", err)
	}
	if _, _, serverErr, _ := shake(t, server, ClientConfig(presents(anna, key), Expect{})); serverErr == nil || ReasonOf(serverErr) != UnknownCA {
		t.Errorf("a certificate of nobody: %v", serverErr)
	}
	if _, _, err := m.Claim(claimBy(t, m.ClaimState().Code, ca), hostKey, from); err != nil {
		t.Fatal(err)
	}
	if _, _, serverErr, _ := shake(t, server, ClientConfig(nil, Expect{})); serverErr == nil || ReasonOf(serverErr) != NoCertificate {
		t.Errorf("without one, once claimed: %v", serverErr)
	}
	if _, _, serverErr, clientErr := shake(t, server, ClientConfig(presents(anna, key), Expect{})); serverErr != nil || clientErr != nil {
		t.Errorf("with one, once claimed: %v, %v", serverErr, clientErr)
	}
}

func TestAClientKnowsItsHost(t *testing.T) {
	ca, stranger := newCA(t, "ops"), newCA(t, "stranger")
	m, host := newMachine(t, Config{}, ca), newHostKey(t)
	anna, key := userWithKey(t, ca, "anna", Grant{Role: Viewer})
	try := func(e Expect) error {
		t.Helper()
		_, _, _, err := shake(t, m.ServerConfig(host), ClientConfig(presents(anna, key), e))
		return err
	}
	byCA := Expect{CAs: []*x509.Certificate{ca.Certificate}, Name: "192.0.2.5"}
	var other *ErrOtherKey
	if err := try(Expect{Key: stranger.Fingerprint()}); !errors.As(err, &other) || other.Got != host.Fingerprint() {
		t.Errorf("another key: %v", err)
	}
	if err := try(byCA); err == nil {
		t.Error("a host that no CA has signed was taken")
	}
	r := must[*Request](t)(ParseRequest(must[[]byte](t)(host.Request())))
	c := must[*x509.Certificate](t)(ca.SignHost(r, r.Names, r.Addresses, now))
	if err := host.Install(CertificatePEM(c), m.Store, now); err != nil || host.SignedBy() != "ops" {
		t.Fatal(err)
	}
	for name, e := range map[string]Expect{"its key": {Key: host.Fingerprint()}, "its CA": byCA, "its name": {CAs: byCA.CAs, Name: "keel-1"}} {
		if err := try(e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, e := range map[string]Expect{
		"another CA":   {CAs: []*x509.Certificate{stranger.Certificate}, Name: "keel-1"},
		"another name": {CAs: byCA.CAs, Name: "keel-2"},
		"a user's":     {CAs: byCA.CAs, Name: "anna"},
	} {
		if err := try(e); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestAHostTakesOnlyItsOwnCertificate(t *testing.T) {
	ca, stranger := newCA(t, "ops"), newCA(t, "stranger")
	m, host, other := newMachine(t, Config{}, ca), newHostKey(t), newHostKey(t)
	sign := func(by *CA, h *HostKey, names []string, addresses []netip.Addr) []byte {
		r := must[*Request](t)(ParseRequest(must[[]byte](t)(h.Request())))
		return CertificatePEM(must[*x509.Certificate](t)(by.SignHost(r, names, addresses, now)))
	}
	names, addresses := []string{"keel-1"}, []netip.Addr{netip.MustParseAddr("192.0.2.5")}
	asUser := bent(t, ca, host.key.Public(), func(c *x509.Certificate) { c.DNSNames = names })
	for name, text := range map[string][]byte{
		"another host's": sign(ca, other, names, addresses),
		"another CA's":   sign(stranger, host, names, addresses),
		"other names":    sign(ca, host, []string{"keel-2"}, addresses),
		"no address":     sign(ca, host, names, nil),
		"a user's":       CertificatePEM(asUser),
		"none":           []byte("hello"),
	} {
		if err := host.Install(text, m.Store, now); err == nil || host.SignedBy() != "" {
			t.Errorf("%s was taken", name)
		}
	}
	if err := host.Install(sign(ca, host, names, addresses), m.Store, now); err != nil {
		t.Fatal(err)
	}
	if err := host.SetNames(names, addresses, now); err != nil || host.SignedBy() != "ops" {
		t.Errorf("with the same names: %q, %v", host.SignedBy(), err)
	}
	addresses = append(addresses, netip.MustParseAddr("fe80::1%eth0"))
	if err := host.SetNames(names, addresses, now); err != nil || host.SignedBy() != "" {
		t.Errorf("with another address: %q, %v", host.SignedBy(), err)
	}
	c := must[*tls.Certificate](t)(host.Certificate(nil))
	if err := c.Leaf.VerifyHostname("fe80::1"); err != nil || FingerprintOf(c.Leaf) != host.Fingerprint() || host.KeepsKey() {
		t.Errorf("%v", err)
	}
}
