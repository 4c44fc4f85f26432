package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"time"
)

// checkRandom takes more random bytes at once than the lower half gives at a time: no part of them may be missing.
func checkRandom() error {
	data := make([]byte, 1<<16)
	rand.Read(data)
	const part = 16
	for i := 0; i < len(data); i += part {
		if [part]byte(data[i:]) == [part]byte{} {
			return fmt.Errorf("random data has %d zeros at byte %d", part, i)
		}
	}
	return nil
}

// checkTLS makes a certificate, shakes hands over pipes in memory and sends data through.
func checkTLS(e *env) (string, error) {
	if err := checkRandom(); err != nil {
		return "", err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "keel"}, DNSNames: []string{"keel"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return "", err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return "", err
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	own := []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	server := &tls.Config{Certificates: own, MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	client := &tls.Config{Certificates: own, MinVersion: tls.VersionTLS13, RootCAs: pool, ServerName: "keel"}

	data := bytes.Repeat([]byte("0123456789abcdef"), 4096*e.scale)
	want := sha256.Sum256(data)
	hands := 5 * e.scale
	start := time.Now()
	for range hands {
		near, far := net.Pipe()
		s, c := tls.Server(near, server), tls.Client(far, client)
		sent := make(chan error, 1)
		go func() {
			_, err := c.Write(data)
			if err == nil {
				err = c.CloseWrite()
			}
			sent <- err
		}()
		hash := sha256.New()
		_, err := io.Copy(hash, s)
		near.Close()
		if err := <-sent; err != nil {
			return "", fmt.Errorf("client: %w", err)
		}
		if err != nil {
			return "", fmt.Errorf("server: %w", err)
		}
		state := s.ConnectionState()
		if state.Version != tls.VersionTLS13 || len(state.PeerCertificates) != 1 {
			return "", fmt.Errorf("version %#x with %d client certificates, want TLS 1.3 with one", state.Version, len(state.PeerCertificates))
		}
		if !bytes.Equal(hash.Sum(nil), want[:]) {
			return "", fmt.Errorf("%d bytes came through changed", len(data))
		}
	}
	return fmt.Sprintf("handshakes=%d of %v with %d KiB each", hands, (time.Since(start) / time.Duration(hands)).Round(time.Microsecond), len(data)>>10), nil
}
