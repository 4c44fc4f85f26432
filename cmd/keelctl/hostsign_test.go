package main

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"keel/cmd/keelctl/config"
	"keel/vmkernel/auth"
)

// TestAHostsCertificateIsForWhatTheAdministratorKnows promises that the operator CA vouches for no name that a host has
// made up.
func TestAHostsCertificateIsForWhatTheAdministratorKnows(t *testing.T) {
	ca, err := auth.NewCA("operators", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	request := func(names []string, addresses ...netip.Addr) *auth.Request {
		t.Helper()
		key, err := auth.NewHostKey("keel-1", names, addresses, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		text, err := key.Request()
		if err != nil {
			t.Fatal(err)
		}
		r, err := auth.ParseRequest(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	ip := netip.MustParseAddr("192.0.2.10")
	own := request([]string{"keel-1"}, ip)
	greedy := request([]string{"keel-1", "bank.example"}, ip, netip.MustParseAddr("192.0.2.99"))
	for _, c := range []struct {
		what    string
		request *auth.Request
		address string
		known   []string
		typed   string // "": there is no terminal
		signed  bool
		said    string
	}{
		{"all is known", own, "192.0.2.10", []string{"Keel-1"}, "", true, ""},
		{"a name is not known, and nobody can be asked", own, "192.0.2.10", nil, "", false, "--names keel-1"},
		{"another's names, and nobody can be asked", greedy, "192.0.2.10", []string{"keel-1"}, "", false, "--names bank.example,192.0.2.99"},
		{"another's names, refused", greedy, "192.0.2.10", []string{"keel-1"}, "no\n", false, "for bank.example, 192.0.2.99 as well"},
		{"more names, confirmed", greedy, "192.0.2.10", []string{"keel-1"}, "yes\n", true, "for bank.example, 192.0.2.99 as well"},
		{"reached by a name", own, "keel-1.example", []string{"keel-1", "192.0.2.10", "unasked.example"}, "", true, ""},
	} {
		var errout bytes.Buffer
		a := &app{ctx: t.Context(), stdin: strings.NewReader(c.typed), stderr: &errout, now: time.Now, terminal: fakeTerminal(c.typed != "")}
		got, err := a.vouch(context.Background(), ca, &config.Host{Name: "keel-1"}, c.request, c.address, c.known)
		if err != nil || (got != nil) != c.signed || !strings.Contains(errout.String(), c.said) || c.said == "" && errout.Len() > 0 {
			t.Errorf("%s: signed %v, %v\n%s", c.what, got != nil, err, &errout)
			continue
		}
		if got == nil {
			continue
		}
		for _, name := range append(asked(c.request), c.address) {
			if err := got.VerifyHostname(name); err != nil {
				t.Errorf("%s: %v", c.what, err)
			}
		}
		if got.VerifyHostname("unasked.example") == nil {
			t.Errorf("%s: it is for a name that the host doesn't ask for", c.what)
		}
	}
}
