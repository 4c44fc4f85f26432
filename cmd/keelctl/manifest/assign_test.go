package manifest

import (
	"os"
	"strings"
	"testing"
)

func TestAssignAddsTheIDsAndNothingElse(t *testing.T) {
	const rest = "apiVersion: keel/v1\nkind: VM\nmemory: {size: 4MiB}\nboot: {kernel: k}\n"
	const first, second = "11111111-2222-4333-8444-000000000001", "11111111-2222-4333-8444-000000000002"
	tests := []struct{ name, yaml, want string }{
		{"comments stay",
			"# top\n" + rest + "name:   demo   # the name\n\n# end\n",
			"# top\n" + rest + "name:   demo   # the name\nid: " + first + "\n\n# end\n"},
		{"several documents",
			"---\n" + rest + "name: a\n---\n# none\n---\n" + rest + "name: b\nid: " + id1 + "\n---\n" + rest + "name: c\nlabels: {x: y}\n...\n",
			"---\n" + rest + "name: a\nid: " + first + "\n---\n# none\n---\n" + rest + "name: b\nid: " + id1 + "\n---\n" + rest + "name: c\nid: " + second + "\nlabels: {x: y}\n...\n"},
		{"no newline at the end",
			rest + "name: demo",
			rest + "name: demo\nid: " + first + "\n"},
		{"lines of Windows",
			strings.ReplaceAll(rest+"name: demo\ncpu: {count: 1}\n", "\n", "\r\n"),
			strings.ReplaceAll(rest+"name: demo\nid: "+first+"\ncpu: {count: 1}\n", "\n", "\r\n")},
		{"indented",
			"  " + strings.ReplaceAll(rest, "\n", "\n  ") + "name: demo\n",
			"  " + strings.ReplaceAll(rest, "\n", "\n  ") + "name: demo\n  id: " + first + "\n"},
		{"name on the next line",
			rest + "name:\n  demo\nlabels: {}\n",
			rest + "name:\n  demo\nid: " + first + "\nlabels: {}\n"},
		{"flow style",
			`{apiVersion: keel/v1, kind: VM, labels: {u: "ü"}, name: "demo", memory: {size: 4MiB}, boot: {kernel: k}}` + "\n",
			`{apiVersion: keel/v1, kind: VM, labels: {u: "ü"}, id: ` + first + `, name: "demo", memory: {size: 4MiB}, boot: {kernel: k}}` + "\n"},
	}
	for _, test := range tests {
		inDir(t, map[string]string{"k": "kernel", "host.yaml": test.yaml})
		set, err := load("host.yaml")
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if err := os.Chmod("host.yaml", 0o600); err != nil {
			t.Fatal(err)
		}
		if err := set.Assign(); err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		got, err := os.ReadFile("host.yaml")
		if err != nil || string(got) != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, got, test.want)
		}
		if stat, err := os.Stat("host.yaml"); err != nil || stat.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: permissions are now %v", test.name, stat.Mode())
		}
		again, err := load("host.yaml")
		if err != nil || len(again.Unassigned) > 0 || again.Document.VMs[0].ID != first {
			t.Errorf("%s: read again: %v", test.name, err)
		}
	}
}

func TestAssignLeavesAFileThatItCannotChangeSafely(t *testing.T) {
	const text = "apiVersion: keel/v1\nkind: VM\nmemory: {size: 4MiB}\nboot: {kernel: k}\nname: |-\n  demo\n"
	inDir(t, map[string]string{"k": "kernel", "host.yaml": text})
	set, err := load("host.yaml")
	if err != nil {
		t.Fatal(err)
	}
	err = set.Assign()
	const want = "host.yaml:1: can't add an id to VM demo here: add `id: 11111111-2222-4333-8444-000000000001` by hand"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if got, _ := os.ReadFile("host.yaml"); string(got) != text {
		t.Errorf("the file is now\n%s", got)
	}
}

func TestAssignLeavesAFileThatHasChanged(t *testing.T) {
	const text = "apiVersion: keel/v1\nkind: VM\nname: demo\nmemory: {size: 4MiB}\nboot: {kernel: k}\n"
	inDir(t, map[string]string{"k": "kernel", "host.yaml": text})
	set, err := load("host.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("host.yaml", []byte(text+"# new\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := set.Assign(); err == nil || err.Error() != "host.yaml: changed while it was read: try again" {
		t.Errorf("error %v", err)
	}
	if got, _ := os.ReadFile("host.yaml"); string(got) != text+"# new\n" {
		t.Errorf("the file is now\n%s", got)
	}
}
