package auth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// curves are the key exchanges that both sides take: the hybrid with ML-KEM, and the two that are quick and known everywhere.
var curves = []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256}

// ServerConfig returns the TLS configuration of a host's door: TLS 1.3 alone, HTTP/2 or HTTP/1.1, and a client
// certificate that one of the operator CAs has signed for a user. While the host can be claimed a client may come without one; a certificate that
// it gives is checked all the same. There is no resumption: each connection is a handshake, and asks anew.
//
// A handshake's error goes to ReasonOf. The client gets the alerts that TLS has for it: certificate_required,
// unknown_ca, certificate_expired, and bad_certificate for everything else.
func (s *Store) ServerConfig(host *HostKey) *tls.Config {
	base := &tls.Config{
		MinVersion:             tls.VersionTLS13,
		MaxVersion:             tls.VersionTLS13,
		NextProtos:             []string{"h2", "http/1.1"},
		CurvePreferences:       curves,
		GetCertificate:         host.Certificate,
		Time:                   s.clock,
		SessionTicketsDisabled: true,
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              x509.NewCertPool(), // none: GetConfigForClient says which
		VerifyPeerCertificate: func(_ [][]byte, chains [][]*x509.Certificate) error {
			if len(chains) == 0 {
				return nil // none was given, and ClientAuth has allowed that
			}
			_, err := s.identify(chains)
			return err
		},
	}
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := base.Clone()
		c.GetConfigForClient = nil
		c.ClientCAs = s.pool()
		if s.ClaimOpen() {
			c.ClientAuth = tls.VerifyClientCertIfGiven
		}
		return c, nil
	}
	return base
}

// Peer says who is at the other end of a connection whose handshake ServerConfig has let through, by the chains that were
// found good there. Ask once for a connection, and Recheck after that. An administrator is known from then on, as
// Lockdown says. The error is a *Refusal; without a certificate, while a claim is open, its reason is NoCertificate.
func (s *Store) Peer(state *tls.ConnectionState) (Identity, error) {
	switch {
	case state == nil || !state.HandshakeComplete:
		return Identity{}, refuse(HandshakeFail, "there was no TLS handshake")
	case len(state.PeerCertificates) == 0:
		return Identity{}, refuseAbsent()
	}
	id, err := s.identify(state.VerifiedChains)
	if err != nil {
		return Identity{}, err
	}
	return id, s.know(id)
}

// Expect is how a client knows its host: by its key, or else by a CA that has signed for its name.
type Expect struct {
	Key Fingerprint // of the host's key; empty: CAs says

	CAs  []*x509.Certificate
	Name string // of the host, or its address
}

// ErrOtherKey is the error of a handshake with a host that has another key than the one expected.
type ErrOtherKey struct{ Want, Got Fingerprint }

func (e *ErrOtherKey) Error() string {
	return fmt.Sprintf("the host's key is %s, not %s: it has restarted and made a new one, or it is another host", e.Got, e.Want)
}

// ClientConfig returns the TLS configuration of a client. With neither a key nor CAs in e it takes any host: the caller
// then looks at KeyOf the connection before it says anything of importance.
func ClientConfig(certificate *tls.Certificate, e Expect) *tls.Config {
	c := &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{"h2", "http/1.1"},
		CurvePreferences:   curves,
		InsecureSkipVerify: true, // VerifyConnection does it
		VerifyConnection:   e.check,
	}
	if certificate != nil {
		// Given whatever CAs the host names: it is for the host to say what is wrong with it.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	return c
}

func (e Expect) check(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the host has shown no certificate")
	}
	leaf := state.PeerCertificates[0]
	got := FingerprintOf(leaf)
	switch {
	case e.Key != "" && got != e.Key:
		return &ErrOtherKey{e.Key, got}
	case e.Key != "" || len(e.CAs) == 0:
		return nil
	}
	roots := x509.NewCertPool()
	for _, ca := range e.CAs {
		roots.AddCert(ca)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: e.Name}); err != nil {
		return fmt.Errorf("the host's certificate: %s", printableError(err))
	}
	return nil
}

// KeyOf returns the fingerprint of the key that a host has shown in the handshake.
func KeyOf(state *tls.ConnectionState) Fingerprint {
	if state == nil || len(state.PeerCertificates) == 0 {
		return ""
	}
	return FingerprintOf(state.PeerCertificates[0])
}

// TLSCertificate joins a user's certificate and key for ClientConfig.
func TLSCertificate(certificate, key []byte) (*tls.Certificate, error) {
	c, err := ParseCertificate(certificate)
	if err != nil {
		return nil, err
	}
	k, err := ParseKey(key)
	if err != nil {
		return nil, err
	}
	if f, err := FingerprintOfKey(k); err != nil || f != FingerprintOf(c) {
		return nil, fmt.Errorf("the private key isn't that of the certificate of %s", quote(c.Subject.CommonName))
	}
	return &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: k, Leaf: c}, nil
}
