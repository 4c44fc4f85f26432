package auth

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Role is what its holder may do. No role includes another: a Rule lists all that it admits.
type Role string

const (
	Viewer   Role = "viewer"   // sees the host and its VMs
	Operator Role = "operator" // runs VMs, and types into their consoles
	Admin    Role = "admin"    // everything else as well
	Auditor  Role = "auditor"  // reads the audit log, and nothing else
)

// Roles lists the roles.
func Roles() []Role { return []Role{Viewer, Operator, Admin, Auditor} }

// ParseRole reads the name of a role.
func ParseRole(s string) (Role, error) {
	if !slices.Contains(Roles(), Role(s)) {
		return "", fmt.Errorf("%s is not a role: give viewer, operator, admin or auditor", quote(s))
	}
	return Role(s), nil
}

// Limits of a grant.
const (
	MaxScope      = 8       // labels
	MaxLabelName  = 64      // bytes, as in a seed
	MaxLabelValue = 255     // bytes
	maxGrant      = 8 << 10 // bytes of a URI: more than the longest that these allow
)

// Grant is what a certificate says of its holder: a role and, unless Scope is empty, that it is only for the VMs that
// have all these labels.
type Grant struct {
	Role  Role
	Scope map[string]string
}

// A grant is a URI (RFC 3986) in a certificate's subject alternative names: keel:role/operator?label=tier%3Dtest
const (
	scheme     = "keel:"
	rolePrefix = "keel:role/"
	labelKey   = "label="
)

// URI writes a grant. Each grant has one form: its labels stand in the order of their names, and all bytes but letters,
// digits and -._~ are escaped.
func (g Grant) URI() string {
	var b strings.Builder
	b.WriteString(rolePrefix + string(g.Role))
	separator := byte('?')
	for _, name := range slices.Sorted(maps.Keys(g.Scope)) {
		b.WriteByte(separator)
		separator = '&'
		b.WriteString(labelKey + escape(name+"="+g.Scope[name]))
	}
	return b.String()
}

// ParseGrant reads a grant in the one form that URI writes.
func ParseGrant(uri string) (Grant, error) {
	rest, ok := strings.CutPrefix(uri, rolePrefix)
	if !ok || len(uri) > maxGrant {
		return Grant{}, fmt.Errorf("%s is not a role: one has the form keel:role/operator?label=tier%%3Dtest", quote(uri))
	}
	name, query, scoped := strings.Cut(rest, "?")
	role, err := ParseRole(name)
	if err != nil {
		return Grant{}, err
	}
	g := Grant{Role: role}
	if scoped {
		g.Scope = map[string]string{}
		for part := range strings.SplitSeq(query, "&") {
			label, ok := strings.CutPrefix(part, labelKey)
			text, err := url.PathUnescape(label)
			name, value, has := strings.Cut(text, "=")
			if !ok || err != nil || !has {
				return Grant{}, fmt.Errorf("%s: %s is not a label: one has the form label=tier%%3Dtest", quote(uri), quote(part))
			}
			g.Scope[name] = value
		}
	}
	if err := g.Check(); err != nil {
		return Grant{}, fmt.Errorf("%s: %w", quote(uri), err)
	}
	if g.URI() != uri {
		return Grant{}, fmt.Errorf("%s is not written as it has to be: that is %s", quote(uri), g.URI())
	}
	return g, nil
}

// Check reports what is wrong with a grant.
func (g Grant) Check() error {
	if _, err := ParseRole(string(g.Role)); err != nil {
		return err
	}
	if len(g.Scope) > MaxScope {
		return fmt.Errorf("has %d labels; at most %d are possible", len(g.Scope), MaxScope)
	}
	if g.Role == Auditor && len(g.Scope) > 0 {
		return fmt.Errorf("an auditor can't be limited to VMs: the audit log is the host's")
	}
	for name, value := range g.Scope {
		switch {
		case !labelName(name):
			return fmt.Errorf("%s is not a label's name; one has 1 to %d letters, digits and -_./", quote(name), MaxLabelName)
		case len(value) > MaxLabelValue || !printable(value):
			return fmt.Errorf("%s: a label's value has at most %d bytes and no unprintable characters", quote(value), MaxLabelValue)
		}
	}
	return nil
}

// String writes a grant for people: operator, or operator of VMs with tier=test.
func (g Grant) String() string {
	if len(g.Scope) == 0 {
		return string(g.Role)
	}
	return string(g.Role) + " of VMs with " + labels(g.Scope)
}

func labels(m map[string]string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, name+"="+m[name])
	}
	return strings.Join(list, " and ")
}

func escape(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(s) {
		if alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~' {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

func labelName(s string) bool {
	for _, c := range []byte(s) {
		if !alphanumeric(c) && !strings.ContainsRune("-_./", rune(c)) {
			return false
		}
	}
	return s != "" && len(s) <= MaxLabelName
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// printable reports whether s can be shown on a terminal as it is.
func printable(s string) bool {
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}

// quote quotes a hostile text for a message, cut to a readable length.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.QuoteToASCII(s[:most]) + "..."
	}
	return strconv.QuoteToASCII(s)
}
