package manifest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"keel/vmkernel/seed"
)

// Assign writes the ids that Load made into the YAML files of their VMs, below each VM's name, and leaves every other
// byte as it is. It changes either all of a file's VMs or nothing of the file.
func (s *Set) Assign() error {
	var order []*source
	bySource := map[*source][]Unassigned{}
	for _, u := range s.Unassigned {
		if u.doc.source.path == "" {
			return fmt.Errorf("VM %s: an id can't be written into standard input: name a file, or add id: %s", u.VM, u.ID)
		}
		if bySource[u.doc.source] == nil {
			order = append(order, u.doc.source)
		}
		bySource[u.doc.source] = append(bySource[u.doc.source], u)
	}
	for _, src := range order {
		text, err := insertIDs(src, bySource[src])
		if err != nil {
			return err
		}
		if now, err := os.ReadFile(src.path); err != nil || !bytes.Equal(now, src.text) {
			return fmt.Errorf("%s: changed while it was read: try again", src.name)
		}
		if err := Replace(src.path, text); err != nil {
			return err
		}
	}
	return nil
}

// insertIDs returns a file's text with the ids in it, after it has made sure that it means the same otherwise.
func insertIDs(src *source, vms []Unassigned) ([]byte, error) {
	lines := bytes.SplitAfter(src.text, []byte("\n"))
	for _, u := range slices.Backward(vms) { // from the end, so that line numbers before it stay true
		lines = insertID(lines, u)
	}
	changed := &source{name: src.name, path: src.path, dir: src.dir, text: bytes.Join(lines, nil)}

	// Nothing but the ids may differ: indentation, multi-line texts and flow style have too many forms to trust the above.
	want, _ := src.parse()
	for _, u := range vms {
		put(want[u.index].node, "id", &seed.Node{Kind: seed.String, Text: u.ID})
	}
	got, errs := changed.parse()
	good := len(errs) == 0 && slices.EqualFunc(got, want, func(a, b document) bool { return same(a.node, b.node) })
	if !good {
		return nil, fmt.Errorf("%s: can't add an id to VM %s here: add `id: %s` by hand", vms[0].Pos, vms[0].VM, vms[0].ID)
	}
	return changed.text, nil
}

// insertID adds an id to one VM: on a line of its own, or before the name where the document is in flow style.
func insertID(lines [][]byte, u Unassigned) [][]byte {
	var key, value *yaml.Node
	root := u.doc.yaml
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == "name" {
			key, value = root.Content[i], root.Content[i+1]
		}
	}
	if key == nil || key.Line < 1 || key.Line > len(lines) || value.Line < key.Line || value.Line > len(lines) {
		return lines
	}
	line := lines[key.Line-1]
	at := byteColumn(line, key.Column)
	if root.Style&yaml.FlowStyle != 0 {
		lines[key.Line-1] = slices.Concat(line[:at], []byte("id: "+u.ID+", "), line[at:])
		return lines
	}
	end := "\n"
	if bytes.HasSuffix(lines[value.Line-1], []byte("\r\n")) {
		end = "\r\n"
	}
	if last := lines[value.Line-1]; !bytes.HasSuffix(last, []byte("\n")) {
		lines[value.Line-1] = slices.Concat(last, []byte(end))
	}
	id := strings.Repeat(" ", at) + "id: " + u.ID + end
	return slices.Insert(lines, value.Line, []byte(id))
}

// byteColumn returns the offset in line of the character in this column, counted from 1.
func byteColumn(line []byte, column int) int {
	n := 0
	for i := range string(line) {
		if n++; n == column {
			return i
		}
	}
	return 0
}

// same reports whether two trees hold the same, wherever it was written and in whatever order of keys.
func same(a, b *seed.Node) bool {
	if a.Kind != b.Kind || a.Text != b.Text || len(a.Items) != len(b.Items) {
		return false
	}
	for i, item := range a.Items {
		other := b.Items[i]
		if a.Kind == seed.Object {
			other = b.Get(a.Keys[i])
		}
		if other == nil || !same(item, other) {
			return false
		}
	}
	return true
}

// Replace writes a file so that it is there either with its old or with its new contents, never in part. A file that
// exists keeps its permissions; one that is no regular file is written to directly.
func Replace(name string, data []byte) error {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	mode := os.FileMode(0o644)
	if stat, err := os.Stat(name); err == nil {
		if !stat.Mode().IsRegular() {
			return os.WriteFile(name, data, mode)
		}
		mode = stat.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return os.Rename(f.Name(), name)
}
