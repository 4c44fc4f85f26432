package auth

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"time"
)

// How long certificates are valid.
const (
	CALife   = 10 * 365 * 24 * time.Hour
	UserLife = 365 * 24 * time.Hour // unless Sign is told something else
	HostLife = 5 * 365 * 24 * time.Hour

	// WarnBefore is how long before the end keelctl begins to warn.
	WarnBefore = 30 * 24 * time.Hour

	// skew is by how much a host's clock may be behind the clock of who makes a CA.
	skew = 24 * time.Hour
)

// seedURI is the subject alternative name of a certificate whose key may sign seeds. Its extended key usage is
// codeSigning alone, so that it opens no door, as a user's clientAuth signs no seed.
const seedURI = "keel:seeds"

// CA is an operator CA with its private key, on the machine of who owns it. A host never sees one.
type CA struct {
	Certificate *x509.Certificate
	key         crypto.Signer
}

// NewCA makes an operator CA.
func NewCA(name string, now time.Time) (*CA, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(CALife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true, // it signs users, and no CAs
	}
	c, err := create(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &CA{c, key}, nil
}

// LoadCA returns the CA of a certificate and a private key.
func LoadCA(certificate, key []byte) (*CA, error) {
	c, err := ParseCA(certificate)
	if err != nil {
		return nil, err
	}
	k, err := ParseKey(key)
	if err != nil {
		return nil, err
	}
	f, err := FingerprintOfKey(k)
	if err != nil {
		return nil, err
	}
	if f != FingerprintOf(c) {
		return nil, fmt.Errorf("the private key isn't that of the CA %s", quote(c.Subject.CommonName))
	}
	return &CA{c, k}, nil
}

// ParseCA reads the certificate of an operator CA, as a host trusts it.
func ParseCA(text []byte) (*x509.Certificate, error) {
	c, err := ParseCertificate(text)
	if err != nil {
		return nil, err
	}
	return c, checkCA(c)
}

func checkCA(c *x509.Certificate) error {
	if !c.BasicConstraintsValid || !c.IsCA || c.KeyUsage&x509.KeyUsageCertSign == 0 {
		return fmt.Errorf("the certificate of %s is no CA's: give the one that `keelctl init` has made", quote(c.Subject.CommonName))
	}
	if err := checkKey(c.PublicKey); err != nil {
		return fmt.Errorf("the CA's key %w", err)
	}
	if err := CheckName(c.Subject.CommonName); err != nil {
		return fmt.Errorf("the CA's common name: %w", err)
	}
	return nil
}

// End says, of a CA that a host trusts, when it ends, in few words; empty, while that is more than WarnBefore away.
func End(c *x509.Certificate, now time.Time) string {
	day := c.NotAfter.UTC().Format(time.DateOnly)
	switch left := c.NotAfter.Sub(now); {
	case left < 0:
		return "ended " + day
	case left < WarnBefore:
		return "ends " + day
	}
	return ""
}

// CertificatePEM and KeyPEM write the two parts of a CA.
func (ca *CA) CertificatePEM() []byte   { return CertificatePEM(ca.Certificate) }
func (ca *CA) KeyPEM() ([]byte, error)  { return KeyPEM(ca.key) }
func (ca *CA) Fingerprint() Fingerprint { return FingerprintOf(ca.Certificate) }

// Sign makes the certificate of a user. It is valid for ttl (0: UserLife), but not longer than the CA is. It begins when
// the CA does, so that a host with a slow clock takes it as soon as it takes the CA.
func (ca *CA) Sign(r *Request, g Grant, ttl time.Duration, now time.Time) (*x509.Certificate, error) {
	return ca.signUser(r.csr.PublicKey, r.Name, g, ttl, now)
}

// Renew makes a new certificate for a user who keeps his key: with the same name, role and scope as the old one.
func (ca *CA) Renew(old *x509.Certificate, ttl time.Duration, now time.Time) (*x509.Certificate, error) {
	id, err := IdentityOf(old)
	if err != nil {
		return nil, err
	}
	if err := old.CheckSignatureFrom(ca.Certificate); err != nil {
		return nil, fmt.Errorf("the certificate of %s is not of the CA %s: %s", id.Name, quote(ca.Certificate.Subject.CommonName), printableError(err))
	}
	return ca.signUser(old.PublicKey, id.Name, id.Grant, ttl, now)
}

func (ca *CA) signUser(key crypto.PublicKey, name string, g Grant, ttl time.Duration, now time.Time) (*x509.Certificate, error) {
	if err := g.Check(); err != nil {
		return nil, err
	}
	if ttl == 0 {
		ttl = UserLife
	}
	return ca.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		URIs:        []*url.URL{mustURL(g.URI())},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, key, ttl, now)
}

// SignSeeder makes the certificate of a key that may sign seeds, and do nothing else: for a machine that makes seeds and
// shouldn't have the CA's key.
func (ca *CA) SignSeeder(r *Request, ttl time.Duration, now time.Time) (*x509.Certificate, error) {
	if ttl == 0 {
		ttl = UserLife
	}
	return ca.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: r.Name},
		URIs:        []*url.URL{mustURL(seedURI)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}, r.csr.PublicKey, ttl, now)
}

// SignHost makes the certificate of a host for its names and addresses.
func (ca *CA) SignHost(r *Request, names []string, addresses []netip.Addr, now time.Time) (*x509.Certificate, error) {
	return ca.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: r.Name},
		DNSNames:    names,
		IPAddresses: ipsOf(addresses),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, r.csr.PublicKey, HostLife, now)
}

func (ca *CA) sign(template *x509.Certificate, key crypto.PublicKey, ttl time.Duration, now time.Time) (*x509.Certificate, error) {
	if ttl < 0 {
		return nil, fmt.Errorf("%s is no time for a certificate to be valid: give one above 0", ttl)
	}
	own := ca.Certificate
	if now.Before(own.NotBefore) || !now.Before(own.NotAfter) {
		return nil, fmt.Errorf("the CA %s is valid from %s to %s, and the clock says %s: what it signed would be of no use",
			quote(own.Subject.CommonName), stamp(own.NotBefore), stamp(own.NotAfter), stamp(now))
	}
	template.NotBefore = own.NotBefore
	template.NotAfter = now.Add(ttl)
	if own.NotAfter.Before(template.NotAfter) {
		template.NotAfter = own.NotAfter
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.BasicConstraintsValid = true
	return create(template, own, key, ca.key)
}

// create makes a certificate with a random serial number.
func create(template, parent *x509.Certificate, key crypto.PublicKey, by crypto.Signer) (*x509.Certificate, error) {
	var serial [16]byte // RFC 5280, section 4.1.2.2: positive, at most 20 bytes
	rand.Read(serial[:])
	serial[0] = serial[0]&0x7f | 0x40
	template.SerialNumber = new(big.Int).SetBytes(serial[:])
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, by)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// mustURL parses what this package has written.
func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(errors.New("auth: " + s + ": " + err.Error()))
	}
	return u
}
