package e2e

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"keel/test/guest/hostile"
	"keel/test/machine"
	"keel/vmkernel/auth"
	"keel/vmkernel/seed"
)

// TestAnImageWithACATakesOnlyItsSeeds boots one with seeds that its CA has signed, and with others: of those it says why
// it doesn't take them, and starts nothing.
func TestAnImageWithACATakesOnlyItsSeeds(t *testing.T) {
	now := time.Now()
	newCA := func() *auth.CA {
		ca, err := auth.NewCA("ops", now)
		if err != nil {
			t.Fatal(err)
		}
		return ca
	}
	ca, stranger := newCA(), newCA()
	pem := filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, pem, ca.CertificatePEM())
	good, goodKey := newSeeder(t, ca, now)
	gone, goneKey := newSeeder(t, ca, now)
	revoked := filepath.Join(t.TempDir(), "revoked.json")
	writeFile(t, revoked, fmt.Appendf(nil, `[{"issuer":%q,"serial":%q}]`, ca.Fingerprint(), auth.Serial(gone)))
	kernel := machine.BuildImageThat(t, machine.Keel, []string{"-ca", pem, "-minimum", "7", "-revoked", revoked})

	plain := pack(t, []seed.VM{metal("good", "h")}, files(t, fileMB))
	sign := func(by func(manifest []byte) ([]byte, error)) []byte {
		s, err := seed.Sign(plain, by)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	signed := func(by *auth.CA, sequence uint64) []byte {
		return sign(func(manifest []byte) ([]byte, error) { return by.SignSeed(manifest, sequence, now) })
	}
	seeded := func(by *x509.Certificate, key crypto.Signer) []byte {
		return sign(func(manifest []byte) ([]byte, error) { return auth.SignSeed(manifest, by, key, 7, now) })
	}
	for _, c := range []struct {
		name string
		data []byte
		says string // empty: it is taken
	}{
		{"signed", signed(ca, 7), ""},
		{"signed by a key for seeds", seeded(good, goodKey), ""},
		{"signed by one that the image has revoked", seeded(gone, goneKey), `was revoked`},
		{"unsigned", plain, `the seed is not signed`},
		{"foreign", signed(stranger, 7), `this host takes those of`},
		{"older", signed(ca, 6), `the seed is too old: its sequence is 6`},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "seed.tar")
			writeFile(t, path, c.data)
			r := run{machine.Boot(t, machine.QEMU{Kernel: kernel, Seed: path, CPUs: 1, MemMiB: 256}, 30*time.Second), t}
			if c.says == "" {
				r.end()
				r.wantReasons(map[string]string{"good": exitCode(hostile.ExitHello)})
				return
			}
			if _, err := r.WaitFor(t.Context(), regexp.MustCompile(`^level=ERROR msg="seed refused" .*`+c.says)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(300 * time.Millisecond)
			if n := len(r.byVM(startedLine)); n != 0 {
				t.Errorf("%d VMs were started", n)
			}
			r.Stop()
		})
	}
}

// newSeeder makes a key that may sign seeds, and its certificate.
func newSeeder(t *testing.T, ca *auth.CA, now time.Time) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := auth.NewRequest(key, "builder")
	if err != nil {
		t.Fatal(err)
	}
	request, err := auth.ParseRequest(text)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ca.SignSeeder(request, 0, now)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}
