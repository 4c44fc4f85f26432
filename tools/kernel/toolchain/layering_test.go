package toolchain

import (
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// knowing are the folders whose code may differ between the toolchains.
var knowing = []string{"goos", "boot"}

// TestOnlyGoosAndBootKnowTheToolchain reads all source: the rest has the same code for either toolchain.
func TestOnlyGoosAndBootKnowTheToolchain(t *testing.T) {
	found := map[string]bool{}
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name == "build" || strings.HasPrefix(name, ".") && name != "." {
				return fs.SkipDir
			}
			return nil
		}
		if ext := filepath.Ext(name); ext != ".go" && ext != ".s" && ext != ".h" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		why := dependence(name, string(text))
		found[name] = why != ""
		top, _, _ := strings.Cut(filepath.ToSlash(name), "/")
		if why != "" && !slices.Contains(knowing, top) {
			t.Errorf("%s %s: only %s may depend on the toolchain", name, why, strings.Join(knowing, " and "))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// So that a check that reads nothing doesn't pass.
	if files < 300 || !found[filepath.Join("goos", "hooks_tamago.go")] || !found[filepath.Join("boot", "runtime_amd64.s")] {
		t.Errorf("read %d files, and not what depends on the toolchain: %v", files, found)
	}
}

// dependence says in which way a file's code depends on the toolchain, "" where it doesn't.
func dependence(name, text string) string {
	base := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	if slices.Contains(strings.Split(base, "_")[1:], TamaGo) {
		return "has the suffix _" + TamaGo
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !constraint.IsGoBuild(line) && !constraint.IsPlusBuild(line) {
			continue
		}
		x, err := constraint.Parse(line)
		if err != nil {
			return "has a build constraint that can't be read: " + err.Error()
		}
		if slices.Contains(tags(x), TamaGo) {
			return "has the build constraint " + line
		}
	}
	if filepath.Ext(name) != ".go" {
		return ""
	}
	f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
	if err != nil {
		return "can't be read: " + err.Error()
	}
	asks, names := false, false
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			p, ok := n.X.(*ast.Ident)
			asks = asks || ok && p.Name == "runtime" && n.Sel.Name == "GOOS"
		case *ast.BasicLit:
			names = names || n.Value == `"`+TamaGo+`"` || n.Value == "`"+TamaGo+"`"
		case *ast.ImportSpec:
			if n.Path.Value == `"runtime/goos"` {
				asks, names = true, true
			}
		}
		return true
	})
	if asks && names {
		return "asks for runtime.GOOS or imports runtime/goos"
	}
	return ""
}

// tags are those that a build constraint names.
func tags(x constraint.Expr) []string {
	switch x := x.(type) {
	case *constraint.TagExpr:
		return []string{x.Tag}
	case *constraint.NotExpr:
		return tags(x.X)
	case *constraint.AndExpr:
		return append(tags(x.X), tags(x.Y)...)
	case *constraint.OrExpr:
		return append(tags(x.X), tags(x.Y)...)
	}
	return nil
}

func TestDependenceOnTheToolchainIsFound(t *testing.T) {
	const plain = "package p\n"
	for _, c := range []struct {
		name, text string
		want       bool
	}{
		{"a.go", plain, false},
		{"tamago.go", plain, false}, // a file's whole name is no suffix
		{"a_tamago.go", plain, true},
		{"a_tamago_amd64.s", "", true},
		{"a_tamago_test.go", plain, true},
		{"a.go", "//go:build tamago\n\n" + plain, true},
		{"a.s", "//go:build !tamago && amd64\n", true},
		{"a.go", "//go:build linux || (arm64 && !tamago)\n\n" + plain, true},
		{"a.go", "// +build tamago\n\n" + plain, true},
		{"a.go", "//go:build linux\n\n" + plain, false},
		{"a.go", plain + "import \"runtime\"\nvar x = runtime.GOOS == \"tamago\"\n", true},
		{"a.go", plain + "import \"runtime\"\nvar x = runtime.GOOS == \"windows\"\n", false},
		{"a.go", plain + "import \"runtime\"\nfunc f() { switch runtime.GOOS { case `tamago`: } }\n", true},
		{"a.go", plain + "import \"runtime/goos\"\nvar x = goos.RamSize\n", true},
		{"a.go", plain + "// Under tamago.\nvar x = \"tamago\"\n", false},
	} {
		if got := dependence(c.name, c.text); (got != "") != c.want {
			t.Errorf("%s %q: %q", c.name, c.text, got)
		}
	}
}
