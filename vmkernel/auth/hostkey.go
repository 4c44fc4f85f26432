package auth

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// HostKey is the key by which a host proves itself, made at its boot, and the certificate that it shows: its own, or one
// that an operator CA has signed. All its methods may be called by any goroutine.
type HostKey struct {
	key         crypto.Signer
	fingerprint Fingerprint

	mu        sync.Mutex
	name      string
	names     []string
	addresses []netip.Addr
	shown     *tls.Certificate
	signedBy  string // an operator CA's name; empty: by itself
}

// noExpiry is RFC 5280's (section 4.1.2.5) time for a certificate that doesn't expire. A host's own doesn't: it is
// believed for its key, and lives no longer than the key does.
var noExpiry = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// NewHostKey makes a host's key, and a certificate for its names and addresses by itself. since is when that begins to be
// valid: StartTime's floor, so that no client's clock is before it.
func NewHostKey(name string, names []string, addresses []netip.Addr, since time.Time) (*HostKey, error) {
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	f, err := FingerprintOfKey(key)
	if err != nil {
		return nil, err
	}
	h := &HostKey{key: key, fingerprint: f, name: name}
	return h, h.SetNames(names, addresses, since)
}

// Fingerprint returns the fingerprint of the key.
func (h *HostKey) Fingerprint() Fingerprint { return h.fingerprint }

// Signer returns the key itself, for the audit log's checkpoints.
func (h *HostKey) Signer() crypto.Signer { return h.key }

// KeepsKey says whether the key will be the same after a restart. Without a datastore it can't be.
func (h *HostKey) KeepsKey() bool { return false }

// SignedBy names the operator CA that has signed the host's certificate; empty: it signed it itself.
func (h *HostKey) SignedBy() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.signedBy
}

// SetNames has the host show a certificate of its own for other names and addresses. One that a CA has signed goes on
// being shown while it holds for all of them.
func (h *HostKey) SetNames(names []string, addresses []netip.Addr, since time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.names, h.addresses = slices.Clone(names), slices.Clone(addresses)
	if h.signedBy != "" && h.covers(h.shown.Leaf) == nil {
		return nil
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: h.name},
		DNSNames:              h.names,
		IPAddresses:           ipsOf(h.addresses),
		NotBefore:             since,
		NotAfter:              noExpiry,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	c, err := create(template, template, h.key.Public(), h.key)
	if err != nil {
		return err
	}
	h.show(c, "")
	return nil
}

func (h *HostKey) show(c *x509.Certificate, signedBy string) {
	h.shown, h.signedBy = &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: h.key, Leaf: c}, signedBy
}

// covers says which of the host's names and addresses a certificate lacks. The lock is held.
func (h *HostKey) covers(c *x509.Certificate) error {
	for _, n := range h.names {
		if err := c.VerifyHostname(n); err != nil {
			return fmt.Errorf("the certificate is not for the host's name %s", quote(n))
		}
	}
	for _, a := range h.addresses {
		if err := c.VerifyHostname(a.WithZone("").String()); err != nil {
			return fmt.Errorf("the certificate is not for the host's address %s", a)
		}
	}
	return nil
}

// Request returns what an operator CA needs to sign the host's certificate (CA.SignHost).
func (h *HostKey) Request() ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return newRequest(h.key, h.name, h.names, h.addresses)
}

// Install has the host show a certificate that one of these CAs has signed for its key, names and addresses.
func (h *HostKey) Install(text []byte, trusted *Store, now time.Time) error {
	c, err := ParseCertificate(text)
	if err != nil {
		return err
	}
	if f := FingerprintOf(c); f != h.fingerprint {
		return fmt.Errorf("the certificate is for the key %s; the host's is %s: it has made a new one since, sign that", f, h.fingerprint)
	}
	chains, err := c.Verify(x509.VerifyOptions{
		Roots:       trusted.pool(),
		CurrentTime: now,
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return fmt.Errorf("the host's certificate can't be used: %s", printableError(err))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.covers(c); err != nil {
		return err
	}
	h.show(c, chains[0][len(chains[0])-1].Subject.CommonName)
	return nil
}

// Certificate is a tls.Config's GetCertificate.
func (h *HostKey) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.shown, nil
}
