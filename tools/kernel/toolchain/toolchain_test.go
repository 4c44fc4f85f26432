package toolchain

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../../.."

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestToolchainsThatAreNot(t *testing.T) {
	for _, c := range []struct{ toolchain, tamago, want string }{
		{"gcc", "", "TOOLCHAIN=gcc is none"},
		{TamaGo, "", "needs TAMAGO="},
		{TamaGo, "/nowhere/go", "is no go command"},
		{TamaGo, "go", "is not TamaGo's"},
	} {
		t.Setenv("TOOLCHAIN", c.toolchain)
		t.Setenv("TAMAGO", c.tamago)
		if _, err := FromEnvironment(t.Context(), root); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("TOOLCHAIN=%s TAMAGO=%s: %v, want %q", c.toolchain, c.tamago, err, c.want)
		}
	}
}

func TestOtherVersionsOfTamaGoAreRefusedBySentence(t *testing.T) {
	modules := "module keel\n\ngo 1.26.0\n\nrequire (\n\tgvisor.dev/gvisor v0.0.0-2025\n)\n"
	for has, good := range map[string]bool{"go1.26.0": true, "go1.26.4": false, "go1.26": false, "go1.25.9": false, "go1.27.0": false, "": false} {
		err := compare(has, modules)
		if (err == nil) != good {
			t.Errorf("%s: %v", has, err)
		}
		if err != nil && !strings.Contains(err.Error(), "by TamaGo go1.26.0, with gVisor v0.0.0-2025") {
			t.Errorf("%s: %v", has, err)
		}
	}
	if err := compare("go1.26.0", read(t, tamagoModules)); err != nil {
		t.Error(err)
	}
}

// Both builds use the same modules, but for Go's version, gVisor's, and what follows from that.
func TestModulesAreTheSameForBothToolchains(t *testing.T) {
	direct := func(text string) string {
		_, text, _ = strings.Cut(text, "require (")
		text, _, _ = strings.Cut(text, ")")
		return gvisorLine.ReplaceAllString(text, "gvisor")
	}
	if a, b := direct(read(t, "go.mod")), direct(read(t, tamagoModules)); a != b {
		t.Errorf("go.mod requires%s\n%s requires%s", a, tamagoModules, b)
	}
}
