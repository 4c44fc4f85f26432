package auth

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"
	"time"
)

// now is the time in these tests, unless one sets the clock.
var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newCA(t testing.TB, name string) *CA {
	t.Helper()
	return must[*CA](t)(NewCA(name, now))
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	return must[crypto.Signer](t)(NewKey())
}

// user returns a user's certificate, made as keelctl makes it.
func user(t testing.TB, ca *CA, name string, g Grant) *x509.Certificate {
	t.Helper()
	c, _ := userWithKey(t, ca, name, g)
	return c
}

func userWithKey(t testing.TB, ca *CA, name string, g Grant) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key := newKey(t)
	r := must[*Request](t)(ParseRequest(must[[]byte](t)(NewRequest(key, name))))
	return must[*x509.Certificate](t)(ca.Sign(r, g, 0, now)), key
}

// bent returns a certificate as no CA of ours makes one: change has the template to change.
func bent(t testing.TB, ca *CA, key crypto.PublicKey, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "eve"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs:                  grants("keel:role/admin"),
		BasicConstraintsValid: true,
	}
	change(template)
	return must[*x509.Certificate](t)(create(template, ca.Certificate, key, ca.key))
}

// machine is a Store, with clocks to set.
type machine struct {
	*Store
	time   time.Time
	uptime time.Duration
}

func newMachine(t testing.TB, c Config, cas ...*CA) *machine {
	t.Helper()
	m := &machine{time: now}
	c.Clock, c.Uptime = func() time.Time { return m.time }, func() time.Duration { return m.uptime }
	for _, ca := range cas {
		c.CAs = append(c.CAs, ca.Certificate)
	}
	m.Store = must[*Store](t)(NewStore(c))
	return m
}

type x509Certificate = x509.Certificate

func chain(c *x509.Certificate) []*x509.Certificate { return []*x509.Certificate{c} }
