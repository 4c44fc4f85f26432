package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

func grants(uris ...string) (list []*url.URL) {
	for _, u := range uris {
		list = append(list, mustURL(u))
	}
	return list
}

func TestWhoAnOperatorCAHasSignedIsLetIn(t *testing.T) {
	old, ca := newCA(t, "old"), newCA(t, "ops")
	m := newMachine(t, Config{}, old, ca)
	for _, g := range []Grant{{Role: Viewer}, {Role: Admin}, {Role: Auditor}, {Operator, map[string]string{"tier": "test", "a b": ""}}} {
		if g.Scope["a b"] == "" {
			delete(g.Scope, "a b")
		}
		for _, by := range []*CA{old, ca} {
			c := user(t, by, "anna", g)
			id, err := m.Identify([]*x509.Certificate{c}, now)
			if err != nil || id.Name != "anna" || id.URI() != g.URI() || id.Issuer != by.Fingerprint() || id.Serial != Serial(c) || id.Key != FingerprintOf(c) {
				t.Errorf("%s: %+v, %v", g, id, err)
			}
		}
	}
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	if _, err := m.Identify([]*x509.Certificate{bent(t, ca, edKey.Public(), func(*x509.Certificate) {})}, now); err != nil {
		t.Errorf("a key of Ed25519: %v", err)
	}
}

// TestNobodyElseIsLetIn has everyone come who shouldn't.
func TestNobodyElseIsLetIn(t *testing.T) {
	ca, stranger := newCA(t, "ops"), newCA(t, "ops") // of the same name
	key := newKey(t)
	anna := user(t, ca, "anna", Grant{Role: Admin})
	m := newMachine(t, Config{Revoked: []RevokedCertificate{{ca.Fingerprint(), strings.ToUpper(Serial(anna))}}}, ca)
	of := func(change func(*x509.Certificate)) []*x509.Certificate {
		return []*x509.Certificate{bent(t, ca, key.Public(), change)}
	}
	signedByUser := func() []*x509.Certificate {
		bob, bobKey := userWithKey(t, ca, "bob", Grant{Role: Viewer})
		return []*x509.Certificate{bent(t, &CA{bob, bobKey}, key.Public(), func(*x509.Certificate) {}), bob}
	}
	// One below the CA, as ours never sign one: the CA itself allows none.
	below := func(root *CA) []*x509.Certificate {
		k := newKey(t)
		c := bent(t, root, k.Public(), func(c *x509.Certificate) {
			c.Subject, c.IsCA, c.KeyUsage, c.ExtKeyUsage, c.URIs = pkix.Name{CommonName: "below"}, true, x509.KeyUsageCertSign, nil, nil
		})
		return []*x509.Certificate{bent(t, &CA{c, k}, key.Public(), func(*x509.Certificate) {}), c, root.Certificate}
	}
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rsaKey, _ := rsa.GenerateKey(rand.Reader, 2048)
	huge := []*x509.Certificate{user(t, stranger, "eve", Grant{Role: Admin})}
	for i := range 500 {
		huge = append(huge, bent(t, stranger, key.Public(), func(c *x509.Certificate) { c.Subject.CommonName = fmt.Sprint(i) }))
	}
	for _, c := range []struct {
		name   string
		chain  []*x509.Certificate
		reason Reason
		says   string // where it isn't the standard library that says it
	}{
		{"no certificate", nil, NoCertificate, "no client certificate"},
		{"expired", of(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }), Expired, ""},
		{"not yet valid", of(func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }), NotYetValid, ""},
		{"another CA of the same name", []*x509.Certificate{user(t, stranger, "eve", Grant{Role: Admin})}, UnknownCA, ""},
		{"another CA, which it brings along", []*x509.Certificate{user(t, stranger, "eve", Grant{Role: Admin}), stranger.Certificate}, UnknownCA, ""},
		{"another CA, and ours behind it", []*x509.Certificate{user(t, stranger, "eve", Grant{Role: Admin}), ca.Certificate}, UnknownCA, ""},
		{"a chain without end", huge, UnknownCA, ""},
		{"revoked", []*x509.Certificate{anna}, Revoked, "of anna was revoked"},
		{"signed by a user", signedByUser(), UnknownCA, ""},
		{"signed by one below the CA", below(ca), UnknownCA, ""},
		{"signed by itself", []*x509.Certificate{stranger.Certificate}, UnknownCA, ""},
		{"the CA's own", []*x509.Certificate{ca.Certificate}, BadPurpose, "CA"},
		{"a CA's by ours", of(func(c *x509.Certificate) { c.IsCA = true }), BadPurpose, "is a CA's"},
		{"a server's", of(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), BadPurpose, ""},
		{"a seed's", of(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
		}), BadPurpose, ""},
		{"for nothing in particular", of(func(c *x509.Certificate) { c.ExtKeyUsage = nil }), BadPurpose, "clientAuth"},
		{"for anything", of(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }), BadPurpose, "clientAuth"},
		{"no role", of(func(c *x509.Certificate) { c.URIs = nil }), NoRole, "has no role"},
		{"others' URI", of(func(c *x509.Certificate) { c.URIs = grants("https://example.org/role/admin") }), NoRole, "has no role"},
		{"two roles", of(func(c *x509.Certificate) { c.URIs = grants("keel:role/viewer", "keel:role/admin") }), NoRole, "has 2 roles"},
		{"one role twice", of(func(c *x509.Certificate) { c.URIs = grants("keel:role/viewer", "keel:role/viewer") }), NoRole, "has 2 roles"},
		{"a role and a seed's", of(func(c *x509.Certificate) { c.URIs = grants("keel:role/viewer", seedURI) }), NoRole, "has 2 roles"},
		{"unknown role", of(func(c *x509.Certificate) { c.URIs = grants("keel:role/root") }), NoRole, `"root" is not a role`},
		{"no name", of(func(c *x509.Certificate) { c.Subject.CommonName = "" }), Malformed, "the name is empty"},
		{"a name that drives terminals", of(func(c *x509.Certificate) { c.Subject.CommonName = "a\x1b[2J" }), Malformed, `"a\x1b[2J"`},
		{"P-384", []*x509.Certificate{bent(t, ca, p384.Public(), func(*x509.Certificate) {})}, BadKey, "P-384"},
		{"RSA", []*x509.Certificate{bent(t, ca, rsaKey.Public(), func(*x509.Certificate) {})}, BadKey, "Ed25519"},
		{"something critical that nobody knows", of(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{5, 0}}}
		}), Malformed, "unhandled critical extension"},
	} {
		start := time.Now()
		id, err := m.Identify(c.chain, now)
		if err == nil || ReasonOf(err) != c.reason || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v (%v), want %s, which says %q", c.name, err, id, c.reason, c.says)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n\r\x1b") {
			t.Errorf("%s: %q", c.name, err)
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("%s took %s", c.name, d)
		}
	}
}

func TestACAThatHasExpiredLetsNobodyIn(t *testing.T) {
	ca := newCA(t, "ops")
	m := newMachine(t, Config{}, ca)
	c := user(t, ca, "anna", Grant{Role: Admin})
	_, err := m.Identify([]*x509.Certificate{c}, now.Add(2*CALife))
	if ReasonOf(err) != Expired {
		t.Errorf("%v", err)
	}
	long := bent(t, ca, c.PublicKey, func(c *x509.Certificate) { c.NotAfter = now.Add(3 * CALife) })
	if _, err = m.Identify([]*x509.Certificate{long}, now.Add(2*CALife)); ReasonOf(err) != Expired {
		t.Errorf("%v", err)
	}
}

func TestOneBelowACACanBeTrustedItself(t *testing.T) {
	root := newCA(t, "root")
	k := newKey(t)
	c := bent(t, root, k.Public(), func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.KeyUsage, c.ExtKeyUsage, c.URIs = pkix.Name{CommonName: "below"}, true, x509.KeyUsageCertSign, nil, nil
	})
	below := &CA{c, k}
	m := newMachine(t, Config{}, below)
	anna := bent(t, below, newKey(t).Public(), func(*x509.Certificate) {})
	if id, err := m.Identify([]*x509.Certificate{anna, c}, now); err != nil || id.Issuer != below.Fingerprint() {
		t.Errorf("%+v, %v", id, err)
	}
}

func TestRevocationAndDistrustTakeEffectOnThoseWhoAreIn(t *testing.T) {
	old, ca := newCA(t, "old"), newCA(t, "ops")
	m := newMachine(t, Config{}, old, ca)
	var told int
	stop := m.Watch(func() { told++ })
	in := func(by *CA, name string) Identity {
		return must[Identity](t)(m.Identify([]*x509.Certificate{user(t, by, name, Grant{Role: Viewer})}, now))
	}
	anna, bob, carl := in(ca, "anna"), in(ca, "bob"), in(old, "carl")
	if err := m.Revoke(RevokedCertificate{anna.Issuer, anna.Serial}); err != nil || told != 1 {
		t.Fatalf("%v, told %d times", err, told)
	}
	check := func(who Identity, want Reason) {
		t.Helper()
		err := m.Recheck(who, now)
		if err == nil && want != "" || err != nil && ReasonOf(err) != want {
			t.Errorf("%s: %v, want %q", who, err, want)
		}
	}
	check(anna, Revoked)
	check(bob, "")
	check(carl, "")
	if err := m.Recheck(bob, bob.NotAfter.Add(time.Second)); ReasonOf(err) != Expired {
		t.Errorf("after the end of his certificate: %v", err)
	}
	if err := m.Distrust(old.Fingerprint()); err != nil || told != 2 {
		t.Fatalf("%v, told %d times", err, told)
	}
	check(carl, UnknownCA)
	check(bob, "")
	if err := m.Distrust(ca.Fingerprint()); err == nil || told != 2 {
		t.Errorf("the last CA: %v, told %d times", err, told)
	}
	stop()
	if m.Revoke(RevokedCertificate{bob.Issuer, bob.Serial}); told != 2 {
		t.Error("told after it was stopped")
	}
	if got := m.Revocations(); len(got) != 2 {
		t.Errorf("revoked: %v", got)
	}
}

func TestRevocationsAreBounded(t *testing.T) {
	ca := newCA(t, "ops")
	m := newMachine(t, Config{}, ca)
	for i := range MaxRevoked {
		if err := m.Revoke(RevokedCertificate{ca.Fingerprint(), fmt.Sprintf("%x", i+1)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Revoke(RevokedCertificate{ca.Fingerprint(), "1"}); err != nil {
		t.Errorf("one that was revoked already: %v", err)
	}
	if err := m.Revoke(RevokedCertificate{ca.Fingerprint(), "ffffff"}); err == nil {
		t.Error("one more than the maximum was taken")
	}
	for _, bad := range []RevokedCertificate{{"SHA256:x", "1"}, {ca.Fingerprint(), "x"}, {ca.Fingerprint(), "0"}, {ca.Fingerprint(), ""}, {ca.Fingerprint(), strings.Repeat("1", 41)}} {
		if err := m.Revoke(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestATrustedCAHasToBeOne(t *testing.T) {
	ca := newCA(t, "ops")
	anna := user(t, ca, "anna", Grant{Role: Admin})
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	weak := bent(t, ca, p384.Public(), func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign })
	for _, c := range []*x509.Certificate{anna, weak} {
		if _, err := NewStore(Config{CAs: []*x509.Certificate{c}, Clock: time.Now, Uptime: func() time.Duration { return 0 }}); err == nil {
			t.Errorf("%s is trusted as a CA", c.Subject)
		}
		if _, err := ParseCA(CertificatePEM(c)); err == nil {
			t.Errorf("%s is read as a CA", c.Subject)
		}
	}
	var many []*x509.Certificate
	for range MaxCAs + 1 {
		many = append(many, newCA(t, "ops").Certificate)
	}
	if _, err := NewStore(Config{CAs: many, Clock: time.Now, Uptime: func() time.Duration { return 0 }}); err == nil {
		t.Error("more CAs than the maximum")
	}
}
