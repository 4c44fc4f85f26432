package main

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/auth"
	"keel/vmkernel/auth/builtin"
)

// section returns the contents of builtin's variable in an image of raw.
func section(t *testing.T, raw, image []byte) []byte {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	syms, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range syms {
		if s.Name == builtin.Symbol {
			for _, p := range f.Progs {
				if p.Type == elf.PT_LOAD && s.Value >= p.Vaddr && s.Value < p.Vaddr+p.Filesz {
					return image[p.Off+s.Value-p.Vaddr:][:s.Size]
				}
			}
		}
	}
	t.Fatal("the program has no such variable")
	return nil
}

func TestImageBringsItsTrustAlong(t *testing.T) {
	ca, err := auth.NewCA("ops", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	in, out, pem := filepath.Join(dir, "raw"), filepath.Join(dir, "elf"), filepath.Join(dir, "ca.pem")
	revoked, unreadable := filepath.Join(dir, "revoked.json"), filepath.Join(dir, "unreadable.json")
	gone := auth.RevokedCertificate{Issuer: ca.Fingerprint(), Serial: "0000000000000000000000000000abcd"}
	raw := buildKernel(t, goodFlags)
	for name, data := range map[string][]byte{in: raw, pem: ca.CertificatePEM(),
		revoked:    fmt.Appendf(nil, `[{"issuer":%q,"serial":"AB:CD"},{"issuer":%q,"serial":"abcd"}]`, gone.Issuer, gone.Issuer),
		unreadable: fmt.Appendf(nil, `[{"issuer":%q,"serial":"AB:CD"},{"issuer":"SHA256:x","serial":"abcd"}]`, gone.Issuer)} {
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1795867200")
	image := func(o options) []byte {
		t.Helper()
		o.out, o.symbol = out, entrySymbol
		if err := run(in, o); err != nil {
			t.Fatal(err)
		}
		image, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return image
	}
	plain, trusting := image(options{}), image(options{cas: []string{pem}, minimum: 7, revoked: []string{revoked}})
	for _, c := range []struct {
		image   []byte
		cas     int
		minimum uint64
		revoked []auth.RevokedCertificate
	}{{plain, 0, 0, nil}, {trusting, 1, 7, []auth.RevokedCertificate{gone}}} {
		trust, err := builtin.Parse(section(t, raw, c.image))
		if err != nil || len(trust.CAs) != c.cas || trust.Minimum != c.minimum || !slices.Equal(trust.Revoked, c.revoked) || trust.Built.Unix() != 1795867200 {
			t.Errorf("%+v, %v", trust, err)
		}
	}
	differ := 0
	clear(section(t, raw, plain))
	clear(section(t, raw, trusting))
	for i := range plain {
		if plain[i] != trusting[i] {
			differ++
		}
	}
	if differ > 0 || len(plain) != len(trusting) {
		t.Errorf("%d other bytes have changed", differ)
	}

	if err := run(in, options{out: out, symbol: entrySymbol, cas: []string{in}}); err == nil || !strings.Contains(err.Error(), in) {
		t.Errorf("a CA that is none: %v", err)
	}
	if err := run(in, options{out: out, symbol: entrySymbol, revoked: []string{unreadable}}); err == nil || !strings.Contains(err.Error(), unreadable+": number 2") {
		t.Errorf("a revocation that is none: %v", err)
	}
	if err := os.WriteFile(in, bytes.ReplaceAll(raw, []byte("builtin.section"), []byte("builtin.sektion")), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(in, options{out: out, symbol: entrySymbol, cas: []string{pem}}); err == nil || !strings.Contains(err.Error(), builtin.Symbol) {
		t.Errorf("a program without room for it: %v", err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if err := run(in, options{out: out, symbol: entrySymbol}); err == nil || !strings.Contains(err.Error(), "yesterday") {
		t.Errorf("a time that is none: %v", err)
	}
}
