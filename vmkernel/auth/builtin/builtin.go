// Package builtin is what an image brings along of trust: when it was built, which operator CAs may sign its seeds, and
// from which sequence on.
//
// It lies in a variable of the program, which tools/mkimage fills in; a boot loader's module or command line could be
// anybody's, while who can change the image has the host anyway. So an image with a CA takes no other seeds than those
// that it has signed, wherever they come from, from the network above all.
//
// The rule: it is one text in one form, and what can't be read trusts nobody: Read's error has to keep a host from taking
// any seed, and from offering a claim. cmd/keel reads it once, at boot.
package builtin

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"keel/vmkernel/auth"
)

// Size is how much room there is, in bytes: enough for eight CAs.
const Size = 8 << 10

// Symbol is the name that the linker gives the variable.
const Symbol = "keel/vmkernel/auth/builtin.section"

// title is the text's first line, and all that stands there before mkimage has filled the rest in. Something has to, or
// the linker would put the variable where the file has no bytes.
const title = "keel image v1\n"

var section = [Size]byte{'k', 'e', 'e', 'l', ' ', 'i', 'm', 'a', 'g', 'e', ' ', 'v', '1', '\n'}

// Trust is what an image says.
type Trust struct {
	Built   time.Time // in whole seconds; zero if mkimage was not asked
	CAs     []*x509.Certificate
	Minimum uint64 // the least sequence of a seed
	Revoked []auth.RevokedCertificate
}

// Read returns what this image says.
func Read() (Trust, error) {
	t, err := Parse(section[:])
	if err != nil {
		return Trust{}, fmt.Errorf("the image is damaged: %w", err)
	}
	return t, nil
}

// SeedRules say which seeds the image takes.
func (t *Trust) SeedRules() auth.SeedRules {
	return auth.SeedRules{CAs: t.CAs, Revoked: t.Revoked, Minimum: t.Minimum}
}

// Extend adds what the image says to what its seed says. A seed's own operator CAs take the place of the image's, so that
// one that was rotated out is gone; a host without any is the image's.
func (t *Trust) Extend(c auth.Config) auth.Config {
	if len(c.CAs) == 0 {
		c.CAs = t.CAs
	}
	c.Revoked = append(c.Revoked[:len(c.Revoked):len(c.Revoked)], t.Revoked...)
	return c
}

// Encode returns the variable's contents.
func (t *Trust) Encode() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(title)
	if !t.Built.IsZero() {
		fmt.Fprintf(&b, "built %s\n", t.Built.UTC().Format(time.RFC3339))
	}
	if t.Minimum != 0 {
		fmt.Fprintf(&b, "minimum %d\n", t.Minimum)
	}
	for _, r := range t.Revoked {
		fmt.Fprintf(&b, "revoked %s %s\n", r.Issuer, r.Serial)
	}
	for _, c := range t.CAs {
		b.Write(auth.CertificatePEM(c))
	}
	if b.Len() > Size {
		return nil, fmt.Errorf("the CAs and what is revoked have %d bytes; an image has room for %d", b.Len(), Size)
	}
	return append(b.Bytes(), make([]byte, Size-b.Len())...), nil
}

var errForm = errors.New("what it says of trust is not in the form that mkimage writes")

// Parse reads the variable's contents, in the one form that Encode writes.
func Parse(contents []byte) (Trust, error) {
	var t Trust
	text, _, _ := bytes.Cut(contents, []byte{0})
	rest, ok := bytes.CutPrefix(text, []byte(title))
	if !ok {
		return Trust{}, errForm
	}
	for len(rest) > 0 && rest[0] != '-' {
		line, after, _ := bytes.Cut(rest, []byte{'\n'})
		rest = after
		if err := t.line(string(line)); err != nil {
			return Trust{}, err
		}
	}
	for len(rest) > 0 {
		block, after := pem.Decode(rest)
		if block == nil {
			return Trust{}, errForm
		}
		ca, err := auth.ParseCA(rest[:len(rest)-len(after)])
		if err != nil {
			return Trust{}, err
		}
		t.CAs = append(t.CAs, ca)
		rest = after
	}
	if again, err := t.Encode(); err != nil || !bytes.Equal(again, contents) {
		return Trust{}, errForm
	}
	return t, nil
}

func (t *Trust) line(s string) (err error) {
	key, value, _ := strings.Cut(s, " ")
	switch key {
	case "built":
		t.Built, err = time.Parse(time.RFC3339, value)
	case "minimum":
		t.Minimum, err = strconv.ParseUint(value, 10, 64)
	case "revoked":
		issuer, serial, _ := strings.Cut(value, " ")
		var r auth.RevokedCertificate
		if r.Issuer, err = auth.ParseFingerprint(issuer); err == nil {
			r.Serial, err = auth.ParseSerial(serial)
		}
		t.Revoked = append(t.Revoked, r)
	default:
		err = errForm
	}
	return err
}
