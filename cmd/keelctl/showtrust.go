package main

import (
	"time"

	"keel/vmkernel/auth"
	"keel/vmkernel/seed"
)

// showTrust says whom the host trusts. The token is a secret, and not shown.
func showTrust(row func(name, format string, args ...any), h *seed.Host) {
	t := &h.Trust
	switch {
	case len(t.OperatorCAs) > 0:
	case h.Management.NIC == "":
		row("trusts", "nobody, and has no network to be reached by")
	default:
		row("trusts", "nobody yet: the host offers a claim")
	}
	for _, text := range t.OperatorCAs {
		if ca, err := auth.ParseCA([]byte(text)); err == nil { // the decoder has seen to it
			row("trusts", "%s until %s", ca.Subject.CommonName, ca.NotAfter.Format(time.DateOnly))
			row("", "%s", auth.FingerprintOf(ca).Groups())
		}
	}
	for _, r := range t.Revoked {
		row("revoked", "%s of %s", r.Serial, r.Issuer)
	}
	if t.Token != "" {
		row("token", "(given)")
	}
	if l := t.Lockdown; l != nil {
		row("lockdown", "after: %s, %s known", l.After, count(len(l.Administrators), "administrator"))
		for _, f := range l.Administrators {
			row("", "%s", f)
		}
	}
}

// showSignature says who signed the seed, whether or not a host would believe it.
func showSignature(row func(name, format string, args ...any), s *seed.Seed) {
	rules := auth.SeedRules{}
	signature, err := rules.Check(s.Manifest, s.Signature)
	switch {
	case err != nil:
		row("signature", "refused: %s", err)
	case signature == nil:
		row("signature", "none")
	default:
		row("signature", "%s at %s, sequence %d", signature.Signer.Subject.CommonName, signature.Time.Format(time.RFC3339), signature.Sequence)
		row("", "%s", auth.FingerprintOf(signature.Signer).Groups())
	}
}
