package seed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a document's tree, so that a small text can't become a large one in memory.
const (
	maxDepth = 16
	maxNodes = 1 << 16
)

// Kind is the kind of a Node.
type Kind uint8

const (
	Null Kind = iota
	Bool
	Number
	String
	List
	Object
)

func (k Kind) String() string {
	return [...]string{"nothing", "true or false", "a number", "text", "a list", "a group of keys"}[k]
}

// Node is one value of a document, be it keel.json or YAML, with the place where it was written.
type Node struct {
	Kind  Kind
	Pos   string   // file and line, such as "host.yaml:14"; empty in keel.json
	Path  string   // such as "vms[0].cpu.count"; empty for a document's root
	Text  string   // Bool: "true" or "false"; Number: as written, in decimal; String: the text
	Items []*Node  // List: its elements; Object: its values
	Keys  []string // Object: the keys of Items
}

// Get returns the value of an Object's key, or nil.
func (n *Node) Get(key string) *Node {
	for i, k := range n.Keys {
		if k == key {
			return n.Items[i]
		}
	}
	return nil
}

// Key appends a key to a path.
func Key(path, key string) string {
	if !plain(key) || strings.ContainsAny(key, "./") {
		key = quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// Index appends a list's index to a path.
func Index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// place names n in a message about another node.
func (n *Node) place() string {
	if n.Pos != "" {
		return n.Pos
	}
	return n.Path
}

// Error is one fault of a document.
type Error struct {
	Pos  string // as in Node
	Path string // as in Node
	Msg  string
}

func (e *Error) Error() string {
	s := e.Pos
	if s == "" {
		s = "seed: " + Manifest
	}
	if e.Path != "" {
		s += ": " + e.Path
	}
	return s + ": " + e.Msg
}

// Problems are the faults of one part of a document, in the order in which they were found.
type Problems []*Error

// Error returns one line with the first of them.
func (p Problems) Error() string {
	const most = 3
	var said []string
	for _, e := range p[:min(most, len(p))] {
		said = append(said, e.Error())
	}
	if more := len(p) - most; more > 0 {
		said = append(said, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(said, "; ")
}

// ParseJSON returns the tree of a JSON text. It refuses what encoding/json forgives: duplicate keys, invalid UTF-8, null.
func ParseJSON(text []byte) (*Node, error) {
	if !utf8.Valid(text) {
		return nil, &Error{Msg: "is not UTF-8 text"}
	}
	var whole json.RawMessage
	if err := json.Unmarshal(text, &whole); err != nil {
		line := 1
		if s, ok := err.(*json.SyntaxError); ok {
			line += bytes.Count(text[:min(s.Offset, int64(len(text)))], []byte("\n"))
		}
		return nil, &Error{Msg: fmt.Sprintf("line %d: %s", line, err)}
	}
	p := jsonParser{dec: json.NewDecoder(bytes.NewReader(text))}
	p.dec.UseNumber()
	return p.value("", 0)
}

type jsonParser struct {
	dec   *json.Decoder
	nodes int
}

// value reads one value. The text is known to be valid JSON, so that only its shape can be wrong.
func (p *jsonParser) value(path string, depth int) (*Node, error) {
	n := &Node{Path: path}
	if p.nodes++; p.nodes > maxNodes {
		return nil, &Error{Path: path, Msg: fmt.Sprintf("the document has more than %d values", maxNodes)}
	}
	if depth > maxDepth {
		return nil, &Error{Path: path, Msg: fmt.Sprintf("is nested more than %d deep", maxDepth)}
	}
	token, err := p.dec.Token()
	if err != nil {
		return nil, &Error{Path: path, Msg: err.Error()}
	}
	switch t := token.(type) {
	case nil:
		return nil, &Error{Path: path, Msg: "is null: give a value or leave the key out"}
	case bool:
		n.Kind, n.Text = Bool, strconv.FormatBool(t)
	case json.Number:
		n.Kind, n.Text = Number, t.String()
	case string:
		n.Kind, n.Text = String, t
	case json.Delim:
		n.Kind = List
		if t == '{' {
			n.Kind = Object
		}
		if err := p.items(n, depth); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// items reads the elements of a List or an Object, and its end.
func (p *jsonParser) items(n *Node, depth int) error {
	seen := map[string]bool{}
	for p.dec.More() {
		path := Index(n.Path, len(n.Items))
		if n.Kind == Object {
			token, err := p.dec.Token()
			key, ok := token.(string)
			if err != nil || !ok {
				return &Error{Path: n.Path, Msg: "has a key that is not text"}
			}
			path = Key(n.Path, key)
			if seen[key] {
				return &Error{Path: path, Msg: "is there twice"}
			}
			seen[key] = true
			n.Keys = append(n.Keys, key)
		}
		item, err := p.value(path, depth+1)
		if err != nil {
			return err
		}
		n.Items = append(n.Items, item)
	}
	_, err := p.dec.Token()
	return err
}

// plain reports whether s can stand in a path or a message as it is.
func plain(s string) bool {
	for _, c := range []byte(s) {
		if !alphanumeric(c) && c != '-' && c != '_' && c != '.' && c != '/' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// quote quotes a hostile text for a message, cut to a readable length.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		return strconv.QuoteToASCII(s[:most]) + "..."
	}
	return strconv.QuoteToASCII(s)
}
