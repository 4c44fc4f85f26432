package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/auth"
	"keel/vmkernel/seed"
)

func TestTrustIsShownWithoutItsToken(t *testing.T) {
	ca, err := auth.NewCA("ops", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	token := auth.NewToken()
	inDir(t, map[string]string{"ca.pem": string(ca.CertificatePEM()), "host.yaml": hostYAML + "trust:\n  operatorCAs: [ca.pem]\n  token: " + token +
		"\n  revoked: [{issuer: " + string(ca.Fingerprint()) + ", serial: 'AB:CD'}]\n  lockdown: {after: 24h}\n"})
	if r := keelctl("seed", "create", "-f", "host.yaml", "-o", "a.tar"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	archive, err := os.ReadFile("a.tar")
	if err != nil {
		t.Fatal(err)
	}
	signed, err := seed.Sign(archive, func(manifest []byte) ([]byte, error) { return ca.SignSeed(manifest, 7, time.Now()) })
	if err != nil {
		t.Fatal(err)
	}
	write(t, "signed.tar", signed)
	r := keelctl("seed", "show", "signed.tar")
	for _, want := range []string{
		"trusts", "ops until ", ca.Fingerprint().Groups(), "0000000000000000000000000000abcd of " + string(ca.Fingerprint()), "token", "(given)",
		"after: 24h0m0s, 0 administrators known", "signature", ", sequence 7\n",
	} {
		if !strings.Contains(r.out, want) {
			t.Errorf("show lacks %q:\n%s", want, r.out)
		}
	}
	if r := keelctl("seed", "show", "a.tar"); !strings.Contains(r.out, "signature     none\n") && !strings.Contains(r.out, "signature   none\n") {
		t.Errorf("of one that isn't signed:\n%s", r.out)
	}
	for yaml, want := range map[string]string{hostYAML: "nobody, and has no network", hostYAML + "management: {nic: auto}\n": "nobody yet: the host offers a claim"} {
		write(t, "plain.yaml", []byte(yaml))
		if r := keelctl("seed", "create", "-f", "plain.yaml", "-o", "plain.tar"); r.code != 0 {
			t.Fatalf("%+v", r)
		}
		if r := keelctl("seed", "show", "plain.tar"); !strings.Contains(r.out, want) {
			t.Errorf("show lacks %q:\n%s", want, r.out)
		}
	}
	for _, r := range []result{r, keelctl("seed", "show", "signed.tar", "-o", "json")} {
		if r.code != 0 || strings.Contains(r.out+r.errout, token) {
			t.Errorf("shows the token, or fails:\n%+v", r)
		}
	}
}
