package audit

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"keel/vmkernel/auth"
)

// syslogPort is where collectors listen (RFC 5425, 4.1).
const syslogPort = "6514"

// maxCollector bounds a collector's JSON, bytes.
const maxCollector = 64 << 10

// Collector is where the log is forwarded to. It is known by a CA, by its key's fingerprint, or by both.
type Collector struct {
	Address string `json:"address"`        // host or host:port; the port is 6514 if absent
	Name    string `json:"name,omitempty"` // in its certificate; the address's host if absent
	CA      string `json:"ca,omitempty"`   // PEM: who may have signed its certificate
	Pin     string `json:"pin,omitempty"`  // its key's fingerprint, SHA256:…
	// Bare accepts the end of the TCP connection as the confirmation of what was sent, for collectors that close
	// without TLS's close_notify. Whoever is on the way can forge that end, and so drop records unnoticed.
	Bare bool `json:"bare,omitempty"`
}

// ParseCollector parses a collector's JSON strictly and checks it.
func ParseCollector(data []byte) (*Collector, error) {
	if len(data) > maxCollector {
		return nil, fmt.Errorf("audit: the collector's description has %d bytes: at most %d are allowed", len(data), maxCollector)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var c Collector
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("audit: the collector's description: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("audit: the collector's description: something follows its end")
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	return &c, nil
}

// Check says what is wrong with a collector, fills in the port, and writes the pin in its one form.
func (c *Collector) Check() error {
	host, port, err := net.SplitHostPort(c.Address)
	if err != nil {
		host, port = strings.Trim(c.Address, "[]"), syslogPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || !isHost(host) {
		return fmt.Errorf("audit: collector: address %q is none: give host or host:port", c.Address)
	}
	c.Address = net.JoinHostPort(host, port)
	if c.Name != "" && !isHost(c.Name) {
		return fmt.Errorf("audit: collector: name %q is no host's name or address", c.Name)
	}
	if c.CA == "" && c.Pin == "" {
		return errors.New("audit: collector: neither ca nor pin is given: the collector's certificate couldn't be checked")
	}
	if c.CA != "" {
		if _, err := pool(c.CA); err != nil {
			return err
		}
	}
	if c.Pin != "" {
		pin, err := auth.ParseFingerprint(c.Pin)
		if err != nil {
			return fmt.Errorf("audit: collector: pin: %w", err)
		}
		c.Pin = string(pin)
	}
	return nil
}

// isHost says whether s can be a host's name or address.
func isHost(s string) bool {
	return s != "" && len(s) <= 253 &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:") == ""
}

// pool parses the certificates of a PEM text.
func pool(text string) (*x509.CertPool, error) {
	p := x509.NewCertPool()
	n := 0
	for rest := []byte(text); ; n++ {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			if n == 0 || len(bytes.TrimSpace(rest)) > 0 {
				return nil, errors.New("audit: collector: ca holds something else than PEM certificates")
			}
			return p, nil
		}
		if b.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("audit: collector: ca holds a %q: give certificates alone", b.Type)
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("audit: collector: ca: certificate %d: %w", n+1, err)
		}
		p.AddCert(c)
	}
}

// config is TLS's for a collector that Check has passed.
func (c *Collector) config(own *tls.Certificate, now func() time.Time) *tls.Config {
	host, _, _ := net.SplitHostPort(c.Address)
	t := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: host, Time: now}
	if c.Name != "" {
		t.ServerName = c.Name
	}
	if own != nil {
		t.Certificates = []tls.Certificate{*own}
	}
	if c.CA != "" {
		t.RootCAs, _ = pool(c.CA)
	} else {
		t.InsecureSkipVerify = true // the pin alone says who it is
	}
	if c.Pin != "" {
		t.VerifyConnection = func(s tls.ConnectionState) error {
			if got := auth.FingerprintOf(s.PeerCertificates[0]); string(got) != c.Pin {
				return fmt.Errorf("the collector's key is %s, not the pinned one", got)
			}
			return nil
		}
	}
	return t
}
