package auth

import (
	"crypto/tls"
	"crypto/x509"
	"time"
)

// Identify says who has shown these certificates, his own first, as a handshake with ServerConfig does: by crypto/tls's
// steps and with its errors, but without a connection. Those after the first don't count.
func (s *Store) Identify(chain []*x509.Certificate, now time.Time) (Identity, error) {
	if len(chain) == 0 {
		return Identity{}, refuseAbsent()
	}
	chains, err := chain[0].Verify(x509.VerifyOptions{
		Roots:       s.pool(),
		CurrentTime: now,
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return Identity{}, &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return s.identify(chains)
}
