package auth

import (
	"fmt"
	"slices"
	"strings"
)

// Rule says who may use a route. The zero Rule admits nobody.
type Rule struct {
	Roles []Role
	// Scoped is set where a route touches VMs alone, and its handler asks Allow or Sees about each of them: only there
	// may someone come in whose role is limited to VMs with certain labels.
	Scoped bool
}

// Denied says that someone may not do what he asked for. He is known: it is no *Refusal.
type Denied struct {
	Who     Identity
	Needs   []Role // any of them would do; none if his role does, but not for what he asked for
	Message string // for people
}

func (d *Denied) Error() string { return d.Message }

// Admit says whether a route is open to id at all, before it is known what VM it is about. The error is a *Denied.
func (r Rule) Admit(id Identity) error {
	if !slices.Contains(r.Roles, id.Role) {
		if len(r.Roles) == 0 {
			return &Denied{Who: id, Message: "nobody may do this"}
		}
		return &Denied{Who: id, Needs: r.Roles, Message: fmt.Sprintf("this needs the role %s; %s has the role %s: "+
			"ask an owner of the operator CA for a certificate with it", oneOf(r.Roles), id.Name, id.Role)}
	}
	if !r.Scoped && len(id.Scope) > 0 {
		return &Denied{Who: id, Message: fmt.Sprintf("%s is %s, and this is not about one of these alone: "+
			"it needs the role %s without a label", id.Name, id.Grant, oneOf(r.Roles))}
	}
	return nil
}

// Allow says whether id may use a route for a VM that has these labels. The error is a *Denied. Who changes a VM's
// labels, or makes a VM, has to be allowed with the new ones as well as with the old: otherwise a limited operator could
// move VMs out of his scope, or take others' into it.
func Allow(id Identity, r Rule, labels map[string]string) error {
	if err := r.Admit(id); err != nil {
		return err
	}
	if !id.Sees(labels) {
		return &Denied{Who: id, Message: fmt.Sprintf("%s is %s, and this VM is not one of these", id.Name, id.Grant)}
	}
	return nil
}

// Sees says whether a VM with these labels is within g's scope, as one that a list may show.
func (g Grant) Sees(labels map[string]string) bool {
	for name, value := range g.Scope {
		if has, ok := labels[name]; !ok || has != value {
			return false
		}
	}
	return true
}

// oneOf writes a list of roles: viewer, operator or admin.
func oneOf(roles []Role) string {
	var names []string
	for _, r := range roles {
		names = append(names, string(r))
	}
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
