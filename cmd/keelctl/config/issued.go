package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"keel/cmd/keelctl/exit"
)

// Issued is a certificate that the context's CA has signed.
type Issued struct {
	Serial   string            `yaml:"serial" json:"serial"`
	Name     string            `yaml:"name" json:"name"`
	Key      string            `yaml:"key,omitempty" json:"key,omitempty"` // its fingerprint
	Role     string            `yaml:"role" json:"role"`
	Scope    map[string]string `yaml:"scope,omitempty" json:"scope,omitempty"`
	Signed   time.Time         `yaml:"signed" json:"signed"`
	NotAfter time.Time         `yaml:"notAfter" json:"notAfter"`
	Revoked  time.Time         `yaml:"revoked,omitempty" json:"revoked,omitzero"`
	Reason   string            `yaml:"reason,omitempty" json:"reason,omitempty"`
}

// Issued returns the certificates that the CA has signed, the oldest first.
func (c *Context) Issued() ([]Issued, error) {
	text, err := os.ReadFile(c.IssuedFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := checkWritable(c.IssuedFile()); err != nil {
		return nil, err
	}
	var list []Issued
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("%s: %s", c.IssuedFile(), strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return list, nil
}

// RecordIssued adds a certificate.
func (c *Context) RecordIssued(i Issued) error {
	list, err := c.Issued()
	if err != nil {
		return err
	}
	return c.saveIssued(append(list, i))
}

// RecordRevoked marks a certificate as revoked, and adds it if it isn't there.
func (c *Context) RecordRevoked(serial, reason string, at time.Time) error {
	list, err := c.Issued()
	if err != nil {
		return err
	}
	for i := range list {
		if list[i].Serial == serial {
			if !list[i].Revoked.IsZero() {
				return nil
			}
			list[i].Revoked, list[i].Reason = at.UTC().Truncate(time.Second), reason
			return c.saveIssued(list)
		}
	}
	return c.saveIssued(append(list, Issued{Serial: serial, Revoked: at.UTC().Truncate(time.Second), Reason: reason}))
}

func (c *Context) saveIssued(list []Issued) error {
	text, err := yaml.Marshal(list)
	if err != nil {
		return err
	}
	return Write(c.IssuedFile(), text)
}

// FindIssued returns the certificates of a user that are valid at this time, or the one of a serial number.
func FindIssued(list []Issued, nameOrSerial string, at time.Time) ([]Issued, error) {
	var found []Issued
	for _, i := range list {
		if i.Serial == nameOrSerial || i.Name == nameOrSerial && i.Revoked.IsZero() && at.Before(i.NotAfter) {
			found = append(found, i)
		}
	}
	if len(found) == 0 {
		return nil, exit.Errorf(exit.NotFound, "no certificate that was signed here, is valid and isn't revoked has the name or the serial number %q: see `keelctl cert list`", nameOrSerial)
	}
	return found, nil
}
