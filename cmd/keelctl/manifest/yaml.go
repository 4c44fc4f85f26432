package manifest

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"keel/vmkernel/seed"
)

const maxDepth = 16

// document is one YAML document.
type document struct {
	source *source
	yaml   *yaml.Node // its root
	node   *seed.Node // the same, converted
}

// source is one YAML file.
type source struct {
	name string // as given, for messages
	path string // empty for standard input
	dir  string // that the names of files are relative to
	text []byte
}

// parse returns the documents of a file, without the empty ones.
func (s *source) parse() ([]document, Errors) {
	var (
		docs []document
		errs Errors
	)
	decoder := yaml.NewDecoder(bytes.NewReader(s.text))
	for {
		var root yaml.Node
		err := decoder.Decode(&root)
		if err == io.EOF {
			return docs, errs
		}
		if err != nil {
			return docs, append(errs, s.syntax(err))
		}
		y := root.Content[0]
		if y.Kind == yaml.ScalarNode && y.ShortTag() == "!!null" {
			continue
		}
		c := converter{source: s}
		node := c.convert(y, s.pos(y.Line), "", 0)
		errs = append(errs, c.errs...)
		if len(c.errs) == 0 {
			docs = append(docs, document{s, y, node})
		}
	}
}

func (s *source) pos(line int) string { return fmt.Sprintf("%s:%d", s.name, line) }

var (
	yamlError = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)$`)
	// The library counts lines from 1 in what its scanner finds and from 0 in what its parser finds, which is this.
	parserError   = regexp.MustCompile(`^did not find expected (key|node content|'-' indicator|',' or .*|<.*)$`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// syntax gives an error of the YAML library its file and line.
func (s *source) syntax(err error) error {
	match := yamlError.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " "))
	line, msg := 1, match[2]
	if match[1] != "" {
		line, _ = strconv.Atoi(match[1])
		if parserError.MatchString(msg) {
			line++
		}
	}
	if strings.Contains(msg, "tab character") { // the line is that of the value before the tab
		lines := bytes.Split(s.text, []byte("\n"))
		for line < len(lines) && !bytes.Contains(lines[line-1], []byte("\t")) {
			line++
		}
	}
	if anchor := unknownAnchor.FindStringSubmatch(msg); anchor != nil {
		before, _, _ := bytes.Cut(s.text, []byte("*"+anchor[1]))
		line = 1 + bytes.Count(before, []byte("\n"))
	}
	return &seed.Error{Pos: s.pos(line), Msg: msg}
}

// converter turns YAML nodes into seed.Nodes.
type converter struct {
	source *source
	errs   Errors
}

func (c *converter) fail(pos, path, format string, args ...any) {
	c.errs = append(c.errs, &seed.Error{Pos: pos, Path: path, Msg: fmt.Sprintf(format, args...)})
}

// convert returns y as a Node. pos is where to look for it: the line of its key rather than of a block below the key.
func (c *converter) convert(y *yaml.Node, pos, path string, depth int) *seed.Node {
	n := &seed.Node{Pos: pos, Path: path}
	if depth > maxDepth {
		c.fail(pos, path, "is nested more than %d deep", maxDepth)
		return n
	}
	switch y.Kind {
	case yaml.ScalarNode:
		c.scalar(n, y)
	case yaml.SequenceNode:
		n.Kind = seed.List
		for i, item := range y.Content {
			n.Items = append(n.Items, c.convert(item, c.source.pos(item.Line), seed.Index(path, i), depth+1))
		}
	case yaml.MappingNode:
		n.Kind = seed.Object
		for i := 0; i+1 < len(y.Content); i += 2 {
			key, value := y.Content[i], y.Content[i+1]
			keyPos, keyPath := c.source.pos(key.Line), seed.Key(path, key.Value)
			if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
				c.fail(keyPos, path, "has a key that is not plain text")
				continue
			}
			if first := n.Get(key.Value); first != nil {
				c.fail(keyPos, keyPath, "is there twice (first at %s)", first.Pos)
				continue
			}
			n.Keys = append(n.Keys, key.Value)
			n.Items = append(n.Items, c.convert(value, keyPos, keyPath, depth+1))
		}
	default: // an alias
		c.fail(pos, path, "YAML aliases (*%s) are not possible here: write the value out", y.Value)
	}
	return n
}

// scalar reads a single value as the YAML 1.2 core schema does. What has no kind of its own here, such as a date, is text.
func (c *converter) scalar(n *seed.Node, y *yaml.Node) {
	n.Kind, n.Text = seed.String, y.Value
	switch y.ShortTag() {
	case "!!null":
		n.Kind = seed.Null
	case "!!bool":
		n.Kind, n.Text = seed.Bool, strings.ToLower(y.Value)
	case "!!float":
		n.Kind = seed.Number
	case "!!int":
		n.Kind = seed.Number
		var v int64
		if y.Decode(&v) == nil { // else it has more than 64 bits: as it is written
			n.Text = strconv.FormatInt(v, 10)
		}
	case "!!str", "!!timestamp":
	default:
		c.fail(n.Pos, n.Path, "the YAML tag %s is not possible here", y.Tag)
	}
}
