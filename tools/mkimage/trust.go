package main

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"time"

	"keel/vmkernel/auth"
	"keel/vmkernel/auth/builtin"
)

// embed writes what the image trusts into the variable that package builtin keeps for it.
func (img *image) embed(raw []byte, trust *builtin.Trust) error {
	contents, err := trust.Encode()
	if err != nil {
		return err
	}
	f, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	syms, err := f.Symbols()
	if err != nil {
		return err
	}
	for _, s := range syms {
		if s.Name != builtin.Symbol {
			continue
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_LOAD && s.Value >= p.Vaddr && s.Value+s.Size <= p.Vaddr+p.Filesz && s.Size == builtin.Size {
				place := img.bytes[p.Off+s.Value-p.Vaddr:][:builtin.Size]
				if was, err := builtin.Parse(place); err != nil || !was.Built.IsZero() || len(was.CAs) > 0 || len(was.Revoked) > 0 {
					return fmt.Errorf("%s has something else in it than the linker puts there (%v)", builtin.Symbol, err)
				}
				copy(place, contents)
				return nil
			}
		}
		return fmt.Errorf("%s at %#x, of %d bytes, doesn't lie in the file: the linker's layout has changed", s.Name, s.Value, s.Size)
	}
	if len(trust.CAs) == 0 && len(trust.Revoked) == 0 { // a test's kernel, which takes no seed
		return nil
	}
	return fmt.Errorf("has no %s: there is no room for what the image trusts", builtin.Symbol)
}

// readCAs reads the operator CAs that are to be embedded.
func readCAs(trust *builtin.Trust, names []string) error {
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		ca, err := auth.ParseCA(text)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		trust.CAs = append(trust.CAs, ca)
	}
	return nil
}

// readRevoked reads lists of revoked certificates, each as a seed's trust.revoked has them.
func readRevoked(trust *builtin.Trust, names []string) error {
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		var list []auth.RevokedCertificate
		if err := d.Decode(&list); err != nil {
			return fmt.Errorf("%s is no list of {\"issuer\": …, \"serial\": …}: %w", name, err)
		}
		for i, r := range list {
			if r.Issuer, err = auth.ParseFingerprint(string(r.Issuer)); err == nil {
				r.Serial, err = auth.ParseSerial(r.Serial)
			}
			if err != nil {
				return fmt.Errorf("%s: number %d: %w", name, i+1, err)
			}
			if !slices.Contains(trust.Revoked, r) {
				trust.Revoked = append(trust.Revoked, r)
			}
		}
	}
	return nil
}

// builtAt is when a program was built, as well as that can be said without giving equal inputs different images:
// SOURCE_DATE_EPOCH (reproducible-builds.org), else the time of the commit, else the file's own.
func builtAt(epoch string, raw []byte, info fs.FileInfo) (time.Time, error) {
	if epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil || seconds <= 0 {
			return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q: give the seconds since 1970", epoch)
		}
		return time.Unix(seconds, 0).UTC(), nil
	}
	if built, err := buildinfo.Read(bytes.NewReader(raw)); err == nil {
		for _, s := range built.Settings {
			if s.Key != "vcs.time" {
				continue
			}
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
				return t.UTC(), nil
			}
		}
	}
	return info.ModTime().UTC().Truncate(time.Second), nil
}
