package toolchain

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// runtimeFile declares what takes the place of functions and constants of TamaGo's package runtime, which stand in runtimeSources.
const runtimeFile = "goos/runtime/runtime_tamago.go"

// added begins the names of what it adds.
const added = "keel"

var runtimeSources = []string{"os_tamago.go", "idle_tamago.go", "netpoll_fake.go", "mem_sbrk.go", "proc.go"}

// overlay writes what the go command's flag -overlay takes to dir, and returns the flag: package runtime, whose source is in src,
// gets runtimeFile of Keel's source in root, and the names of what that replaces are changed.
func overlay(dir, src, root string) (string, error) {
	ours, err := filepath.Abs(filepath.Join(root, runtimeFile))
	if err != nil {
		return "", err
	}
	f, err := parser.ParseFile(token.NewFileSet(), ours, nil, parser.SkipObjectResolution)
	if err != nil {
		return "", err
	}
	var missing []string
	for _, n := range replaceable(f) {
		if !strings.HasPrefix(n.Name, added) {
			missing = append(missing, n.Name)
		}
	}
	files := map[string]string{filepath.Join(src, "keel_tamago.go"): ours}
	for _, name := range runtimeSources {
		path := filepath.Join(src, name)
		text, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("this is not the runtime of the supported TamaGo: %w", err)
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, text, parser.SkipObjectResolution)
		if err != nil {
			return "", err
		}
		for _, n := range slices.Backward(replaceable(f)) {
			if i := slices.Index(missing, n.Name); i >= 0 {
				missing = slices.Delete(missing, i, i+1)
				text = slices.Insert(text, fset.Position(n.Pos()).Offset, []byte("replaced_")...)
			}
		}
		files[path] = filepath.Join(dir, name)
		if err := os.WriteFile(files[path], text, 0o644); err != nil {
			return "", err
		}
	}
	if len(missing) != 0 {
		return "", fmt.Errorf("%s replaces %v, which TamaGo's runtime in %s hasn't", runtimeFile, missing, src)
	}
	list, err := json.Marshal(map[string]any{"Replace": files})
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "overlay.json")
	return "-overlay=" + name, os.WriteFile(name, list, 0o644)
}

// replaceable are the names of the functions and constants that f declares, in their order.
func replaceable(f *ast.File) (names []*ast.Ident) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				names = append(names, d.Name)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if v, ok := s.(*ast.ValueSpec); ok && d.Tok == token.CONST {
					names = append(names, v.Names...)
				}
			}
		}
	}
	return names
}
