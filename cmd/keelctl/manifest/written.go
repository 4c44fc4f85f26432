package manifest

import (
	"encoding/json"

	"keel/vmkernel/seed"
)

// Written returns a VM as JSON with the keys alone that its YAML has. vm is Document.VMs[i], with other file names perhaps.
// What the YAML leaves out is for the host to say: it may be of an older version, that doesn't know all keys which have
// a default here, and refuses what it doesn't know.
func (s *Set) Written(i int, vm *seed.VM) (json.RawMessage, error) {
	text, err := json.Marshal(vm)
	if err != nil {
		return nil, err
	}
	var whole any
	if err := json.Unmarshal(text, &whole); err != nil {
		return nil, err
	}
	return json.Marshal(only(whole, s.written[i]))
}

// only returns of a JSON value what a node has keys for.
func only(value any, n *seed.Node) any {
	switch v := value.(type) {
	case map[string]any:
		if n.Kind != seed.Object {
			return value
		}
		for key, item := range v {
			if given := n.Get(key); given != nil {
				v[key] = only(item, given)
			} else {
				delete(v, key)
			}
		}
	case []any:
		if n.Kind != seed.List || len(v) != len(n.Items) {
			return value
		}
		for i := range v {
			v[i] = only(v[i], n.Items[i])
		}
	}
	return value
}
