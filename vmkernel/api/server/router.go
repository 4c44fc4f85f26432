package server

import (
	"net/url"
	"slices"
	"strings"

	"keel/vmkernel/api"
	"keel/vmkernel/auth"
)

// node is a segment of the routes' patterns.
type node struct {
	named   map[string]*node
	any     *node // {variable}
	methods map[string]*bound
}

// bound is a route with what serves it.
type bound struct {
	*api.Route
	handler handler
	rule    auth.Rule
	vars    []string // names of the pattern's variables, in order
}

// tree makes the tree of a table. A route without a handler is a fault of ours, which a test would find.
func tree(table []api.Route) *node {
	root := &node{}
	for i := range table {
		r := &table[i]
		b := &bound{Route: r, handler: handlers[r.Name], rule: ruleOf(r)}
		if b.handler == nil {
			panic("server: no handler for " + r.Name)
		}
		n := root
		for _, segment := range strings.Split(r.Pattern[1:], "/") {
			if strings.HasPrefix(segment, "{") {
				b.vars = append(b.vars, strings.Trim(segment, "{}"))
				if n.any == nil {
					n.any = &node{}
				}
				n = n.any
				continue
			}
			if n.named[segment] == nil {
				if n.named == nil {
					n.named = map[string]*node{}
				}
				n.named[segment] = &node{}
			}
			n = n.named[segment]
		}
		if n.methods == nil {
			n.methods = map[string]*bound{}
		}
		n.methods[r.Method] = b
	}
	return root
}

// maxVars is how many variables a pattern has at most.
const maxVars = 2

// find returns the node of a path, and the values of its variables. The path is as it came: a path that isn't in its
// plain form has no node, rather than being put right.
func (n *node) find(path string) (found *node, values [maxVars]string) {
	if path == "" || path[0] != '/' {
		return nil, values
	}
	vars := 0
	for rest, more := path[1:], true; more && n != nil; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if next := n.named[segment]; next != nil {
			n = next
			continue
		}
		value, err := url.PathUnescape(segment)
		if n.any == nil || vars == maxVars || err != nil || !decent(value) {
			return nil, values
		}
		values[vars] = value
		vars++
		n = n.any
	}
	return n, values
}

// decent says whether a variable's value can be a name of anything.
func decent(s string) bool {
	if s == "" || s == "." || s == ".." || len(s) > 255 {
		return false
	}
	for _, c := range []byte(s) {
		if c < ' ' || c == 0x7F || c == '\\' {
			return false
		}
	}
	return true
}

// allowed lists the methods of a node.
func (n *node) allowed() string {
	var list []string
	for m := range n.methods {
		list = append(list, m)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
