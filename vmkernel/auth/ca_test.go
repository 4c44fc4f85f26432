package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"
)

func TestACAIsReadAsWritten(t *testing.T) {
	ca, other := newCA(t, "ops"), newCA(t, "ops")
	key, otherKey := must[[]byte](t)(ca.KeyPEM()), must[[]byte](t)(other.KeyPEM())
	again, err := LoadCA(ca.CertificatePEM(), key)
	if err != nil || again.Fingerprint() != ca.Fingerprint() {
		t.Fatal(err)
	}
	anna, annaKey := userWithKey(t, again, "anna", Grant{Role: Viewer})
	annaPEM := must[[]byte](t)(KeyPEM(annaKey))
	if _, err := TLSCertificate(CertificatePEM(anna), annaPEM); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"another's key":    second(LoadCA(ca.CertificatePEM(), otherKey)),
		"a user's":         second(LoadCA(CertificatePEM(anna), annaPEM)),
		"the key first":    second(LoadCA(key, ca.CertificatePEM())),
		"nothing":          second(LoadCA(nil, nil)),
		"two":              second(LoadCA(append(ca.CertificatePEM(), other.CertificatePEM()...), key)),
		"no name":          second(NewCA("", now)),
		"a name with tabs": second(NewCA("a\tb", now)),
		"a user, and a CA": second(TLSCertificate(CertificatePEM(anna), key)),
	} {
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestACertificateEndsWhenItsCADoes(t *testing.T) {
	ca := newCA(t, "ops")
	r := must[*Request](t)(ParseRequest(must[[]byte](t)(NewRequest(newKey(t), "anna"))))
	c := must[*x509.Certificate](t)(ca.Sign(r, Grant{Role: Viewer}, time.Hour, now))
	if !c.NotAfter.Equal(now.Add(time.Hour)) || !c.NotBefore.Equal(ca.Certificate.NotBefore) {
		t.Errorf("%s to %s", c.NotBefore, c.NotAfter)
	}
	c = must[*x509.Certificate](t)(ca.Sign(r, Grant{Role: Viewer}, 2*CALife, now))
	if !c.NotAfter.Equal(ca.Certificate.NotAfter) {
		t.Errorf("until %s", c.NotAfter)
	}
	for _, when := range []time.Time{ca.Certificate.NotAfter, ca.Certificate.NotBefore.Add(-time.Second)} {
		if _, err := ca.Sign(r, Grant{Role: Viewer}, 0, when); err == nil {
			t.Errorf("signed at %s", when)
		}
	}
	if _, err := ca.Sign(r, Grant{Role: Viewer}, -1, now); err == nil {
		t.Error("signed for less than no time")
	}
	if _, err := ca.Sign(r, Grant{Role: "root"}, 0, now); err == nil {
		t.Error("signed for no role")
	}
}

func TestRenewalKeepsWhatACertificateSays(t *testing.T) {
	ca := newCA(t, "ops")
	old := user(t, ca, "anna", Grant{Operator, map[string]string{"tier": "test"}})
	later := now.Add(UserLife)
	c := must[*x509.Certificate](t)(ca.Renew(old, 0, later))
	was, is := must[Identity](t)(IdentityOf(old)), must[Identity](t)(IdentityOf(c))
	if is.Name != was.Name || is.URI() != was.URI() || is.Key != was.Key || is.Serial == was.Serial || !is.NotAfter.Equal(later.Add(UserLife)) {
		t.Errorf("%+v, was %+v", is, was)
	}
	if _, err := newCA(t, "ops").Renew(old, 0, now); err == nil {
		t.Error("another CA has renewed it")
	}
	if _, err := ca.Renew(ca.Certificate, 0, now); err == nil {
		t.Error("a CA was renewed as a user")
	}
}

func TestARequestHasToBeItsSenders(t *testing.T) {
	good := must[[]byte](t)(NewRequest(newKey(t), "anna"))
	if r, err := ParseRequest(good); err != nil || r.Name != "anna" || len(r.Key) != 50 {
		t.Errorf("%+v, %v", r, err)
	}
	block, _ := pem.Decode(good)
	broken := append([]byte(nil), block.Bytes...)
	broken[len(broken)-1] ^= 1
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	for name, text := range map[string][]byte{
		"another's signature": pem.EncodeToMemory(&pem.Block{Type: pemRequest, Bytes: broken}),
		"a slow curve":        must[[]byte](t)(NewRequest(p384, "anna")),
		"a certificate":       newCA(t, "ops").CertificatePEM(),
		"empty":               nil,
		"huge":                append(good, make([]byte, MaxPEM)...),
	} {
		if r, err := ParseRequest(text); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if _, err := NewRequest(newKey(t), " anna"); err == nil {
		t.Error("a request without a name")
	}
}

func TestAFingerprintIsReadAsShown(t *testing.T) {
	f := newCA(t, "ops").Fingerprint()
	for _, text := range []string{string(f), f.Groups(), " " + strings.ReplaceAll(f.Groups(), " ", "  ")} {
		if got, err := ParseFingerprint(text); err != nil || got != f {
			t.Errorf("%q: %v", text, err)
		}
	}
	if len(f.Groups()) != 60 || strings.Count(f.Groups(), " ") != 10 {
		t.Errorf("%q", f.Groups())
	}
	for _, bad := range []string{"", "SHA256:", string(f[7:]), string(f[:49]), string(f) + "A", "sha256:" + string(f[7:]), strings.Replace(string(f), "SHA256:", "SHA256:+", 1)[:50]} {
		if got, err := ParseFingerprint(bad); err == nil {
			t.Errorf("%q was read as %s", bad, got)
		}
	}
}

// FuzzCertificate promises that no certificate from the network gets in but by our CA, and that none makes more than a
// line of a message.
func FuzzCertificate(f *testing.F) {
	ca, stranger := newCA(f, "ops"), newCA(f, "ops")
	m := newMachine(f, Config{}, ca)
	ours := map[string]bool{}
	for _, g := range []Grant{{Role: Admin}, {Operator, map[string]string{"tier": "test"}}} {
		c := user(f, ca, "anna", g)
		ours[string(c.Raw)] = true
		f.Add(c.Raw)
	}
	f.Add(user(f, stranger, "eve", Grant{Role: Admin}).Raw)
	f.Add(ca.Certificate.Raw)
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		id, err := m.Identify(chain(c), now)
		switch {
		case err == nil && !ours[string(der)]:
			t.Errorf("%x is let in as %s", der, id)
		case err != nil && ReasonOf(err) == HandshakeFail:
			t.Errorf("%q has no reason", err)
		}
		if _, err := IdentityOf(c); err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%q", err)
		}
	})
}

// FuzzPEM promises the same of certificates, requests and keys as texts.
func FuzzPEM(f *testing.F) {
	ca := newCA(f, "ops")
	f.Add(ca.CertificatePEM())
	f.Add(must[[]byte](f)(ca.KeyPEM()))
	f.Add(must[[]byte](f)(NewRequest(newKey(f), "anna")))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, err := range []error{second(ParseCA(text)), second(ParseRequest(text)), second(ParseKey(text))} {
			if err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("%q", err)
			}
		}
	})
}
