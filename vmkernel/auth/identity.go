package auth

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Identity is someone whom a certificate has shown to be who he says he is.
type Identity struct {
	Name string
	Grant
	Serial    string      // of the certificate, in hexadecimal
	Issuer    Fingerprint // of the operator CA's key
	Key       Fingerprint // of his own
	NotBefore time.Time
	NotAfter  time.Time
}

// String is the name and the role, for logs.
func (id Identity) String() string { return id.Name + " (" + id.Grant.String() + ")" }

// MaxName is how long a name may be, in bytes.
const MaxName = 64

// CheckName reports why a text can't be the name of someone or of a CA.
func CheckName(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("the name is empty: give one")
	case len(s) > MaxName:
		return fmt.Errorf("the name %s has %d bytes; at most %d are possible", quote(s), len(s), MaxName)
	case !printable(s) || strings.TrimSpace(s) != s:
		return fmt.Errorf("the name %s has unprintable characters, or spaces around it", quote(s))
	}
	return nil
}

// IdentityOf reads what a user's certificate says, without asking whether anybody should believe it: keelctl shows its
// own by it, and a Store calls it for a certificate that a CA of its own has signed. The error is a *Refusal.
func IdentityOf(c *x509.Certificate) (Identity, error) {
	if err := checkKey(c.PublicKey); err != nil {
		return Identity{}, refuse(BadKey, "the certificate's key %s", err)
	}
	if c.IsCA {
		return Identity{}, refuse(BadPurpose, "the certificate is a CA's, and not a user's")
	}
	if !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		return Identity{}, refuse(BadPurpose, "the certificate is not for clients: it lacks the extended key usage clientAuth")
	}
	if err := CheckName(c.Subject.CommonName); err != nil {
		return Identity{}, refuse(Malformed, "the certificate's common name: %s", err)
	}
	g, err := grantOf(c)
	if err != nil {
		return Identity{}, err
	}
	return Identity{
		Name:      c.Subject.CommonName,
		Grant:     g,
		Serial:    Serial(c),
		Key:       FingerprintOf(c),
		NotBefore: c.NotBefore,
		NotAfter:  c.NotAfter,
	}, nil
}

// ours lists the URIs of a certificate that are of this package's scheme.
func ours(c *x509.Certificate) (list []string) {
	for _, u := range c.URIs {
		if s := u.String(); strings.HasPrefix(strings.ToLower(s), scheme) {
			list = append(list, s)
		}
	}
	return list
}

// grantOf finds the one grant among a certificate's URIs. Others' URIs say nothing to us; a second of ours is refused,
// whatever it says.
func grantOf(c *x509.Certificate) (Grant, error) {
	list := ours(c)
	switch len(list) {
	case 0:
		return Grant{}, refuse(NoRole, "the certificate has no role: have it signed by `keelctl cert sign --role`")
	case 1:
	default:
		return Grant{}, refuse(NoRole, "the certificate has %d roles (%s, ...): a certificate has one", len(list), quote(list[0]))
	}
	g, err := ParseGrant(list[0])
	if err != nil {
		return Grant{}, refuse(NoRole, "the certificate's role: %s", err)
	}
	return g, nil
}

// Serial returns a certificate's serial number in hexadecimal, as Revoked has it.
func Serial(c *x509.Certificate) string { return fmt.Sprintf("%032x", c.SerialNumber) }
