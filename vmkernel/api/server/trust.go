package server

import (
	"math"
	"sync/atomic"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/audit"
	"keel/vmkernel/auth"
)

func getTrust(c *call) (any, error) {
	s := c.s
	out := api.Trust{}
	for _, ca := range s.Trust.CAs() {
		out.CAs = append(out.CAs, api.CA{Name: ca.Subject.CommonName, Fingerprint: string(auth.FingerprintOf(ca)), NotAfter: ca.NotAfter.UTC()})
	}
	for _, r := range s.Trust.Revocations() {
		out.Revocations = append(out.Revocations, api.Revocation{Issuer: string(r.Issuer), Serial: r.Serial})
	}
	lock := s.Trust.Lockdown()
	out.Lockdown = api.Lockdown{Locked: lock.Locked, Administrators: lock.Admins}
	if lock.On && !lock.Locked {
		out.Lockdown.At = s.Now().Add(lock.In).UTC().Truncate(time.Second)
	}
	claim := s.Trust.ClaimState()
	out.Claim.Open = claim.Open
	if claim.Open && claim.Ends > 0 {
		out.Claim.Until = s.Now().Add(claim.Ends).UTC().Truncate(time.Second)
	}
	shown, err := s.Key.Certificate(nil)
	if err != nil {
		return nil, err
	}
	request, err := s.Key.Request()
	if err != nil {
		return nil, err
	}
	out.Host = api.HostIdentity{Fingerprint: string(s.Key.Fingerprint()), Certificate: string(auth.CertificatePEM(shown.Leaf)), Request: string(request),
		SignedBy: s.Key.SignedBy(), NotAfter: shown.Leaf.NotAfter.UTC(), Kept: s.Key.KeepsKey()}
	return out, nil
}

// changed answers a change of what the host trusts, and tells of it.
func (c *call) changed(what string) (any, error) {
	c.s.hostEvent("trust."+what, "", map[string]string{"by": c.id.Name})
	return getTrust(c)
}

func revoke(c *call) (any, error) {
	in := c.in.(*api.Revocation)
	if serial, err := auth.ParseSerial(in.Serial); err == nil && serial == c.id.Serial && in.Issuer == string(c.id.Issuer) {
		return nil, failf(api.CodeConflict, "this is the certificate that you came with: come with another to revoke it")
	}
	if err := c.s.Trust.Revoke(auth.RevokedCertificate{Issuer: auth.Fingerprint(in.Issuer), Serial: in.Serial}); err != nil {
		return nil, failf(api.CodeInvalid, "%s", err)
	}
	return c.changed("revoked")
}

func trustCA(c *call) (any, error) {
	ca, err := auth.ParseCA([]byte(c.in.(*api.NewCA).Certificate))
	if err != nil {
		return nil, failf(api.CodeInvalid, "certificate: %s", err)
	}
	if now := c.s.Now(); now.Before(ca.NotBefore) || now.After(ca.NotAfter) {
		return nil, failf(api.CodeInvalid, "certificate: the CA is valid from %s to %s, and the host's clock says %s", stamp(ca.NotBefore), stamp(ca.NotAfter), stamp(now))
	}
	if err := c.s.Trust.Trust(ca); err != nil {
		return nil, failf(api.CodeConflict, "%s", err)
	}
	return c.changed("trusted")
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func distrustCA(c *call) (any, error) {
	f, err := auth.ParseFingerprint(c.variable("ca"))
	if err != nil {
		return nil, failf(api.CodeInvalid, "%s", err)
	}
	known := false
	for _, ca := range c.s.Trust.CAs() {
		known = known || auth.FingerprintOf(ca) == f
	}
	if !known {
		return nil, failf(api.CodeNotFound, "the host trusts no operator CA with the fingerprint %s", f)
	}
	if f == c.id.Issuer {
		return nil, failf(api.CodeConflict, "your own certificate is of this CA: come with one of another")
	}
	if err := c.s.Trust.Distrust(f); err != nil {
		return nil, failf(api.CodeConflict, "%s", err)
	}
	return c.changed("distrusted")
}

func lockDown(c *call) (any, error) {
	if err := c.s.Trust.Lock(c.duration("after", 0, math.MaxInt64)); err != nil {
		return nil, failf(api.CodeConflict, "%s", err)
	}
	return c.changed("lockdown")
}

func proveHost(c *call) (any, error) {
	proof, err := c.s.Trust.Prove(c.s.Key.Fingerprint(), c.in.(*api.Nonce).Nonce)
	if err != nil {
		return nil, failf(api.CodeUnavailable, "%s", err)
	}
	return api.Proof{Proof: proof}, nil
}

func setHostCertificate(c *call) (any, error) {
	if err := c.s.Key.Install([]byte(c.in.(*api.HostCertificate).Certificate), c.s.Trust, c.s.Now()); err != nil {
		return nil, failf(api.CodeInvalid, "%s", err)
	}
	return c.changed("host-certificate")
}

// claimHost is the one thing that a stranger can do.
func claimHost(c *call) (any, error) {
	if atomic.AddInt32(&c.peer.Claims, 1) > auth.MaxTries {
		return nil, failf(api.CodeTooMany, "this connection has tried %d claims: try again over another", auth.MaxTries)
	}
	r := auth.ClaimRequest(*c.in.(*api.Claim))
	ca, answer, err := c.s.Trust.Claim(r, c.s.Key.Fingerprint(), c.peer.Source.Addr())
	switch e := asError(err); {
	case err == nil:
	case e.Code == api.CodeInternal: // the lock's own words, which hold nothing of the host's
		c.s.Audit.Refuse(c.peer.Source.String(), "claim")
		return nil, failf(api.CodeDenied, "%s", err)
	default:
		return nil, err
	}
	c.s.Audit.Event(audit.Entry{From: c.peer.Source.String(), Action: "claim.taken", On: ca.Subject.CommonName, Cause: c.log, Detail: string(auth.FingerprintOf(ca))})
	c.s.hostEvent("trust.claimed", "", map[string]string{"ca": ca.Subject.CommonName, "from": c.peer.Source.Addr().String()})
	c.s.Log.Warn("host claimed", "ca", ca.Subject.CommonName, "fingerprint", string(auth.FingerprintOf(ca)), "from", c.peer.Source.Addr().String())
	c.s.clockByClaim(r.Time)
	return api.Claimed{Proof: answer.Proof}, nil
}

// claimSkew is by how much the host's clock may differ from a claimer's.
const claimSkew = time.Minute

// clockByClaim sets a clock that neither a server nor an administrator has set by that of who has claimed the host: the
// certificates that he makes are valid by his.
func (s *Server) clockByClaim(claimed time.Time) {
	was := s.Host.Time()
	if was.Source == "sntp" || was.Source == "set" || claimed.Sub(was.Now).Abs() <= claimSkew {
		return
	}
	if err := s.Host.SetTime(api.HostTimeSet{Now: &claimed}); err != nil {
		s.Log.Warn("the clock is not the claimer's", "error", err)
		return
	}
	s.hostEvent("host.time", "", map[string]string{"by": "claim"})
}
