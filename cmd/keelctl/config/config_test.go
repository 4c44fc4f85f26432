package config

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"keel/cmd/keelctl/exit"
)

func at(t *testing.T) string { return filepath.Join(t.TempDir(), "keel", "config.yaml") }

func TestContextsAreReadBackAsTheyWereSaved(t *testing.T) {
	path := at(t)
	f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Add("prod")
	if err != nil {
		t.Fatal(err)
	}
	c.User = "alice"
	c.Set(&Host{Name: "keel-1", Address: "192.0.2.1:443", Fingerprint: "SHA256:abc"})
	c.Set(&Host{Name: "keel-2", Address: "192.0.2.2:443", Fingerprint: "SHA256:def"})
	if err := f.Save(); err != nil {
		t.Fatal(err)
	}
	f, err = Load(path)
	if err != nil || f.Current != "prod" {
		t.Fatalf("%+v %v", f, err)
	}
	c, err = f.Find("prod")
	if err != nil || c.User != "alice" || c.Host != "keel-1" || c.KeyFile() != filepath.Join(filepath.Dir(path), "contexts", "prod", "user.key") {
		t.Fatalf("%+v %v", c, err)
	}
	h, err := c.Find("keel-2")
	if err != nil || h.Fingerprint != "SHA256:def" {
		t.Errorf("%+v %v", h, err)
	}
	if _, err := f.Add("prod"); exit.Code(err) != exit.Conflict {
		t.Errorf("a second of the name: %v", err)
	}
	if _, err := c.Find("keel-3"); exit.Code(err) != exit.NotFound || !strings.Contains(err.Error(), "keel-1, keel-2") {
		t.Errorf("a host that isn't there: %v", err)
	}
	c.Remove("keel-1")
	if c.Host != "keel-2" {
		t.Errorf("the only host left isn't the default: %q", c.Host)
	}
}

func TestFilesAreForTheirOwnerAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such permissions")
	}
	path := at(t)
	f, _ := Load(path)
	c, err := f.Add("prod")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Save(); err != nil {
		t.Fatal(err)
	}
	if err := Create(c.KeyFile(), []byte("secret")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, c.KeyFile()} {
		if stat, err := os.Stat(name); err != nil || stat.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, stat.Mode(), err)
		}
	}
	if stat, err := os.Stat(c.Dir()); err != nil || stat.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", stat.Mode(), err)
	}
	if data, err := ReadSecret(c.KeyFile()); err != nil || string(data) != "secret" {
		t.Errorf("%q %v", data, err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620} {
		os.Chmod(c.KeyFile(), mode)
		if _, err := ReadSecret(c.KeyFile()); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("a key of mode %o is used: %v", mode, err)
		}
	}
	os.Chmod(path, 0o664)
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "can be changed by others") {
		t.Errorf("a configuration that others can change is used: %v", err)
	}
}

func TestNothingIsOverwrittenByCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "ca.key")
	if err := Create(path, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := Create(path, []byte("second")); exit.Code(err) != exit.Conflict {
		t.Errorf("overwritten: %v", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "first" {
		t.Errorf("it holds %q", data)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// Many at once: one wins, and the file is whole.
func TestCreateHasOneWinner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.key")
	var group sync.WaitGroup
	won := make(chan int, 16)
	for i := range 16 {
		group.Go(func() {
			if Create(path, []byte(strings.Repeat("x", 1000+i))) == nil {
				won <- 1000 + i
			}
		})
	}
	group.Wait()
	close(won)
	size, ok := <-won
	if data, err := os.ReadFile(path); !ok || err != nil || len(data) != size || len(won) != 0 {
		t.Errorf("%d bytes, %d winners more, %v", len(data), len(won), err)
	}
}

func TestASaveDoesNotUndoAnothers(t *testing.T) {
	path := at(t)
	a, _ := Load(path)
	b, _ := Load(path)
	a.Add("a")
	b.Add("b")
	if err := a.Save(); err != nil {
		t.Fatal(err)
	}
	if err := b.Save(); exit.Code(err) != exit.Conflict {
		t.Errorf("the other's context is lost: %v", err)
	}
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"apiVersion: keelctl/v9\n":                                                      "understands keelctl/v1",
		"apiVersion: keelctl/v1\nfuture: 1\n":                                           "future",
		"apiVersion: keelctl/v1\ncontexts: [{name: ../../x}]\n":                         "can't be the name",
		"apiVersion: keelctl/v1\ncontexts: [{name: a, hosts: [{name: a/b}]}]\n":         "can't be the name",
		"apiVersion: keelctl/v1\ncontexts: [{name: a, hosts: [{name: a, address: [}]\n": "line",
		"apiVersion: keelctl/v1\ncontexts: [null]\n":                                    "empty",
		"apiVersion: keelctl/v1\ncontexts: [{name: a, hosts: [null]}]\n":                "empty",
	} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		os.WriteFile(path, []byte(text), 0o600)
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestWhereTheConfigurationIs(t *testing.T) {
	env := map[string]string{"XDG_CONFIG_HOME": "/x"}
	get := func(name string) string { return env[name] }
	if path, err := Path(get); err != nil || path != filepath.Join("/x", "keel", "config.yaml") {
		t.Errorf("%s %v", path, err)
	}
	env["KEEL_CONFIG"] = "/y/z.yaml"
	if path, _ := Path(get); path != "/y/z.yaml" {
		t.Error(path)
	}
	env = map[string]string{"XDG_CONFIG_HOME": "relative"}
	if _, err := Path(get); err == nil {
		t.Error("a relative XDG_CONFIG_HOME is used")
	}
	if _, err := ReadSecret(t.TempDir()); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory as a key: %v", err)
	}
}
