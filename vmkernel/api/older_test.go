package api

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// openAPI is as much of an OpenAPI document as the rule about versions is about.
type openAPI struct {
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]*schema }
}

type operation struct {
	Parameters  []parameter
	RequestBody *struct {
		Required bool
		Content  map[string]struct{ Schema *schema }
	}
	Responses map[string]struct {
		Content map[string]struct{ Schema *schema }
	}
	Roles []string `json:"x-keel-roles"`
}

type parameter struct {
	Name, In string
	Required bool
	Schema   *schema
}

type schema struct {
	Ref        string `json:"$ref"`
	Type       string
	Format     string
	Properties map[string]*schema
	Required   []string
	Items      *schema
	Additional json.RawMessage `json:"additionalProperties"` // a schema, or false
}

func readOpenAPI(t testing.TB, text []byte) *openAPI {
	t.Helper()
	d := &openAPI{}
	if err := json.Unmarshal(text, d); err != nil {
		t.Fatal(err)
	}
	return d
}

// of follows a reference.
func (d *openAPI) of(s *schema) *schema {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		return d.Components.Schemas[name]
	}
	return s
}

// comparison holds a document against an older one.
type comparison struct {
	old, now *openAPI
	seen     map[string]bool // pairs of references that have been compared
	faults   []string
}

func (c *comparison) fault(where, format string, args ...any) {
	c.faults = append(c.faults, where+": "+fmt.Sprintf(format, args...))
}

// all holds every route against the rule of package api: nothing is taken away, and nothing new has to be given.
func (c *comparison) all() []string {
	for path, methods := range c.old.Paths {
		for method, old := range methods {
			now, ok := c.now.Paths[path][method]
			if where := strings.ToUpper(method) + " " + path; !ok {
				c.fault(where, "it was taken away")
			} else {
				c.route(where, old, now)
			}
		}
	}
	slices.Sort(c.faults)
	return c.faults
}

func (c *comparison) route(where string, old, now operation) {
	for _, role := range old.Roles {
		if !slices.Contains(now.Roles, role) {
			c.fault(where, "the role %s may no longer call it", role)
		}
	}
	for _, p := range now.Parameters {
		known := false
		for _, o := range old.Parameters {
			if o.Name == p.Name && o.In == p.In {
				known = true
				c.schema(where+"?"+p.Name, o.Schema, p.Schema, true)
			}
		}
		if !known && p.Required {
			c.fault(where, "the parameter %s has to be given now", p.Name)
		}
	}
	for _, o := range old.Parameters {
		if !slices.ContainsFunc(now.Parameters, func(p parameter) bool { return p.Name == o.Name && p.In == o.In }) {
			c.fault(where, "the parameter %s was taken away", o.Name)
		}
	}
	switch {
	case old.RequestBody == nil && now.RequestBody != nil && now.RequestBody.Required:
		c.fault(where, "it needs a body now")
	case old.RequestBody != nil && now.RequestBody == nil:
		c.fault(where, "it takes no body any more")
	case old.RequestBody != nil:
		for media, o := range old.RequestBody.Content {
			c.media(where+" request", media, o.Schema, now.RequestBody.Content[media].Schema, true)
		}
	}
	for status, o := range old.Responses {
		if _, ok := now.Responses[status]; !ok {
			c.fault(where, "it answers no %s any more", status)
		}
		for media, body := range o.Content {
			c.media(where+" "+status, media, body.Schema, now.Responses[status].Content[media].Schema, false)
		}
	}
}

func (c *comparison) media(where, media string, old, now *schema, request bool) {
	switch {
	case old == nil:
	case now == nil:
		c.fault(where, "there is no %s any more", media)
	default:
		c.schema(where, old, now, request)
	}
}

// schema holds a type against what it was. What was optional in a request stays so; what was sure in an answer, too.
func (c *comparison) schema(where string, old, now *schema, request bool) {
	if old.Ref != "" && now.Ref != "" {
		pair := fmt.Sprint(old.Ref, now.Ref, request)
		if c.seen[pair] {
			return
		}
		c.seen[pair] = true
	}
	old, now = c.old.of(old), c.now.of(now)
	if old.Type != now.Type || old.Format != now.Format {
		c.fault(where, "it was %s %s and is %s %s", old.Type, old.Format, now.Type, now.Format)
		return
	}
	for name, o := range old.Properties {
		if n := now.Properties[name]; n == nil {
			c.fault(where, "the field %s was taken away", name)
		} else {
			c.schema(where+"."+name, o, n, request)
		}
	}
	more, less := now.Required, old.Required
	if !request {
		more, less = less, more
	}
	for _, name := range more {
		if !slices.Contains(less, name) {
			c.fault(where, map[bool]string{true: "the field %s has to be given now", false: "the field %s may be missing now"}[request], name)
		}
	}
	if old.Items != nil && now.Items != nil {
		c.schema(where+"[]", old.Items, now.Items, request)
	}
	var o, n schema
	if json.Unmarshal(old.Additional, &o) == nil && json.Unmarshal(now.Additional, &n) == nil {
		c.schema(where+"{}", &o, &n, request)
	}
}

func compare(old, now *openAPI) []string {
	return (&comparison{old: old, now: now, seen: map[string]bool{}}).all()
}

// TestWhatOlderVersionsWereToldStillHolds promises that keelctl of an older version works against this one: what it sends
// is taken, and what it needs of an answer is in it. testdata/older has the documents of older versions.
func TestWhatOlderVersionsWereToldStillHolds(t *testing.T) {
	names, err := filepath.Glob("testdata/older/*.json")
	if err != nil || len(names) == 0 {
		t.Fatal("there is no older document", err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range compare(readOpenAPI(t, text), readOpenAPI(t, OpenAPI)) {
			t.Errorf("%s: %s", filepath.Base(name), fault)
		}
	}
}

// TestWhatTheRuleForbidsIsFound breaks the rule in each way.
func TestWhatTheRuleForbidsIsFound(t *testing.T) {
	for _, c := range []struct {
		fault string
		bend  func(now *openAPI)
	}{
		{"GET /v1/vms: it was taken away", func(d *openAPI) { delete(d.Paths["/v1/vms"], "get") }},
		{"GET /v1/vms: the role viewer may no longer call it", func(d *openAPI) {
			op := d.Paths["/v1/vms"]["get"]
			op.Roles = []string{"admin"}
			d.Paths["/v1/vms"]["get"] = op
		}},
		{"POST /v1/host/restart: the parameter wait was taken away", func(d *openAPI) {
			op := d.Paths["/v1/host/restart"]["post"]
			op.Parameters = nil
			d.Paths["/v1/host/restart"]["post"] = op
		}},
		{"PUT /v1/host/time request: the field servers was taken away", func(d *openAPI) {
			delete(d.Components.Schemas["HostTimeSetRequest"].Properties, "servers")
		}},
		{"PUT /v1/host/time request: the field servers has to be given now", func(d *openAPI) {
			s := d.Components.Schemas["HostTimeSetRequest"]
			s.Required = append(s.Required, "servers")
		}},
		{"GET /v1/version 200: the field host may be missing now", func(d *openAPI) {
			s := d.Components.Schemas["Version"]
			s.Required = slices.DeleteFunc(s.Required, func(n string) bool { return n == "host" })
		}},
		{"GET /v1/version 200.api: it was string  and is integer ", func(d *openAPI) {
			d.Components.Schemas["Version"].Properties["api"].Type = "integer"
		}},
	} {
		now := readOpenAPI(t, OpenAPI)
		c.bend(now)
		if got := compare(readOpenAPI(t, OpenAPI), now); !slices.Contains(got, c.fault) {
			t.Errorf("want %q, got %q", c.fault, got)
		}
	}
	// What the rule allows.
	now := readOpenAPI(t, OpenAPI)
	now.Paths["/v1/new"] = now.Paths["/v1/vms"]
	now.Components.Schemas["Version"].Properties["more"] = &schema{Type: "string"}
	now.Components.Schemas["HostTimeSetRequest"].Properties["more"] = &schema{Type: "string"}
	if got := compare(readOpenAPI(t, OpenAPI), now); len(got) > 0 {
		t.Errorf("additions are found fault with: %q", got)
	}
}
