package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func TestWhatTheToolchainDoesNotKnowIsNotNamed(t *testing.T) {
	for _, info := range []*debug.BuildInfo{nil, {}, {Main: debug.Module{Version: "(devel)"}}} {
		if got := of(info); got != (Version{Name: Unstamped}) {
			t.Errorf("%+v: %+v", info, got)
		}
	}
}

// A program that is built from a checkout names the commit, by the toolchain that builds Keel and no flags of ours.
func TestAProgramNamesTheCommitThatItWasBuiltFrom(t *testing.T) {
	dir := t.TempDir()
	run := func(name string, args ...string) string {
		t.Helper()
		c := exec.Command(name, args...)
		c.Dir = dir
		c.Env = append(os.Environ(), "GOFLAGS=-trimpath", "GOWORK=off", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_COMMITTER_DATE=2026-11-28T12:00:00Z")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	own, err := os.ReadFile("release.go")
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		"go.mod":     "module keel\n\ngo 1.26\n",
		"main.go":    "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Printf(\"%+v\", Own()) }\n",
		"release.go": strings.Replace(string(own), "package release", "package main", 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run("git", "init", "-q")
	run("git", "add", ".")
	run("git", "-c", "user.name=t", "-c", "user.email=t@example", "commit", "-qm", "one")
	revision := run("git", "rev-parse", "HEAD")
	build := func() string {
		run("go", "build", "-o", filepath.Join(dir, ".git", "program"), ".")
		return run(filepath.Join(dir, ".git", "program"))
	}
	pseudo := "v0.0.0-20261128120000-" + revision[:12]
	for _, c := range []struct{ change, name string }{
		{"", pseudo},
		{"tag", "v1.2.3"},
		{"edit", "v1.2.3+dirty"},
	} {
		switch c.change {
		case "tag":
			run("git", "tag", "v1.2.3")
		case "edit":
			if err := os.WriteFile(filepath.Join(dir, "README"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := build(), "{Name:"+c.name+" Revision:"+revision+" Time:2026-11-28T12:00:00Z}"; got != want {
			t.Errorf("%s: %s, want %s", c.change, got, want)
		}
	}
}
