package main

import (
	"encoding"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"
)

// schemas collects the JSON schemas of Go types.
type schemas struct {
	said map[string]string // comments by Type and Type.Field
	made object
}

// needed are the fields without which the seed's decoder refuses a VM: its types' tags say only what it writes.
var needed = map[string]bool{
	"VM.name": true, "VM.id": true, "VM.memory": true, "VM.boot": true, "Memory.size": true,
	"Boot.direct": true, "Direct.kernel": true, "Module.file": true, "Serial.name": true,
}

// ref returns a reference to the schema of v's type. That of a request admits no other fields, and has a name of its own
// where answers have the type too.
func (s *schemas) ref(v any, request bool) object {
	return s.schema(reflect.TypeOf(v), request)
}

func (s *schemas) schema(t reflect.Type, request bool) object {
	text := reflect.TypeFor[encoding.TextMarshaler]()
	switch {
	case t.Kind() == reflect.Pointer:
		return s.schema(t.Elem(), request)
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return object{}
	case t.Implements(text) || t.Kind() == reflect.String:
		return object{"type": "string"}
	case t.Kind() == reflect.Bool:
		return object{"type": "boolean"}
	case t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64:
		return object{"type": "integer"}
	case t.Kind() == reflect.Slice:
		return object{"type": "array", "items": s.schema(t.Elem(), request)}
	case t.Kind() == reflect.Map:
		return object{"type": "object", "additionalProperties": s.schema(t.Elem(), request)}
	case t.Kind() == reflect.Struct:
		return s.structure(t, request)
	}
	panic("openapi: no schema for " + t.String())
}

func (s *schemas) structure(t reflect.Type, request bool) object {
	name := t.Name()
	if t.PkgPath() == "keel/vmkernel/seed" {
		name = "VM" + strings.TrimPrefix(name, "VM") + "Spec"
	}
	if request {
		name += "Request"
	}
	ref := object{"$ref": "#/components/schemas/" + name}
	if s.made[name] != nil {
		return ref
	}
	made := object{"type": "object"}
	s.made[name] = made // before its fields, which may lead back to it
	if about := s.said[t.Name()]; about != "" {
		made["description"] = about
	}
	properties, required := object{}, []string{}
	s.fields(t, request, properties, &required)
	made["properties"] = properties
	if len(required) > 0 {
		made["required"] = required
	}
	if request {
		made["additionalProperties"] = false
	}
	return ref
}

func (s *schemas) fields(t reflect.Type, request bool, properties object, required *[]string) {
	ofSeed := t.PkgPath() == "keel/vmkernel/seed"
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			s.fields(f.Type, request, properties, required)
			continue
		}
		property := s.schema(f.Type, request)
		if about := s.said[t.Name()+"."+f.Name]; about != "" {
			property["description"] = about
		}
		properties[name] = property
		must := options == ""
		if request && ofSeed {
			must = needed[t.Name()+"."+name]
		}
		if must {
			*required = append(*required, name)
		}
	}
}

// comments reads what folders' sources say about their types and fields.
func comments(folders ...string) (map[string]string, error) {
	said := map[string]string{}
	for _, folder := range folders {
		names, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments)
			if err != nil {
				return nil, err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if d, ok := n.(*ast.GenDecl); ok && d.Tok == token.TYPE {
					for _, spec := range d.Specs {
						about(said, d, spec.(*ast.TypeSpec))
					}
				}
				return true
			})
		}
	}
	return said, nil
}

func about(said map[string]string, d *ast.GenDecl, t *ast.TypeSpec) {
	name := t.Name.Name
	if said[name] == "" { // the first folder's has the name
		said[name] = oneLine(d.Doc.Text())
	}
	fields, ok := t.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range fields.Fields.List {
		for _, field := range f.Names {
			said[name+"."+field.Name] = oneLine(f.Comment.Text())
		}
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
