package seed

import (
	"time"

	"keel/vmkernel/auth"
)

// Trust says who may manage the host: see package auth, which obeys it. The zero value trusts nobody yet.
type Trust struct {
	OperatorCAs []string                  `json:"operatorCAs,omitempty"` // certificates in PEM, one each
	Revoked     []auth.RevokedCertificate `json:"revoked,omitempty"`
	Token       string                    `json:"token,omitempty"` // a secret: it isn't shown
	Lockdown    *HostLockdown             `json:"lockdown,omitempty"`
}

// HostLockdown has the host take no claims and no new administrators; auth.Lockdown says what that means.
type HostLockdown struct {
	After          After              `json:"after"`
	Administrators []auth.Fingerprint `json:"administrators,omitempty"` // of their keys
}

// After is the uptime after which a host is locked down. It is text: "24h", or "now" for 0.
type After time.Duration

const afterNow = "now"

func (a After) String() string {
	if a == 0 {
		return afterNow
	}
	return time.Duration(a).String()
}

func (a After) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// trust decodes the key `trust`.
func (d *Decoder) trust(host *object) (t Trust) {
	o := host.group("trust")
	seen := map[auth.Fingerprint]bool{}
	for _, n := range o.list("operatorCAs", auth.MaxCAs) {
		text, ok := d.text(n)
		if !ok {
			continue
		}
		if d.Text != nil {
			var err error
			if text, err = d.Text(n); err != nil {
				d.fail(n, "%s", err)
				continue
			}
		}
		ca, err := auth.ParseCA([]byte(text))
		if err != nil {
			d.fail(n, "%s", err)
			continue
		}
		if f := auth.FingerprintOf(ca); seen[f] {
			d.fail(n, "the CA with the key %s is there twice", f)
		} else {
			seen[f] = true
			t.OperatorCAs = append(t.OperatorCAs, string(auth.CertificatePEM(ca)))
		}
	}
	for _, n := range o.list("revoked", auth.MaxRevoked) {
		t.Revoked = append(t.Revoked, d.revoked(n))
	}
	if token := o.get("token"); token != nil {
		if text, ok := d.text(token); ok {
			if err := auth.CheckToken(text); err != nil {
				d.fail(token, "%s", err) // which doesn't repeat it
			}
			t.Token = text
		}
	}
	t.Lockdown = d.lockdown(o)
	if at := o.get("lockdown"); at != nil && o.get("operatorCAs") == nil {
		d.fail(at, "would keep everybody out of a host that trusts nobody yet: give trust.operatorCAs as well")
	}
	o.done()
	return t
}

func (d *Decoder) revoked(n *Node) (r auth.RevokedCertificate) {
	o := d.object(n)
	issuer := o.require("issuer", "the fingerprint of the operator CA's key, as `keelctl cert list` shows it")
	if _, ok := d.text(issuer); ok {
		r.Issuer = d.fingerprint(issuer)
	}
	serial := o.require("serial", "the certificate's serial number in hexadecimal")
	if text, ok := d.text(serial); ok {
		var err error
		if r.Serial, err = auth.ParseSerial(text); err != nil {
			d.fail(serial, "%s", err)
		}
	}
	o.done()
	return r
}

func (d *Decoder) lockdown(trust *object) *HostLockdown {
	n := trust.get("lockdown")
	if n == nil {
		return nil
	}
	o := d.object(n)
	l := &HostLockdown{}
	if after := o.require("after", "a time such as 24h, or now"); after != nil && !(after.Kind == String && after.Text == afterNow) {
		l.After = After(d.duration(after, auth.MaxLockAfter))
	}
	for _, n := range o.list("administrators", auth.MaxAdmins) {
		l.Administrators = append(l.Administrators, d.fingerprint(n))
	}
	if l.After == 0 && len(l.Administrators) == 0 && !o.bad {
		d.fail(n, "would know no administrator: give administrators, the fingerprints of their keys, or a time for them to come in")
	}
	o.done()
	return l
}

// fingerprint reads a key's fingerprint.
func (d *Decoder) fingerprint(n *Node) auth.Fingerprint {
	text, ok := d.text(n)
	if !ok {
		return ""
	}
	f, err := auth.ParseFingerprint(text)
	if err != nil {
		d.fail(n, "%s", err)
	}
	return f
}

// Config is the trust in the form that auth.NewStore takes; clocks and Recover are for the caller to add. t has been
// decoded, so that there is nothing wrong with it.
func (t *Trust) Config() (auth.Config, error) {
	c := auth.Config{Revoked: t.Revoked, Token: t.Token}
	for _, text := range t.OperatorCAs {
		ca, err := auth.ParseCA([]byte(text))
		if err != nil {
			return auth.Config{}, err
		}
		c.CAs = append(c.CAs, ca)
	}
	if l := t.Lockdown; l != nil {
		c.Lockdown = auth.Lockdown{On: true, After: time.Duration(l.After), Administrators: l.Administrators}
	}
	return c, nil
}
