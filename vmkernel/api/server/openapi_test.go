package server

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"keel/vmkernel/api"
)

// document is the OpenAPI document with its schemas compiled: every request and answer of these tests is held against it.
type document struct {
	doc     map[string]any
	schemas *jsonschema.Compiler
	mu      sync.Mutex
	made    map[string]*jsonschema.Schema
}

var theDocument = sync.OnceValues(func() (*document, error) { return newDocument(api.OpenAPI) })

// olderDocuments are those of older releases: what their clients know is answered as they expect.
var olderDocuments = sync.OnceValues(func() (list []*document, err error) {
	names, _ := filepath.Glob("../testdata/older/*.json")
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		d, err := newDocument(text)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
})

func newDocument(text []byte) (*document, error) {
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("https://keel/openapi.json", whole); err != nil {
		return nil, err
	}
	return &document{doc: whole.(map[string]any), schemas: c, made: map[string]*jsonschema.Schema{}}, nil
}

func spec(t testing.TB) *document {
	t.Helper()
	d, err := theDocument()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// at is what stands in the document at a path, or nil.
func (d *document) at(path ...string) any {
	var v any = d.doc
	for _, p := range path {
		m, _ := v.(map[string]any)
		if v = m[p]; v == nil {
			return nil
		}
	}
	return v
}

// schema compiles the schema at a path.
func (d *document) schema(t testing.TB, path ...string) *jsonschema.Schema {
	t.Helper()
	at := "https://keel/openapi.json#"
	for _, p := range path {
		at += "/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(p)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.made[at]; s != nil {
		return s
	}
	s, err := d.schemas.Compile(at)
	if err != nil {
		t.Fatal(err)
	}
	d.made[at] = s
	return s
}

// pattern is the document's path of a request's.
func (d *document) pattern(path string) string {
	want := strings.Split(path, "/")
	best := ""
	for p := range d.doc["paths"].(map[string]any) {
		have := strings.Split(p, "/")
		same := len(have) == len(want)
		for i := 0; same && i < len(have); i++ {
			same = have[i] == want[i] || strings.HasPrefix(have[i], "{")
		}
		if same && (best == "" || strings.Count(p, "{") < strings.Count(best, "{")) {
			best = p
		}
	}
	return best
}

// check holds an exchange against the document.
func (d *document) check(method, path string, body any, a answer) {
	a.t.Helper()
	pattern := d.pattern(path)
	where := []string{"paths", pattern, strings.ToLower(method)}
	if a.status >= 300 {
		d.validate(a.t, a.body, "the error "+strconv.Itoa(a.status)+" of "+method+" "+path, "components", "schemas", "ErrorBody")
		return
	}
	if d.at(where...) == nil {
		a.t.Errorf("%s %s has succeeded and isn't in the document", method, path)
		return
	}
	if text, ok := body.(string); ok {
		d.validate(a.t, []byte(text), "the request of "+method+" "+path, append(where, "requestBody", "content", "application/json", "schema")...)
	}
	d.answer(method, path, a)
	older, err := olderDocuments()
	if err != nil || len(older) == 0 {
		a.t.Fatal("no document of an older release: ", err)
	}
	for _, o := range older {
		if o.at("paths", o.pattern(path), strings.ToLower(method)) != nil {
			o.answer(method, path, a)
		}
	}
}

// answer holds an answer to a call that the document has against it.
func (d *document) answer(method, path string, a answer) {
	a.t.Helper()
	where := []string{"paths", d.pattern(path), strings.ToLower(method)}
	response := append(where, "responses", strconv.Itoa(a.status))
	if d.at(response...) == nil {
		a.t.Errorf("%s %s: the document has no status %d", method, path, a.status)
		return
	}
	media := a.header.Get("Content-Type")
	if len(a.body) == 0 {
		return
	}
	switch content := append(response, "content", media); {
	case d.at(content...) == nil:
		a.t.Errorf("%s %s: the document has no answer of %s", method, path, media)
	case media == "application/json":
		d.validate(a.t, a.body, "the answer of "+method+" "+path, append(content, "schema")...)
	case media == api.MediaLines:
		for line := range bytes.Lines(a.body) {
			if len(bytes.TrimSpace(line)) > 0 {
				d.validate(a.t, line, "a line of "+path, append(content, "schema")...)
			}
		}
	}
}

func (d *document) validate(t testing.TB, text []byte, what string, path ...string) {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Errorf("%s is no JSON: %v: %.300s", what, err, text)
		return
	}
	if err := d.schema(t, slices.Clone(path)...).Validate(v); err != nil {
		t.Errorf("%s isn't the document's: %v\n%.500s", what, err, text)
	}
}

func TestEveryRouteIsInTheDocumentAndTheOtherWayRound(t *testing.T) {
	d := spec(t)
	table := map[string]bool{}
	for _, r := range api.Routes {
		table[r.Method+" "+r.Pattern] = true
		op, _ := d.at("paths", r.Pattern, strings.ToLower(r.Method)).(map[string]any)
		if op == nil {
			t.Errorf("%s %s isn't in the document", r.Method, r.Pattern)
			continue
		}
		var roles []string
		for _, role := range op["x-keel-roles"].([]any) {
			roles = append(roles, role.(string))
		}
		if op["operationId"] != r.Name || !slices.Equal(roles, r.Roles.Names()) {
			t.Errorf("%s %s: the document has %v", r.Method, r.Pattern, op)
		}
	}
	for path, methods := range d.doc["paths"].(map[string]any) {
		for method := range methods.(map[string]any) {
			if !table[strings.ToUpper(method)+" "+path] {
				t.Errorf("%s %s isn't in the table", method, path)
			}
		}
	}
	if len(handlers) != len(api.Routes) {
		t.Errorf("%d handlers for %d routes: %v", len(handlers), len(api.Routes), slices.Sorted(maps.Keys(handlers)))
	}
}

func TestTheDocumentIsServed(t *testing.T) {
	a := newRig(t).as("viewer").call("GET", "/v1/openapi.json", nil).want(200)
	var doc struct{ OpenAPI string }
	if a.into(&doc); doc.OpenAPI != "3.1.0" || !json.Valid(a.body) {
		t.Errorf("%.100s", a.body)
	}
}
