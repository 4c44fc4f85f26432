package auth

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
)

// Request is a certificate signing request (RFC 2986) whose signature holds: who sent it has the key.
type Request struct {
	Name      string
	Key       Fingerprint
	Names     []string     // a host's
	Addresses []netip.Addr // a host's

	csr *x509.CertificateRequest
}

// NewRequest makes a request for a user's certificate. What he may do is for the CA to say.
func NewRequest(key crypto.Signer, name string) ([]byte, error) {
	return newRequest(key, name, nil, nil)
}

func newRequest(key crypto.Signer, name string, names []string, addresses []netip.Addr) ([]byte, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:     pkix.Name{CommonName: name},
		DNSNames:    names,
		IPAddresses: ipsOf(addresses),
	}, key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemRequest, Bytes: der}), nil
}

// ParseRequest reads a request.
func ParseRequest(text []byte) (*Request, error) {
	der, err := onePEM(text, pemRequest)
	if err != nil {
		return nil, err
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("no certificate request: %s", printableError(err))
	}
	if err := checkKey(csr.PublicKey); err != nil {
		return nil, fmt.Errorf("the request's key %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("the request isn't signed by its own key: %w", err)
	}
	if err := CheckName(csr.Subject.CommonName); err != nil {
		return nil, err
	}
	r := &Request{
		Name:  csr.Subject.CommonName,
		Key:   FingerprintOfSPKI(csr.RawSubjectPublicKeyInfo),
		Names: csr.DNSNames,
		csr:   csr,
	}
	for _, ip := range csr.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			r.Addresses = append(r.Addresses, a.Unmap())
		}
	}
	return r, nil
}

func ipsOf(addresses []netip.Addr) (ips []net.IP) {
	for _, a := range addresses {
		ips = append(ips, a.WithZone("").AsSlice())
	}
	return ips
}
