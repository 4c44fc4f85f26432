package auth

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestAGrantIsReadAsWritten(t *testing.T) {
	many := map[string]string{}
	for i := range MaxScope {
		many[fmt.Sprint(i)] = strings.Repeat("é", 100)
	}
	for _, g := range []Grant{
		{Role: Viewer}, {Role: Auditor}, {Role: Admin},
		{Operator, map[string]string{"tier": "test"}},
		{Operator, map[string]string{"b": "", "a": "x=y&label=z", "c/d": "100%+ü ?#"}},
		{Viewer, many},
	} {
		got, err := ParseGrant(g.URI())
		if err != nil || got.Role != g.Role || !maps.Equal(got.Scope, g.Scope) {
			t.Errorf("%.80s: %.80s, %v", g.URI(), got, err)
		}
		// A certificate carries it through net/url.
		if u := mustURL(g.URI()).String(); u != g.URI() {
			t.Errorf("%s becomes %s", g.URI(), u)
		}
	}
	if got := (Grant{Operator, map[string]string{"tier": "test"}}).URI(); got != "keel:role/operator?label=tier%3Dtest" {
		t.Error(got)
	}
}

func TestAGrantHasOneForm(t *testing.T) {
	for _, bad := range []string{
		"", "keel:", "keel:role/", "keel:role/root", "keel:role/Admin", "KEEL:role/admin", "keel:role/admin?", "keel:role/admin#x",
		"keel:role/admin/", "keel:role/admin?label=", "keel:role/admin?label=a", "keel:role/admin?label=a=b", "keel:role/admin?tag=a%3Db",
		"keel:role/admin?label=a%3db", "keel:role/admin?label=%61%3Db", "keel:role/admin?label=a%3Db+c", "keel:role/admin?label=a%3Db&",
		"keel:role/admin?label=b%3D1&label=a%3D1", "keel:role/admin?label=a%3D1&label=a%3D2", "keel:role/admin?label=a%3D1&label=a%3D1",
		"keel:role/admin?label=%3Db", "keel:role/admin?label=a%00%3Db", "keel:role/admin?label=a%3D%0A", "keel:role/admin?label=a%3D%zz",
		"keel:role/auditor?label=a%3Db", "keel:role/viewer?label=" + strings.Repeat("a", 65) + "%3D1", "keel:role/viewer?label=a%3D" + strings.Repeat("b", 256),
		"keel:role/viewer?" + strings.Repeat("label=a%3Db&", 5000),
	} {
		if g, err := ParseGrant(bad); err == nil {
			t.Errorf("%q was read as %s", bad, g)
		} else if strings.ContainsAny(err.Error(), "\n\r\x00\x1b") || len(err.Error()) > 1000 {
			t.Errorf("%.40q: %q", bad, err)
		}
	}
}

// everyone is one of each kind of people.
func everyone() []Identity {
	scope := map[string]string{"tier": "test", "zone": "a"}
	var list []Identity
	for _, r := range append(Roles(), "", "root") {
		list = append(list, Identity{Name: "x", Grant: Grant{Role: r}})
		if r != Auditor {
			list = append(list, Identity{Name: "x", Grant: Grant{r, scope}})
		}
	}
	return list
}

func TestNothingIsAllowedByDefault(t *testing.T) {
	for _, id := range everyone() {
		for _, r := range []Rule{{}, {Scoped: true}, {Roles: []Role{}}} {
			var d *Denied
			if err := Allow(id, r, map[string]string{"tier": "test", "zone": "a"}); !errors.As(err, &d) || r.Admit(id) == nil {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
}

func TestARoleMayDoWhatItsRuleSaysAndNoMore(t *testing.T) {
	for mask := range 1 << 4 {
		var rule Rule
		for i, r := range Roles() {
			if mask&(1<<i) != 0 {
				rule.Roles = append(rule.Roles, r)
			}
		}
		for _, scoped := range []bool{false, true} {
			rule.Scoped = scoped
			for _, id := range everyone() {
				want := slices.Contains(rule.Roles, id.Role)
				if got := rule.Admit(id) == nil; got != (want && (scoped || len(id.Scope) == 0)) {
					t.Errorf("%v, scoped %v, %s: %v", rule.Roles, scoped, id, got)
				}
			}
		}
	}
}

func TestAScopeIsNotEscaped(t *testing.T) {
	rule := Rule{Roles: []Role{Operator}, Scoped: true}
	id := Identity{Name: "x", Grant: Grant{Operator, map[string]string{"tier": "test", "zone": ""}}}
	for _, c := range []struct {
		labels map[string]string
		want   bool
	}{
		{map[string]string{"tier": "test", "zone": ""}, true},
		{map[string]string{"tier": "test", "zone": "", "more": "x"}, true},
		{nil, false},
		{map[string]string{"tier": "test"}, false}, // an absent label is not an empty one
		{map[string]string{"zone": ""}, false},
		{map[string]string{"tier": "prod", "zone": ""}, false},
		{map[string]string{"tier": "test ", "zone": ""}, false},
		{map[string]string{"Tier": "test", "zone": ""}, false},
		{map[string]string{"tier": "test", "zone": "", "role": "admin"}, true},
	} {
		if err := Allow(id, rule, c.labels); (err == nil) != c.want || id.Sees(c.labels) != c.want {
			t.Errorf("%v: %v", c.labels, err)
		}
	}
}

func TestDenialsNameTheRoleThatIsMissing(t *testing.T) {
	anna := Identity{Name: "anna", Grant: Grant{Role: Viewer}}
	err := Rule{Roles: []Role{Operator, Admin}}.Admit(anna)
	want := "this needs the role operator or admin; anna has the role viewer: ask an owner of the operator CA for a certificate with it"
	var d *Denied
	if !errors.As(err, &d) || err.Error() != want || !slices.Equal(d.Needs, []Role{Operator, Admin}) {
		t.Errorf("%v\nwant %s", err, want)
	}
	bob := Identity{Name: "bob", Grant: Grant{Admin, map[string]string{"tier": "test"}}}
	err = Rule{Roles: []Role{Admin}}.Admit(bob)
	if want := "bob is admin of VMs with tier=test, and this is not about one of these alone: it needs the role admin without a label"; err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	err = Allow(bob, Rule{Roles: []Role{Admin}, Scoped: true}, nil)
	if want := "bob is admin of VMs with tier=test, and this VM is not one of these"; err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

// FuzzGrant promises that a role from a certificate is read in its one form or refused in one line.
func FuzzGrant(f *testing.F) {
	f.Add("keel:role/operator?label=tier%3Dtest")
	f.Add("keel:role/admin?label=a%3D1&label=b%3D2")
	f.Fuzz(func(t *testing.T, uri string) {
		g, err := ParseGrant(uri)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x00\x1b") {
				t.Errorf("%q", err)
			}
			return
		}
		if g.Check() != nil || g.URI() != uri {
			t.Errorf("%q was read as %+v", uri, g)
		}
	})
}
