package e2e

import (
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
	kernel := machine.BuildImageThat(t, "./cmd/keel", []string{"-ca", pem, "-minimum", "7"})

	plain := pack(t, []seed.VM{metal("good", "h")}, files(t, fileMB))
	signed := func(by *auth.CA, sequence uint64) []byte {
		s, err := seed.Sign(plain, func(manifest []byte) ([]byte, error) { return by.SignSeed(manifest, sequence, now) })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, c := range []struct {
		name string
		data []byte
		says string // empty: it is taken
	}{
		{"signed", signed(ca, 7), ""},
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
