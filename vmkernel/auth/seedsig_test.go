package auth

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"
)

var manifest = []byte(`{"apiVersion":"keel/v1"}`)

func seeder(t testing.TB, ca *CA) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key := newKey(t)
	r := must[*Request](t)(ParseRequest(must[[]byte](t)(NewRequest(key, "build-1"))))
	return must[*x509.Certificate](t)(ca.SignSeeder(r, 0, now)), key
}

func TestSeedsOfTheCAAndOfItsKeysForSeedsAreTaken(t *testing.T) {
	ca := newCA(t, "ops")
	c, key := seeder(t, ca)
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	ed := must[*x509.Certificate](t)(create(&x509.Certificate{
		Subject: pkix.Name{CommonName: "ed"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(CALife),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, URIs: grants(seedURI),
	}, ca.Certificate, edKey.Public(), ca.key))
	rules := SeedRules{CAs: []*x509.Certificate{newCA(t, "other").Certificate, ca.Certificate}, Minimum: 7}
	for name, signature := range map[string][]byte{
		"the CA":             must[[]byte](t)(ca.SignSeed(manifest, 7, now)),
		"a key for seeds":    must[[]byte](t)(SignSeed(manifest, c, key, 8, now)),
		"one of Ed25519":     must[[]byte](t)(SignSeed(manifest, ed, edKey, 9, now)),
		"sequence from time": must[[]byte](t)(ca.SignSeed(manifest, 0, now)),
	} {
		s, err := rules.Check(manifest, signature)
		if err != nil || !s.Time.Equal(now) || s.Sequence < 7 {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	// However long ago.
	if _, err := rules.Check(manifest, must[[]byte](t)(SignSeed(manifest, c, key, 7, now.Add(UserLife-time.Hour)))); err != nil {
		t.Error(err)
	}
	if s, err := (&SeedRules{}).Check(manifest, nil); err != nil || s != nil {
		t.Errorf("an unsigned seed, where nothing is trusted: %+v, %v", s, err)
	}
	if s, err := (&SeedRules{}).Check(manifest, must[[]byte](t)(ca.SignSeed(manifest, 7, now))); err != nil || s == nil {
		t.Errorf("a signed seed, where nothing is trusted: %+v, %v", s, err)
	}
}

func TestOtherSeedsAreRefused(t *testing.T) {
	ca, stranger := newCA(t, "ops"), newCA(t, "ops")
	c, key := seeder(t, ca)
	foreign, foreignKey := seeder(t, stranger)
	anna, annaKey := userWithKey(t, ca, "anna", Grant{Role: Admin})
	revoked, revokedKey := seeder(t, ca)
	rules := SeedRules{CAs: []*x509.Certificate{ca.Certificate}, Minimum: 7, Revoked: []RevokedCertificate{{ca.Fingerprint(), Serial(revoked)}}}
	// by signs as SignSeed doesn't.
	by := func(c *x509.Certificate, key crypto.Signer, change func(*SeedSignature)) []byte {
		s := must[*SeedSignature](t)(ParseSeedSignature(must[[]byte](t)(ca.SignSeed(manifest, 7, now))))
		s.Signer = c
		change(s)
		sum := crypto.SHA256.New()
		sum.Write(s.statement())
		s.signature = must[[]byte](t)(key.Sign(rand.Reader, sum.Sum(nil), crypto.SHA256))
		return s.encode()
	}
	same := func(*SeedSignature) {}
	bentSeeder := func(change func(*x509.Certificate)) []byte {
		k := newKey(t)
		return by(bent(t, ca, k.Public(), func(c *x509.Certificate) {
			c.ExtKeyUsage, c.URIs = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, grants(seedURI)
			change(c)
		}), k, same)
	}
	good := must[[]byte](t)(ca.SignSeed(manifest, 7, now))
	if _, err := rules.Check(manifest, bentSeeder(func(*x509.Certificate) {})); err != nil {
		t.Fatalf("one that is not bent: %v", err)
	}
	for _, test := range []struct {
		name      string
		signature []byte
		manifest  string
		want      string
	}{
		{"unsigned", nil, "", "the seed is not signed, and this host takes no others than those of the CA \"ops\""},
		{"empty", []byte{}, "", "not in the form"},
		{"another manifest", good, `{"apiVersion":"keel/v1" }`, "changed after it was signed"},
		{"another CA of the same name", must[[]byte](t)(stranger.SignSeed(manifest, 7, now)), "", "this host takes those of"},
		{"another CA's key for seeds", must[[]byte](t)(SignSeed(manifest, foreign, foreignKey, 7, now)), "", "this host takes those of"},
		{"older", must[[]byte](t)(ca.SignSeed(manifest, 6, now)), "", "too old: its sequence is 6 (signed at 2026-11-28T12:00:00Z), and this host takes none below 7"},
		{"older, from a key for seeds", must[[]byte](t)(SignSeed(manifest, c, key, 6, now)), "", "too old"},
		{"an administrator", by(anna, annaKey, same), "", "can't be used for that"},
		{"one who is an administrator too", bentSeeder(func(c *x509.Certificate) { c.URIs = grants(seedURI, "keel:role/admin") }), "", "not for signing seeds"},
		{"a client as well", bentSeeder(func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) }), "", "not for signing seeds"},
		{"without the name", bentSeeder(func(c *x509.Certificate) { c.URIs = nil }), "", "not for signing seeds"},
		{"for anything", bentSeeder(func(c *x509.Certificate) { c.ExtKeyUsage = nil }), "", "not for signing seeds"},
		{"a CA below", bentSeeder(func(c *x509.Certificate) { c.IsCA = true }), "", "seed is signed by"},
		{"signed before its time", by(c, key, func(s *SeedSignature) { s.Time = now.Add(-48 * time.Hour) }), "", "can't be used for that"},
		{"signed after its time", by(c, key, func(s *SeedSignature) { s.Time = now.Add(2 * UserLife) }), "", "can't be used for that"},
		{"signed after the CA's time", by(ca.Certificate, ca.key, func(s *SeedSignature) { s.Time = now.Add(2 * CALife) }), "", "when that wasn't valid"},
		{"revoked", must[[]byte](t)(SignSeed(manifest, revoked, revokedKey, 7, now)), "", "was revoked"},
		{"the CA's name, another's key", by(ca.Certificate, key, same), "", "not by the key that it names"},
		{"a statement that was changed", bytes.Replace(good, []byte("sequence 7"), []byte("sequence 8"), 1), "", "not by the key that it names"},
		{"carriage returns", bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n")), "", "not in the form"},
		{"something behind it", append(bytes.Clone(good), '\n'), "", "not in the form"},
		{"something before it", append([]byte("\n"), good...), "", "not in the form"},
		{"a header in a PEM block", bytes.Replace(good, []byte("CERTIFICATE-----\n"), []byte("CERTIFICATE-----\nA: b\n\n"), 1), "", "not in the form"},
		{"without a signature", good[:bytes.Index(good, []byte("-----BEGIN KEEL"))], "", "not in the form"},
		{"a sequence of another form", bytes.Replace(good, []byte("sequence 7"), []byte("sequence 07"), 1), "", "not in the form"},
		{"a time of another form", bytes.Replace(good, []byte("12:00:00Z"), []byte("12:00:00+00:00"), 1), "", "not in the form"},
		{"huge", append(bytes.Clone(good), make([]byte, MaxSeedSignature)...), "", "at most 16384 are possible"},
	} {
		m := manifest
		if test.manifest != "" {
			m = []byte(test.manifest)
		}
		s, err := rules.Check(m, test.signature)
		if s != nil || err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, %v\nwant %s", test.name, s, err, test.want)
		}
	}
	// With nothing to trust, a signature still has to be what it says.
	if _, err := (&SeedRules{}).Check([]byte("x"), good); err == nil {
		t.Error("a signature for something else was taken")
	}
}

func TestWhoCantSignSeedsIsToldSo(t *testing.T) {
	ca := newCA(t, "ops")
	anna, annaKey := userWithKey(t, ca, "anna", Grant{Role: Admin})
	c, key := seeder(t, ca)
	for name, sign := range map[string]func() ([]byte, error){
		"a user":             func() ([]byte, error) { return SignSeed(manifest, anna, annaKey, 1, now) },
		"another's key":      func() ([]byte, error) { return SignSeed(manifest, c, annaKey, 1, now) },
		"after its end":      func() ([]byte, error) { return SignSeed(manifest, c, key, 1, now.Add(2*UserLife)) },
		"with a dead clock":  func() ([]byte, error) { return SignSeed(manifest, c, key, 1, time.Unix(0, 0)) },
		"the CA, before now": func() ([]byte, error) { return ca.SignSeed(manifest, 1, now.Add(-48*time.Hour)) },
	} {
		if _, err := sign(); err == nil {
			t.Errorf("%s has signed", name)
		}
	}
}

func TestTimeDoesNotStartBeforeWhatIsKnown(t *testing.T) {
	ca := newCA(t, "ops")
	built := now.Add(-100 * time.Hour)
	if got := Floor(built, time.Time{}, nil); !got.Equal(built) {
		t.Errorf("the image alone: %s", got)
	}
	if got := Floor(built, time.Time{}, []*x509.Certificate{ca.Certificate}); !got.Equal(ca.Certificate.NotBefore) {
		t.Errorf("a CA: %s", got)
	}
	if got := Floor(built, now, []*x509.Certificate{ca.Certificate}); !got.Equal(now) {
		t.Errorf("a signature: %s", got)
	}
	if got, raised := StartTime(time.Unix(0, 0), now, time.Time{}); !got.Equal(now) || !raised {
		t.Errorf("a dead clock: %s", got)
	}
	if got, raised := StartTime(now.Add(time.Hour), now, time.Time{}); !got.Equal(now.Add(time.Hour)) || raised {
		t.Errorf("a good clock: %s", got)
	}
	// With a dead clock and an unsigned seed, whoever the CA signs, whenever he was signed, is let in.
	m := newMachine(t, Config{}, ca)
	r := must[*Request](t)(ParseRequest(must[[]byte](t)(NewRequest(newKey(t), "anna"))))
	late := must[*x509.Certificate](t)(ca.Sign(r, Grant{Role: Admin}, 0, now.Add(5*UserLife)))
	start, _ := StartTime(time.Unix(0, 0), Floor(built, time.Time{}, m.CAs()), Ceiling(m.CAs()))
	if _, err := m.Identify(chain(late), start); err != nil {
		t.Error(err)
	}
}

// FuzzSeedSignature promises that a signature is read in its one form or refused in one line, and that none of a
// stranger's is taken.
func FuzzSeedSignature(f *testing.F) {
	ca := newCA(f, "ops")
	f.Add(must[[]byte](f)(ca.SignSeed(manifest, 7, now)))
	f.Add([]byte(statementTitle))
	rules := SeedRules{CAs: []*x509.Certificate{newCA(f, "other").Certificate}}
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := rules.Check(manifest, text); s != nil || err == nil || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%q: %+v, %v", text, s, err)
		}
		if s, err := ParseSeedSignature(text); err == nil && !bytes.Equal(s.encode(), text) {
			t.Errorf("%q is written again as %q", text, s.encode())
		}
	})
}
