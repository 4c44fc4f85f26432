package api

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"keel/vmkernel/seed"
)

// Decode reads a request's body, strict JSON, into a pointer to one of this package's types. A field is required unless
// its tag says omitempty or omitzero. What isn't exactly one JSON value of that shape is refused: unknown and doubled
// fields, null, numbers that don't fit, and more values or depth than a seed may have.
func Decode(text []byte, into any) *Error {
	root, err := seed.ParseJSON(text)
	if err != nil {
		var at *seed.Error
		if !errors.As(err, &at) {
			return &Error{Code: CodeInvalid, Message: err.Error()}
		}
		return invalid(at.Path, "%s", at.Msg)
	}
	return fill(root, reflect.ValueOf(into).Elem())
}

func invalid(path, format string, args ...any) *Error {
	what := fmt.Sprintf(format, args...)
	if path == "" {
		return &Error{Code: CodeInvalid, Message: "the request's body " + what}
	}
	return &Error{Code: CodeInvalid, Message: path + ": " + what, Details: map[string]string{"field": path}}
}

func fill(n *seed.Node, to reflect.Value) *Error {
	if to.Kind() == reflect.Pointer {
		to.Set(reflect.New(to.Type().Elem()))
		return fill(n, to.Elem())
	}
	text, isText := to.Addr().Interface().(encoding.TextUnmarshaler)
	want := seed.Object
	switch {
	case isText || to.Kind() == reflect.String:
		want = seed.String
	case to.Kind() == reflect.Bool:
		want = seed.Bool
	case to.CanInt() || to.CanUint():
		want = seed.Number
	case to.Kind() == reflect.Slice:
		want = seed.List
	}
	if n.Kind != want {
		return invalid(n.Path, "is %s, not %s", n.Kind, want)
	}
	switch {
	case isText:
		if err := text.UnmarshalText([]byte(n.Text)); err != nil {
			return invalid(n.Path, "%s", err)
		}
	case want == seed.String:
		to.SetString(n.Text)
	case want == seed.Bool:
		to.SetBool(n.Text == "true")
	case want == seed.Number:
		return number(n, to)
	case want == seed.List:
		to.Set(reflect.MakeSlice(to.Type(), len(n.Items), len(n.Items)))
		for i, item := range n.Items {
			if err := fill(item, to.Index(i)); err != nil {
				return err
			}
		}
	case to.Kind() == reflect.Struct:
		return object(n, to)
	}
	return nil
}

func number(n *seed.Node, to reflect.Value) *Error {
	bits := to.Type().Bits()
	var err error
	if to.CanUint() {
		var v uint64
		v, err = strconv.ParseUint(n.Text, 10, bits)
		to.SetUint(v)
	} else {
		var v int64
		v, err = strconv.ParseInt(n.Text, 10, bits)
		to.SetInt(v)
	}
	if err != nil {
		return invalid(n.Path, "%.64s is not a whole number that fits", n.Text)
	}
	return nil
}

func object(n *seed.Node, to reflect.Value) *Error {
	known := 0
	for i := range to.NumField() {
		name, options, _ := strings.Cut(to.Type().Field(i).Tag.Get("json"), ",")
		item := n.Get(name)
		if item == nil {
			if options == "" {
				return invalid(seed.Key(n.Path, name), "is missing")
			}
			continue
		}
		known++
		if err := fill(item, to.Field(i)); err != nil {
			return err
		}
	}
	if known < len(n.Keys) {
		for _, key := range n.Keys {
			if !hasField(to.Type(), key) {
				path := seed.Key(n.Path, key)
				return &Error{Code: CodeUnknownField, Message: path + ": this release of Keel doesn't know this field", Details: map[string]string{"field": path}}
			}
		}
	}
	return nil
}

func hasField(t reflect.Type, name string) bool {
	for i := range t.NumField() {
		if n, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); n == name {
			return true
		}
	}
	return false
}
