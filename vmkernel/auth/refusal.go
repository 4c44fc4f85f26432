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
		return explain(v.Err, time.Time{}).Reason
	}
	if strings.Contains(err.Error(), "didn't provide a certificate") { // crypto/tls has no type for it
		return NoCertificate
	}
	return HandshakeFail
}

// explain turns x509.Verify's error into a Refusal. now is the clock that it was asked with, zero if unknown.
func explain(err error, now time.Time) *Refusal {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) {
		whose := "the certificate"
		if invalid.Cert != nil && invalid.Cert.IsCA {
			whose = "the operator CA " + quote(invalid.Cert.Subject.CommonName)
		}
		switch invalid.Reason {
		case x509.Expired:
			if c := invalid.Cert; c != nil && !now.IsZero() && now.Before(c.NotBefore) {
				return refuse(NotYetValid, "%s is not valid before %s, and the host's clock says %s: look at both clocks",
					whose, stamp(c.NotBefore), stamp(now))
			}
			if c := invalid.Cert; c != nil && !now.IsZero() {
				return refuse(Expired, "%s expired at %s, and the host's clock says %s: renew it (`keelctl cert renew`)",
					whose, stamp(c.NotAfter), stamp(now))
			}
			if strings.Contains(invalid.Detail, "before") { // Verify's own words: "current time … is before …"
				return refuse(NotYetValid, "%s is not yet valid: look at the host's clock", whose)
			}
			return refuse(Expired, "%s has expired: renew it (`keelctl cert renew`)", whose)
		case x509.IncompatibleUsage:
			return refuse(BadPurpose, "%s is not for clients: it lacks the extended key usage clientAuth", whose)
		case x509.NotAuthorizedToSign, x509.TooManyIntermediates:
			return refuse(UnknownCA, "the certificate was not signed by an operator CA itself, but by one who may not sign")
		}
		return refuse(Malformed, "%s can't be used: %s", whose, printableError(err))
	}
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return refuse(UnknownCA, "the certificate is of no operator CA that this host trusts")
	}
	return refuse(Malformed, "the certificate can't be used: %s", printableError(err))
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
