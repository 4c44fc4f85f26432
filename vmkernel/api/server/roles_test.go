package server

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/api/apitest"
	"keel/vmkernel/auth"
)

// sample is a path of a route, for things that aren't there.
func sample(pattern string) string {
	return strings.NewReplacer("{vm}", "none", "{port}", "ttyS0", "{image}", "none", "{operation}", "none", "{ca}", "none", "{pool}", "none").Replace(pattern)
}

func TestEveryRouteWithEveryRole(t *testing.T) {
	r := newRig(t, busy)
	for _, role := range auth.Roles() {
		c := r.as(role)
		var scoped *caller
		if role != auth.Auditor { // who can't be limited
			scoped = r.scoped(role, map[string]string{"tier": "test"})
		}
		for _, route := range api.Routes {
			if route.Roles == api.Stranger || route.Name == "DistrustCA" && role == auth.Admin {
				continue
			}
			t.Run(fmt.Sprintf("%s %s as %s", route.Method, route.Pattern, role), func(t *testing.T) {
				// A parameter that no route has: who may call is refused for that, and nothing is done.
				a := c.call(route.Method, sample(route.Pattern)+"?nonsense=1", nil)
				if slices.Contains(route.Roles.Names(), string(role)) {
					if a.status != http.StatusBadRequest {
						t.Errorf("%d: %s", a.status, a.body)
					}
				} else if route.Method != "HEAD" {
					e := a.want(403, api.CodeDenied).error()
					if want := strings.Join(route.Roles.Names(), ","); e.Details["missingRole"] != want || !strings.Contains(e.Message, route.Roles.Names()[0]) {
						t.Errorf("missing role %q, want %q: %s", e.Details["missingRole"], want, e.Message)
					}
				} else if a.status != 403 {
					t.Errorf("%d", a.status)
				}
				if scoped == nil {
					return
				}
				a = scoped.call(route.Method, sample(route.Pattern)+"?nonsense=1", nil)
				want := 400
				if !slices.Contains(route.Roles.Names(), string(role)) || route.Scope == api.Whole {
					want = 403
				}
				if a.status != want {
					t.Errorf("limited to some VMs: %d, want %d: %s", a.status, want, a.body)
				}
				if want == 403 && route.Scope == api.Whole && route.Roles.Has(string(role)) && a.error().Details["scope"] == "" {
					t.Errorf("the scope isn't named: %s", a.body)
				}
			})
		}
	}
}

// unknown makes the certificates of those whom the door doesn't know.
func (r *rig) unknown() map[string]*tls.Certificate {
	now := time.Now()
	other, err := auth.NewCA("others", now)
	if err != nil {
		r.t.Fatal(err)
	}
	revoked := r.user("revoked", auth.Admin, nil)
	if err := r.Trust.Revoke(auth.RevokedCertificate{Issuer: r.ca.Fingerprint(), Serial: auth.Serial(revoked.Leaf)}); err != nil {
		r.t.Fatal(err)
	}
	key, err := auth.NewKey()
	if err != nil {
		r.t.Fatal(err)
	}
	return map[string]*tls.Certificate{
		"no certificate": nil,
		"expired":        apitest.User(r.t, r.ca, "late", auth.Grant{Role: auth.Admin, Scope: nil}, time.Hour, now.Add(-2*time.Hour)),
		"another CA":     apitest.User(r.t, other, "stranger", auth.Grant{Role: auth.Admin, Scope: nil}, 0, now),
		"revoked":        revoked,
		"the CA's own":   {Certificate: [][]byte{r.ca.Certificate.Raw}, PrivateKey: key},
	}
}

func TestEveryRouteWithoutAKnownCertificate(t *testing.T) {
	r := newRig(t, busy)
	for name, cert := range r.unknown() {
		c := &caller{rig: r, client: r.clientOf(cert)}
		for _, route := range api.Routes {
			if a, err := c.do(route.Method, sample(route.Pattern), nil); err == nil {
				t.Errorf("%s: %s %s answers %d %s", name, route.Method, route.Pattern, a.status, a.body)
			}
		}
	}
	if n := len(r.records()); n != 1 {
		t.Errorf("strangers have made %d records", n-1)
	}
}

func TestStrangersMayClaimAndNothingElse(t *testing.T) {
	r := newRig(t, func(a *auth.Config, _ *Config) { a.CAs = nil })
	stranger := &caller{rig: r, client: r.clientOf(nil)}
	for _, route := range api.Routes {
		if route.Roles == api.Stranger || route.Method == "HEAD" {
			continue
		}
		stranger.call(route.Method, sample(route.Pattern), nil).want(403, api.CodeDenied)
	}
	stranger.call("GET", "/v1/nothing", nil).want(403)
	claim := func(code string) *api.Claim {
		c, err := auth.NewClaim(code, r.server.Key.Fingerprint(), r.ca.Certificate, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		out := api.Claim(c)
		return &out
	}
	code := r.Trust.ClaimState().Code
	stranger.call("POST", "/v1/claim", claim("0000-0000-0000-0000")).want(403, api.CodeDenied)
	stranger.call("POST", "/v1/claim", `{"code":"1"}`).want(400)
	if n := len(r.records()); n != 1 {
		t.Errorf("wrong codes have made %d records", n-1)
	}
	good := claim(code)
	a := stranger.call("POST", "/v1/claim", good).want(200)
	var got api.Claimed
	a.into(&got)
	request := auth.ClaimRequest(*good)
	if err := request.CheckAnswer(code, r.server.Key.Fingerprint(), auth.ClaimAnswer(got)); err != nil {
		t.Error(err)
	}
	a, err := stranger.do("POST", "/v1/claim", claim(code))
	if err == nil {
		a.want(404)
	}
	r.as(auth.Admin).call("GET", "/v1/trust", nil).want(200)
	if _, err := (&caller{rig: r, client: r.clientOf(nil)}).do("GET", "/v1/version", nil); err == nil {
		t.Error("strangers come in after the claim")
	}
	last := r.records()
	if !slices.ContainsFunc(last, func(m map[string]any) bool { return m["action"] == "claim.taken" }) {
		t.Errorf("the claim isn't recorded: %v", last)
	}
}

func TestScopeHidesWhatIsOutside(t *testing.T) {
	r := newRig(t)
	admin := r.as(auth.Admin)
	admin.call("POST", "/v1/vms", vmJSON("ours", 1, `{"tier":"test"}`)).want(201)
	admin.call("POST", "/v1/vms", vmJSON("theirs", 2, `{"tier":"prod"}`)).want(201)
	op := r.scoped(auth.Operator, map[string]string{"tier": "test"})

	var list api.VMs
	op.call("GET", "/v1/vms", nil).want(200).into(&list)
	if len(list.VMs) != 1 || list.VMs[0].Name != "ours" || list.Scope["tier"] != "test" {
		t.Errorf("%+v", list)
	}
	op.call("GET", "/v1/vms/ours", nil).want(200)
	there, gone := op.call("GET", "/v1/vms/theirs", nil).want(404).error(), op.call("GET", "/v1/vms/thairs", nil).want(404).error()
	if strings.ReplaceAll(there.Message, "theirs", "thairs") != gone.Message || fmt.Sprint(there.Details) != fmt.Sprint(gone.Details) {
		t.Errorf("what is hidden differs from what isn't there:\n%+v\n%+v", there, gone)
	}
	for _, route := range api.Routes {
		if route.Scope != api.OneVM || !strings.Contains(route.Pattern, "{vm}") || !route.Roles.Has("operator") {
			continue
		}
		path := strings.NewReplacer("{vm}", "theirs", "{port}", "ttyS0").Replace(route.Pattern)
		var body any
		header := []string{"If-Match", `"1"`}
		if route.In != nil {
			body = vmJSON("theirs", 2, `{"tier":"test"}`)
		}
		op.call(route.Method, path, body, header...).want(404, api.CodeNotFound)
	}

	// Neither into the scope nor out of it, and no word about the other.
	op.call("POST", "/v1/vms", vmJSON("new", 3, `{"tier":"prod"}`)).want(403, api.CodeDenied)
	op.call("POST", "/v1/vms", vmJSON("new", 3, "")).want(403, api.CodeDenied)
	if e := op.call("POST", "/v1/vms", vmJSON("theirs", 3, `{"tier":"test"}`)).want(409, api.CodeExists).error(); strings.Contains(e.Message, "theirs") {
		t.Errorf("%s", e.Message)
	}
	op.call("POST", "/v1/vms", vmJSON("new", 2, `{"tier":"test"}`)).want(409, api.CodeExists)
	op.call("POST", "/v1/vms", vmJSON("new", 4, `{"tier":"test"}`)).want(201)
	op.call("PUT", "/v1/vms/new", vmJSON("new", 4, `{"tier":"prod"}`), "If-Match", "*").want(403, api.CodeDenied)

	// Operations and events of the others.
	var operation api.Operation
	admin.call("POST", "/v1/vms/theirs/start", nil).want(200).into(&operation)
	op.call("GET", "/v1/operations/"+operation.ID, nil).want(404)
	op.call("POST", "/v1/operations/"+operation.ID+"/cancel", nil).want(404)
	var ops api.Operations
	op.call("GET", "/v1/operations", nil).want(200).into(&ops)
	if len(ops.Operations) != 0 {
		t.Errorf("%+v", ops)
	}
	eventually(t, "the start is an event", func() bool {
		return strings.Contains(string(admin.call("GET", "/v1/events?follow=false&from=1", nil).body), `"vm":"theirs"`)
	})
	if text := string(op.call("GET", "/v1/events?follow=false&from=1", nil).want(200).body); strings.Contains(text, "theirs") || !strings.Contains(text, "ours") {
		t.Errorf("%s", text)
	}
}

func TestWebPagesMayNothing(t *testing.T) {
	r := newRig(t)
	c := r.as(auth.Admin)
	c.call("POST", "/v1/vms", vmJSON("demo", 1, "")).want(201)
	c.call("POST", "/v1/vms/demo/start", nil, "Origin", "https://evil.example").want(403, api.CodeDenied)
	c.call("POST", "/v1/vms/demo/start", nil, "Sec-Fetch-Site", "cross-site").want(403, api.CodeDenied)
	c.call("GET", "/v1/vms", nil, "Sec-Fetch-Site", "none").want(200)
	if s := r.VMs.Must(r.t, "demo").State(); s != api.Stopped {
		t.Errorf("it is %s", s)
	}
}

func TestRevocationEndsOpenConnections(t *testing.T) {
	r := newRig(t, func(_ *auth.Config, c *Config) { // by notice, not since somebody looks now and then
		c.times = usual
		c.times.recheck = time.Hour
	})
	r.as(auth.Admin).call("POST", "/v1/vms", vmJSON("demo", 1, "")).want(201)
	r.VMs.Must(r.t, "demo").To(api.Running, api.Stopped)
	cert := r.user("mallory", auth.Operator, nil)
	h2 := &caller{rig: r, client: r.clientOf(cert)}
	h2.client.Timeout = 0
	stream, err := h2.client.Get("https://" + r.address + "/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	if stream.ProtoMajor != 2 {
		t.Fatalf("HTTP/%d", stream.ProtoMajor)
	}
	ws := r.console(cert, "demo", "")
	ended := make(chan error, 2)
	go func() {
		_, err := stream.Body.Read(make([]byte, 1<<20))
		for err == nil {
			_, err = stream.Body.Read(make([]byte, 1<<20))
		}
		ended <- err
	}()
	go func() {
		for {
			if _, _, err := ws.Read(t.Context()); err != nil {
				ended <- err
				return
			}
		}
	}()
	began := time.Now()
	r.as(auth.Admin).call("POST", "/v1/trust/revocations", api.Revocation{Issuer: string(r.ca.Fingerprint()), Serial: auth.Serial(cert.Leaf)}).want(200)
	for range 2 {
		select {
		case <-ended:
		case <-time.After(longest):
			t.Fatal("a connection of a revoked certificate lives on")
		}
	}
	t.Logf("both ended after %v", time.Since(began))
	if _, err := h2.do("GET", "/v1/version", nil); err == nil {
		t.Error("and it comes in again")
	}
}

func TestExpiryEndsOpenConnections(t *testing.T) {
	var ahead time.Duration
	now := func() time.Time { return time.Now().Add(ahead) }
	r := newRig(t, func(a *auth.Config, c *Config) { a.Clock, c.Now = now, now })
	c := r.as(auth.Viewer)
	c.call("GET", "/v1/version", nil).want(200)
	ahead = 366 * 24 * time.Hour
	if a, err := c.do("GET", "/v1/version", nil); err == nil && a.status != 403 {
		t.Errorf("%d: %s", a.status, a.body)
	}
}

func TestCertificateErrorsAreAlerts(t *testing.T) {
	r := newRig(t)
	want := map[string]string{"no certificate": "certificate required", "expired": "expired certificate", "another CA": "unknown certificate authority", "revoked": "bad certificate"}
	for name, cert := range r.unknown() {
		config := auth.ClientConfig(cert, auth.Expect{})
		conn, err := tls.Dial("tcp", r.address, config)
		if err == nil {
			conn.SetReadDeadline(time.Now().Add(longest))
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if err == nil || want[name] != "" && !strings.Contains(err.Error(), want[name]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
