package server

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/auth"
)

// TestAChainWithoutEndIsNotRead shows a certificate with many that could have signed it: each would cost the host a
// check of a signature, and memory.
func TestAChainWithoutEndIsNotRead(t *testing.T) {
	r := newRig(t)
	own := r.user("mallory", auth.Admin, nil)
	long := &tls.Certificate{PrivateKey: own.PrivateKey}
	size := 0
	for i := range 100 {
		key, err := auth.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: "m"}, IsCA: true, BasicConstraintsValid: true,
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
		if i == 0 {
			template.IsCA = false
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			long.PrivateKey = key
		}
		long.Certificate = append(long.Certificate, der)
		size += len(der)
	}
	handshake := func(cert *tls.Certificate) (time.Duration, error) {
		began := time.Now()
		config := auth.ClientConfig(cert, auth.Expect{})
		config.NextProtos = []string{"http/1.1"}
		conn, err := tls.Dial("tcp", r.address, config)
		if err != nil {
			return time.Since(began), err
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(longest))
		if _, err = conn.Write([]byte("GET /v1/version HTTP/1.1\r\nHost: x\r\n\r\n")); err == nil {
			_, err = conn.Read(make([]byte, 1))
		}
		return time.Since(began), err
	}
	took, err := handshake(long)
	if err == nil || strings.Contains(err.Error(), "remote error") { // an alert: it was looked at
		t.Errorf("a chain of %d bytes: %v", size, err)
	}
	t.Logf("a chain of %d bytes was refused after %s", size, took)
	// A client may send its CA along.
	with := &tls.Certificate{Certificate: append([][]byte{}, own.Certificate[0], r.ca.Certificate.Raw), PrivateKey: own.PrivateKey}
	if _, err := handshake(with); err != nil {
		t.Errorf("a chain of two: %v", err)
	}
	r.alive()
}
