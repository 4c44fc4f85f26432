package auth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Reason is why someone is not let in, for counting and for programs.
type Reason string

const (
	NoCertificate Reason = "no-certificate"
	Expired       Reason = "expired"
	NotYetValid   Reason = "not-yet-valid"
	UnknownCA     Reason = "unknown-ca"
	Revoked       Reason = "revoked"
	NoRole        Reason = "no-role"
	BadKey        Reason = "bad-key"     // of a kind that isn't taken
	BadPurpose    Reason = "bad-purpose" // a CA's or a server's certificate
	LockedDown    Reason = "locked-down"
	Malformed     Reason = "malformed"
	HandshakeFail Reason = "handshake" // it never came to a certificate
)

// Refusal is why someone is not let in.
type Refusal struct {
	Reason  Reason
	Message string // for people: one line, which says what to do
}

func (r *Refusal) Error() string { return r.Message }

func refuse(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{reason, fmt.Sprintf(format, args...)}
}

func refuseAbsent() *Refusal {
	return refuse(NoCertificate, "no client certificate was given: this host needs one that its operator CA has signed")
}

// ReasonOf says why a TLS handshake with ServerConfig has failed, by its error.
func ReasonOf(err error) Reason {
	if r := (*Refusal)(nil); errors.As(err, &r) {
		return r.Reason
	}
	if v := (*tls.CertificateVerificationError)(nil); errors.As(err, &v) {
		return reasonOf(v.Err)
	}
	if strings.Contains(err.Error(), "didn't provide a certificate") { // crypto/tls has no type for it
		return NoCertificate
	}
	return HandshakeFail
}

// reasonOf says why x509.Verify has failed.
func reasonOf(err error) Reason {
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return UnknownCA
	case !errors.As(err, &invalid):
		return Malformed
	}
	switch invalid.Reason {
	case x509.Expired:
		if strings.Contains(invalid.Detail, "before") { // Verify's own words: "current time … is before …"
			return NotYetValid
		}
		return Expired
	case x509.IncompatibleUsage:
		return BadPurpose
	case x509.NotAuthorizedToSign, x509.TooManyIntermediates:
		return UnknownCA
	}
	return Malformed
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// printableError is an error's text without what a certificate could do to a terminal with it.
func printableError(err error) string {
	s := err.Error()
	if printable(s) && len(s) <= 200 {
		return s
	}
	return quote(s)
}
