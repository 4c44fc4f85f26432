package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"

	"keel/vmkernel/seed"
)

// Format writes a VM as the YAML that Load reads: with units, without what is a default by being empty.
func Format(vm *seed.VM) ([]byte, error) {
	text, err := json.Marshal(vm)
	if err != nil {
		return nil, err
	}
	var root yaml.Node // JSON is YAML
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	n := root.Content[0]
	plain(n)
	for _, key := range []struct {
		path   []string
		format func(uint64) string
	}{
		{[]string{"memory", "size"}, seed.FormatSize},
		{[]string{"memory", "reservation"}, seed.FormatSize},
		{[]string{"memory", "limit"}, seed.FormatSize},
		{[]string{"cpu", "reservation"}, seed.FormatPercent},
		{[]string{"cpu", "limit"}, seed.FormatPercent},
	} {
		value := find(n, key.path...)
		if value == nil {
			continue
		}
		v, err := strconv.ParseUint(value.Value, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", key.path, err)
		}
		value.SetString(key.format(v))
	}
	for _, later := range []struct{ group, key string }{{"cpu", "shares"}, {"memory", "shares"}} {
		if value := find(n, later.group, later.key); value != nil && value.Value == "0" {
			drop(find(n, later.group), later.key)
		}
	}
	header := func(key, value string) []*yaml.Node {
		return []*yaml.Node{{Kind: yaml.ScalarNode, Value: key}, {Kind: yaml.ScalarNode, Value: value}}
	}
	n.Content = append(append(header("apiVersion", seed.APIVersion), header("kind", "VM")...), n.Content...)
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(&root); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// plain undoes JSON's brackets and quotes; the encoder quotes what would be read as something else than text.
func plain(n *yaml.Node) {
	n.Style = 0
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		n.SetString(n.Value)
	}
	for _, c := range n.Content {
		plain(c)
	}
}

// find returns the value at a path of keys, or nil.
func find(n *yaml.Node, path ...string) *yaml.Node {
	if len(path) == 0 {
		return n
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == path[0] {
			return find(n.Content[i+1], path[1:]...)
		}
	}
	return nil
}

func drop(n *yaml.Node, key string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content = append(n.Content[:i:i], n.Content[i+2:]...)
			return
		}
	}
}
