package seed

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/auth"
)

var when = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func operatorCA(t testing.TB, name string) *auth.CA {
	t.Helper()
	ca, err := auth.NewCA(name, when)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// trusting is the trust of a host that has everything.
func trusting(cas ...*auth.CA) Trust {
	t := Trust{Token: auth.NewToken(), Revoked: []auth.RevokedCertificate{{Issuer: cas[0].Fingerprint(), Serial: "0000000000000000000000000000abcd"}},
		Lockdown: &HostLockdown{After: After(48 * time.Hour), Administrators: []auth.Fingerprint{cas[0].Fingerprint()}}}
	for _, ca := range cas {
		t.OperatorCAs = append(t.OperatorCAs, string(ca.CertificatePEM()))
	}
	return t
}

func TestTrustIsReadAsWritten(t *testing.T) {
	host := DefaultHost()
	for _, trust := range []Trust{{}, trusting(operatorCA(t, "old"), operatorCA(t, "ops"))} {
		host.Trust = trust
		s, err := Parse(pack(t, host, nil, nil))
		if err != nil || !reflect.DeepEqual(s.Host, host) {
			t.Errorf("%+v, %v\nwant %+v", s, err, host)
		}
	}
	c, err := host.Trust.Config()
	if err != nil || len(c.CAs) != 2 || c.CAs[1].Subject.CommonName != "ops" || !c.Lockdown.On || c.Lockdown.After != 48*time.Hour || c.Token != host.Trust.Token {
		t.Errorf("as the host takes it: %+v, %v", c, err)
	}
	host.Trust.Lockdown.After = 0
	s, err := Parse(pack(t, host, nil, nil))
	if err != nil || !reflect.DeepEqual(s.Host, host) {
		t.Errorf("locked down now: %+v, %v", s, err)
	}
}

func TestTrustThatCantBeMeantIsRefused(t *testing.T) {
	ca := operatorCA(t, "ops")
	pem, _ := json.Marshal(string(ca.CertificatePEM()))
	key, err := ca.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := json.Marshal(string(key))
	f := string(ca.Fingerprint())
	for text, want := range map[string]string{
		`"operatorCAs":"x"`:                                               `operatorCAs: "x" is not a list`,
		`"operatorCAs":[1]`:                                               `operatorCAs[0]: 1 is not text`,
		`"operatorCAs":["ca.pem"]`:                                        `operatorCAs[0]: has no PEM block: give one that begins with -----BEGIN CERTIFICATE-----`,
		`"operatorCAs":[` + string(secret) + `]`:                          `operatorCAs[0]: is a PEM block of type "PRIVATE KEY"`,
		`"operatorCAs":[` + string(pem) + `,` + string(pem) + `]`:         `operatorCAs[1]: the CA with the key ` + f + ` is there twice`,
		`"operatorCAs":[` + strings.Repeat(`"",`, 16) + `""]`:             `operatorCAs: has 17 entries; at most 16 are possible`,
		`"revoked":[{"issuer":"x","serial":"1"}]`:                         `revoked[0].issuer: "x" is not a key's fingerprint`,
		`"revoked":[{"issuer":"` + f + `","serial":"xyz"}]`:               `revoked[0].serial: "xyz" is not a serial number`,
		`"revoked":[{"issuer":"` + f + `"}]`:                              `revoked[0].serial: is missing`,
		`"token":"secret"`:                                                `token: the token has 6 characters`,
		`"token":"!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"`:                  `token: the token has other characters`,
		`"lockdown":{"after":"24h"}`:                                      `lockdown: would keep everybody out of a host that trusts nobody yet`,
		`"operatorCAs":[` + string(pem) + `],"lockdown":{"after":"now"}`:  `lockdown: would know no administrator`,
		`"operatorCAs":[` + string(pem) + `],"lockdown":{"after":"0s"}`:   `lockdown: would know no administrator`,
		`"operatorCAs":[` + string(pem) + `],"lockdown":{}`:               `lockdown.after: is missing: give a time such as 24h, or now`,
		`"operatorCAs":[` + string(pem) + `],"lockdown":{"after":"999h"}`: `lockdown.after: "999h" is above the maximum of 720h0m0s`,
		`"admins":[]`: `admins: unknown key; the keys here are operatorCAs, revoked, token, lockdown`,
	} {
		s, err := Parse(ofJSON(t, `{"apiVersion":"keel/v1","host":{"trust":{`+text+`}},FILES}`))
		if err == nil || !strings.Contains(err.Error(), "seed: keel.json: host.trust."+want) {
			t.Errorf("%.60s: %v, %v\nwant %s", text, s, err, want)
			continue
		}
		if strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "!!") {
			t.Errorf("%.60s: %q has more lines than one, or the token", text, err)
		}
	}
}

// TestASignedSeedIsThatSeed signs one, reads it, and signs it again.
func TestASignedSeedIsThatSeed(t *testing.T) {
	ca, stranger := operatorCA(t, "ops"), operatorCA(t, "stranger")
	plain := pack(t, pooled(), []VM{full()}, files())
	sign := func(archive []byte, by *auth.CA, sequence uint64) []byte {
		t.Helper()
		signed, err := Sign(archive, func(manifest []byte) ([]byte, error) { return by.SignSeed(manifest, sequence, when) })
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	rules := auth.SeedRules{CAs: []*x509.Certificate{ca.Certificate}, Minimum: 7}
	open := func(archive []byte) (*Seed, error) {
		return OpenChecked(archive, func(manifest, signature []byte) error {
			_, err := rules.Check(manifest, signature)
			return err
		})
	}
	good := sign(plain, ca, 7)
	s, err := open(good)
	if err != nil || len(s.VMs) != 1 || s.verify() != nil {
		t.Fatalf("%+v, %v", s, err)
	}
	if s, err := open(sign(sign(good, stranger, 9), ca, 7)); err != nil || len(s.VMs) != 1 {
		t.Errorf("signed again: %+v, %v", s, err)
	}
	changed := bytes.Replace(good, []byte(`"keel"`), []byte(`"kool"`), 1)
	if bytes.Equal(changed, good) {
		t.Fatal("nothing was changed")
	}
	for want, archive := range map[string][]byte{
		"the seed is not signed":          plain,
		`signed by "stranger"`:            sign(plain, stranger, 7),
		"the seed is too old":             sign(plain, ca, 6),
		"was changed after it was signed": changed,
	} {
		if s, err := open(archive); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "seed: ") {
			t.Errorf("%v, %v\nwant %s", s, err, want)
		}
	}
	// A check has the last word before anything of keel.json is read.
	sentinel := errors.New("no")
	if _, err := OpenChecked(raw(t, member{name: Manifest, data: "nonsense"}), func(_, _ []byte) error { return sentinel }); !errors.Is(err, sentinel) {
		t.Errorf("%v", err)
	}
	if _, err := Sign(plain[:len(plain)-512], nil); err == nil {
		t.Error("a damaged seed was signed")
	}
}
