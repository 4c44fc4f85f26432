package auth

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
)

// Fingerprint names a public key: SHA256: and the base64url (RFC 4648, section 5, without padding) of the SHA-256 of its
// SubjectPublicKeyInfo (RFC 5280, section 4.1). It stays when a certificate is renewed.
type Fingerprint string

const fingerprintPrefix = "SHA256:"

// FingerprintOf returns the fingerprint of a certificate's key.
func FingerprintOf(c *x509.Certificate) Fingerprint {
	return FingerprintOfSPKI(c.RawSubjectPublicKeyInfo)
}

// FingerprintOfSPKI returns the fingerprint of a SubjectPublicKeyInfo.
func FingerprintOfSPKI(spki []byte) Fingerprint {
	sum := sha256.Sum256(spki)
	return Fingerprint(fingerprintPrefix + base64.RawURLEncoding.EncodeToString(sum[:]))
}

// ParseFingerprint reads a fingerprint as String or Groups writes it.
func ParseFingerprint(s string) (Fingerprint, error) {
	text := strings.Join(strings.Fields(s), "")
	digits, ok := strings.CutPrefix(text, fingerprintPrefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(digits)
	if !ok || err != nil || len(raw) != sha256.Size || strings.ContainsAny(text, "\r\n") {
		return "", fmt.Errorf("%s is not a key's fingerprint; one has the form SHA256: and 43 letters, digits, - and _", quote(s))
	}
	return Fingerprint(text), nil
}

// Groups writes a fingerprint so that people can compare it: in groups of four. It has 60 characters, and no line break.
func (f Fingerprint) Groups() string {
	digits, _ := strings.CutPrefix(string(f), fingerprintPrefix)
	var b strings.Builder
	b.WriteString(fingerprintPrefix)
	for len(digits) > 4 {
		b.WriteString(digits[:4] + " ")
		digits = digits[4:]
	}
	b.WriteString(digits)
	return b.String()
}
