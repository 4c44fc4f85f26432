package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Format is a form of output.
type Format string

const (
	Table Format = "table"
	JSON  Format = "json"
	YAML  Format = "yaml"
)

// Formats are all of them.
var Formats = []string{string(Table), string(JSON), string(YAML)}

// ParseFormat returns the format of this name.
func ParseFormat(name string) (Format, error) {
	switch f := Format(name); f {
	case Table, JSON, YAML:
		return f, nil
	}
	return "", fmt.Errorf("--output %s is not possible: give table, json or yaml", name)
}

// Printer writes results.
type Printer struct {
	W      io.Writer
	Format Format
	Color  bool
}

// Print writes v as JSON or YAML, or what table makes of it.
func (p *Printer) Print(v any, table func(*Rows)) error {
	switch p.Format {
	case JSON:
		return WriteJSON(p.W, v)
	case YAML:
		return WriteYAML(p.W, v)
	}
	rows := &Rows{color: p.Color}
	table(rows)
	_, err := p.W.Write(rows.bytes())
	return err
}

// WriteJSON writes v as indented JSON.
func WriteJSON(w io.Writer, v any) error {
	text, err := encode(v, JSON)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// WriteLine writes v as JSON in one line, for a stream of them.
func WriteLine(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(escape(b.Bytes(), JSON))
	return err
}

func encode(v any, f Format) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return escape(b.Bytes(), f), nil
}

// escape escapes what can't be printed. In JSON, and in YAML's double quotes, it can only be inside of text.
func escape(text []byte, f Format) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		switch {
		case r == '\n' || strconv.IsPrint(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff && f == YAML:
			out = fmt.Appendf(out, `\U%08x`, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// WriteYAML writes v as YAML: the same keys in the same order as its JSON.
func WriteYAML(w io.Writer, v any) error {
	text, err := encode(v, YAML)
	if err != nil {
		return err
	}
	var root yaml.Node // JSON is YAML
	if err := yaml.Unmarshal(text, &root); err != nil {
		return err
	}
	blockStyle(&root)
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(&root); err != nil {
		return err
	}
	_, err = w.Write(escape(b.Bytes(), YAML))
	return err
}

// blockStyle undoes JSON's brackets and quotes; the encoder quotes what needs it.
func blockStyle(n *yaml.Node) {
	n.Style &^= yaml.FlowStyle
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		n.Style = 0
		if need := (&yaml.Node{Kind: yaml.ScalarNode, Value: n.Value}); need.ShortTag() != "!!str" || Clean(n.Value) != n.Value {
			n.Style = yaml.DoubleQuotedStyle
		}
	}
	for _, c := range n.Content {
		blockStyle(c)
	}
}
