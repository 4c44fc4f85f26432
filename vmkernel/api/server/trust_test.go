package server

import (
	"crypto/x509"
	"testing"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/api/apitest"
	"keel/vmkernel/auth"
)

// clockedHost is a host with a clock of its own.
type clockedHost struct {
	*apitest.Host
	source string
	now    time.Time
}

func (h *clockedHost) Time() api.HostTime { return api.HostTime{Now: h.now, Source: h.source} }

func (h *clockedHost) SetTime(in api.HostTimeSet) error {
	h.now = *in.Now
	return nil
}

func TestAClaimSetsAClockThatNothingElseHasSet(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	for _, c := range []struct {
		source string
		off    time.Duration
		set    bool
	}{
		{"rtc", 30 * 365 * 24 * time.Hour, true},
		{"build", -1000 * time.Hour, true},
		{"seed", -1000 * time.Hour, true},
		{"rtc", 20 * time.Second, false},
		{"sntp", 1000 * time.Hour, false},
		{"set", 1000 * time.Hour, false},
	} {
		host := &clockedHost{Host: &apitest.Host{}, source: c.source, now: now.Add(c.off)}
		r := newRig(t, func(a *auth.Config, config *Config) { a.CAs, config.Host = nil, host })
		claim, err := auth.NewClaim(r.Trust.ClaimState().Code, r.server.Key.Fingerprint(), r.ca.Certificate, now)
		if err != nil {
			t.Fatal(err)
		}
		body := api.Claim(claim)
		(&caller{rig: r, client: r.clientOf(nil)}).call("POST", "/v1/claim", &body).want(200)
		if got := host.now.Equal(now); got != c.set {
			t.Errorf("%s, off by %s: the clock is %s", c.source, c.off, host.now)
		}
	}
}

// TestNobodyThrowsHimselfOut has an administrator revoke what he came with, and then something else.
func TestNobodyThrowsHimselfOut(t *testing.T) {
	other, err := auth.NewCA("other", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(a *auth.Config, _ *Config) { a.CAs = append([]*x509.Certificate{other.Certificate}, a.CAs...) })
	own := r.user("anna", auth.Admin, nil)
	anna := &caller{rig: r, client: r.clientOf(own)}
	bob := r.user("bob", auth.Viewer, nil)
	revocation := func(c *x509.Certificate) *api.Revocation {
		return &api.Revocation{Issuer: string(r.ca.Fingerprint()), Serial: auth.Serial(c)}
	}
	anna.call("POST", "/v1/trust/revocations", revocation(own.Leaf)).want(409, api.CodeConflict)
	anna.call("DELETE", "/v1/trust/cas/"+string(r.ca.Fingerprint()), nil).want(409, api.CodeConflict)
	anna.call("POST", "/v1/trust/revocations", revocation(bob.Leaf)).want(200)
	anna.call("DELETE", "/v1/trust/cas/"+string(other.Fingerprint()), nil).want(200)
	if _, err := (&caller{rig: r, client: r.clientOf(bob)}).do("GET", "/v1/version", nil); err == nil {
		t.Error("bob comes in")
	}
}

// TestRecoverAccessHelps against what keeps all administrators out, the host's clock or the end of their CA.
func TestRecoverAccessHelps(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	expired, err := auth.NewCA("expired", now.Add(-auth.CALife-48*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		clock time.Time
		cas   []*x509.Certificate
		same  bool // the claim is for the CA that the host trusts already
	}{
		"a clock years ahead": {clock: now.Add(30 * 365 * 24 * time.Hour), same: true},
		"an expired CA":       {clock: now, cas: []*x509.Certificate{expired.Certificate}},
		"a lost key of a CA":  {clock: now, cas: []*x509.Certificate{must(auth.NewCA("lost", now)).Certificate}},
	} {
		host := &clockedHost{Host: &apitest.Host{}, source: "rtc", now: c.clock}
		r := newRig(t, func(a *auth.Config, config *Config) {
			if a.Recover, a.Clock, config.Host = true, func() time.Time { return host.now }, host; !c.same {
				a.CAs = c.cas
			}
		})
		anna := r.user("anna", auth.Admin, nil)
		if _, err := (&caller{rig: r, client: r.clientOf(anna)}).do("GET", "/v1/trust", nil); err == nil {
			t.Fatalf("%s: keeps nobody out", name)
		}
		claim, err := auth.NewClaim(r.Trust.ClaimState().Code, r.server.Key.Fingerprint(), r.ca.Certificate, now)
		if err != nil {
			t.Fatal(err)
		}
		body := api.Claim(claim)
		(&caller{rig: r, client: r.clientOf(nil)}).call("POST", "/v1/claim", &body).want(200)
		(&caller{rig: r, client: r.clientOf(anna)}).call("GET", "/v1/trust", nil).want(200)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
