package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// MaxPEM is how long a text with a key, a request or a certificate may be, in bytes.
const MaxPEM = 64 << 10

// PEM block types (RFC 7468).
const (
	pemCertificate = "CERTIFICATE"
	pemRequest     = "CERTIFICATE REQUEST"
	pemKey         = "PRIVATE KEY"
)

// NewKey makes a private key: ECDSA with P-256, which all TLS programs know.
func NewKey() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// KeyPEM writes a private key in PKCS #8. It is to be kept in a file that only its owner can read.
func KeyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), nil
}

// ParseKey reads a private key that KeyPEM or another program has written.
func ParseKey(text []byte) (crypto.Signer, error) {
	der, err := onePEM(text, pemKey)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("no private key in PKCS #8: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("this kind of private key can't sign: give one of ECDSA with P-256, or of Ed25519")
	}
	if err := checkKey(signer.Public()); err != nil {
		return nil, fmt.Errorf("the private key %w", err)
	}
	return signer, nil
}

// CertificatePEM writes a certificate.
func CertificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: c.Raw})
}

// ParseCertificate reads the one certificate of a text.
func ParseCertificate(text []byte) (*x509.Certificate, error) {
	der, err := onePEM(text, pemCertificate)
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("no certificate: %s", printableError(err))
	}
	return c, nil
}

// onePEM returns the contents of a text's only PEM block.
func onePEM(text []byte, kind string) ([]byte, error) {
	if len(text) > MaxPEM {
		return nil, fmt.Errorf("has %d bytes; a %s has at most %d", len(text), kind, MaxPEM)
	}
	block, rest := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("has no PEM block: give one that begins with -----BEGIN %s-----", kind)
	}
	if block.Type != kind {
		return nil, fmt.Errorf("is a PEM block of type %s: give one of type %s", quote(block.Type), kind)
	}
	if more, _ := pem.Decode(rest); more != nil {
		return nil, fmt.Errorf("has more than one PEM block: give one")
	}
	return block.Bytes, nil
}

// checkKey reports why a public key isn't taken. Two kinds are: those that are small, quick to check, and known everywhere.
func checkKey(key crypto.PublicKey) error {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return nil
		}
		return fmt.Errorf("is of the curve %s: give one of P-256, or of Ed25519", k.Curve.Params().Name)
	}
	return errors.New("is neither of ECDSA with P-256 nor of Ed25519: give one of these")
}

// FingerprintOfKey returns the fingerprint of a private key's public half.
func FingerprintOfKey(key crypto.Signer) (Fingerprint, error) {
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	return FingerprintOfSPKI(spki), err
}
