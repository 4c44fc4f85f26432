package server

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/api/apitest"
	"keel/vmkernel/api/door"
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

// TestAnotherCAIsTrustedUntilLockdown adds a CA, whose administrator comes in, and then locks the host down.
func TestAnotherCAIsTrustedUntilLockdown(t *testing.T) {
	now := time.Now()
	next, late, past := must(auth.NewCA("next", now)), must(auth.NewCA("late", now)), must(auth.NewCA("past", now.Add(-auth.CALife-48*time.Hour)))
	r := newRig(t)
	anna := r.as(auth.Admin)
	give := func(ca *auth.CA) answer {
		t.Helper()
		return anna.call("POST", "/v1/trust/cas", &api.NewCA{Certificate: string(ca.CertificatePEM())})
	}
	var trust api.Trust
	give(next).want(200).into(&trust)
	if len(trust.CAs) != 2 || trust.CAs[1].Fingerprint != string(next.Fingerprint()) {
		t.Errorf("%+v", trust.CAs)
	}
	bert := &caller{rig: r, client: r.clientOf(apitest.User(t, next, "bert", auth.Grant{Role: auth.Admin}, 0, now))}
	bert.call("GET", "/v1/trust", nil).want(200)
	give(past).want(400, api.CodeInvalid)
	anna.call("POST", "/v1/trust/cas", &api.NewCA{Certificate: string(auth.CertificatePEM(r.user("x", auth.Admin, nil).Leaf))}).want(400, api.CodeInvalid)
	anna.call("POST", "/v1/trust/cas", &api.NewCA{Certificate: "x"}).want(400, api.CodeInvalid)

	anna.call("POST", "/v1/trust/lockdown?after=2h", nil).want(200).into(&trust)
	if left := time.Until(trust.Lockdown.At); trust.Lockdown.Locked || left < 2*time.Hour-time.Minute || left > 2*time.Hour {
		t.Errorf("%+v", trust.Lockdown)
	}
	anna.call("POST", "/v1/trust/lockdown?after=3h", nil).want(409, api.CodeConflict)
	anna.call("POST", "/v1/trust/lockdown?after=soon", nil).want(400, api.CodeInvalid)
	anna.call("POST", "/v1/trust/lockdown", nil).want(200).into(&trust)
	if !trust.Lockdown.Locked {
		t.Errorf("%+v", trust.Lockdown)
	}
	if e := give(late).want(409, api.CodeConflict).error(); !strings.Contains(e.Message, "Recover access") {
		t.Errorf("%s", e.Message)
	}
	bert.call("GET", "/v1/trust", nil).want(200).into(&trust) // who was known before
	if len(trust.CAs) != 2 {
		t.Errorf("%+v", trust.CAs)
	}
	var what []string
	for _, m := range r.records() {
		what = append(what, fmt.Sprint(m["action"], m["on"], m["detail"]))
	}
	for _, want := range []string{"/v1/trust/cas" + string(next.Fingerprint()) + "next", "/v1/trust/lockdown<nil>after=2h"} {
		if !slices.Contains(what, want) {
			t.Errorf("the log lacks %q: %q", want, what)
		}
	}
}

// TestTimeThatLocksTheHostIsRecorded has a lockdown come, and with it a claim's end, without anybody asking.
func TestTimeThatLocksTheHostIsRecorded(t *testing.T) {
	r := newRig(t, quick, func(a *auth.Config, _ *Config) {
		a.CAs, a.Lockdown = nil, auth.Lockdown{On: true, After: time.Second}
	})
	said := func(action string) int {
		n := 0
		for _, m := range r.records() {
			if m["action"] == action {
				n++
			}
		}
		return n
	}
	if said("trust.locked") != 0 {
		t.Error("before it was")
	}
	eventually(t, "the log says so", func() bool { return said("trust.locked") == 1 && said("claim.closed") == 1 })
	time.Sleep(100 * time.Millisecond)
	if n := said("trust.locked"); n != 1 {
		t.Errorf("%d times", n)
	}
}

// TestACAThatEndsPutsItsUsersOut has the clock pass a CA's end while its users are in, one of them with a certificate that is
// valid for longer.
func TestACAThatEndsPutsItsUsersOut(t *testing.T) {
	var off atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(off.Load())) }
	r := newRig(t, quick, func(a *auth.Config, c *Config) {
		c.times.idle, c.times.header = time.Minute, time.Minute
		a.Clock, c.Now = clock, clock
		a.CAs = append(a.CAs, must(auth.NewCA("next", time.Now().Add(auth.WarnBefore*2))).Certificate)
	})
	var h api.Host
	r.as(auth.Viewer).call("GET", "/v1/host", nil).want(200).into(&h)
	if h.Health.State != "ok" {
		t.Errorf("%+v", h.Health)
	}
	off.Store(int64(auth.CALife - 24*time.Hour))
	anna := &caller{rig: r, client: r.clientOf(apitest.User(t, r.ca, "anna", auth.Grant{Role: auth.Admin}, 0, clock()))}
	anna.call("GET", "/v1/host", nil).want(200).into(&h)
	if len(h.Health.Problems) != 1 || !strings.Contains(h.Health.Problems[0], `"operators" ends `) {
		t.Errorf("%q", h.Health.Problems)
	}
	conn := r.dial(apitest.User(t, r.ca, "bert", auth.Grant{Role: auth.Viewer}, 0, clock()), "http/1.1")
	eventually(t, "it is open", func() bool { return r.callers("bert") == 1 })
	off.Add(int64(25 * time.Hour))
	eventually(t, "it is ended", func() bool { return r.callers("bert") == 0 && r.callers("anna") == 0 })
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("it goes on")
	}
}

// TestStrangersDoNotShutAClaimOut has strangers hold all places for connections without a certificate and try codes over them,
// from the address that the administrator comes from, too.
func TestStrangersDoNotShutAClaimOut(t *testing.T) {
	r := newRig(t, func(a *auth.Config, _ *Config) { a.CAs = nil }, limits(func(l *door.Limits) { l.Rate1, l.Burst1, l.Rate, l.Burst = 1000, 1000, 1000, 1000 }))
	claim := func(code string) *api.Claim {
		c := api.Claim(must(auth.NewClaim(code, r.server.Key.Fingerprint(), r.ca.Certificate, time.Now())))
		return &c
	}
	for range 2 * r.server.Limits.Strangers {
		s := &caller{rig: r, client: r.clientOf(nil)}
		for n := range auth.MaxTries + 1 {
			if a := s.call("POST", "/v1/claim", claim("0000-0000-0000-0000")); n == auth.MaxTries && a.status != 429 || a.status == 200 {
				t.Fatalf("try %d: %d", n, a.status)
			}
		}
		// And a call that doesn't come to its end.
		body, _ := io.Pipe()
		request := must(http.NewRequest("POST", "https://"+r.address+"/v1/claim", body))
		request.Header.Set("Content-Type", "application/json")
		go s.client.Do(request)
	}
	(&caller{rig: r, client: r.clientOf(nil)}).call("POST", "/v1/claim", claim(r.Trust.ClaimState().Code)).want(200)
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
