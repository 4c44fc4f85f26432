package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// An msr is a model-specific register, or a range of them, that a guest can read or write.
type msr struct {
	name   string
	first  uint64
	count  uint64
	passed [2][2]bool // by vendor: read, written without leaving the guest
	exits  [2]bool    // by vendor: answered by the lower half
}

func (m msr) addresses() string {
	if m.count > 1 {
		return fmt.Sprintf("%08x..%08x", m.first, m.first+m.count-1)
	}
	return fmt.Sprintf("%08x", m.first)
}

// access says how a vendor's guests reach the register.
func (m msr) access(vendor int) string {
	var how []string
	if p := m.passed[vendor]; p[0] && p[1] {
		return "its own"
	} else if p[0] {
		how = append(how, "read directly")
	} else if p[1] {
		how = append(how, "written directly")
	}
	if m.exits[vendor] {
		how = append(how, "answered by the lower half")
	}
	if len(how) == 0 {
		return "-"
	}
	return strings.Join(how, ", ")
}

// answers are the functions that answer a guest's RDMSR and WRMSR, by cases of a switch over
// constants, and that let it at registers directly, by calls with constants.
var answers = []struct {
	dir     string
	funcs   []string // with a switch
	pass    string   // called with register, read, written; or in a loop over all of a range
	vendors []int
}{
	{"vmkernel/core", []string{"readMSR", "writeMSR"}, "", []int{0, 1}},
	{"arch/amd64/vmx", []string{"GetMSR", "SetMSR"}, "passMSR", []int{0}},
	{"arch/amd64/svm", []string{"GetMSR", "SetMSR", "msr"}, "allowMSR", []int{1}},
}

// x2APIC is how many MSRs the local APIC has from lapic.MSRx2APIC on.
const x2APIC = 0x40

// msrs reads them from the source in root.
func msrs(root string) ([]msr, error) {
	known := map[uint64]*msr{}
	get := func(name string, value uint64) *msr {
		m := known[value]
		if m == nil {
			m = &msr{name: name, first: value, count: 1}
			if name == "lapic.MSRx2APIC" {
				m.count = x2APIC
			}
			known[value] = m
		}
		return m
	}
	constants := map[string]uint64{}
	for dir, prefix := range map[string]string{"arch/amd64": "amd64.", "vmkernel/device/lapic": "lapic."} {
		if err := constantsOf(filepath.Join(root, dir), prefix, constants); err != nil {
			return nil, err
		}
	}
	for _, a := range answers {
		own := map[string]uint64{}
		for k, v := range constants {
			own[k] = v
		}
		dir := filepath.Join(root, a.dir)
		if err := constantsOf(dir, "", own); err != nil {
			return nil, err
		}
		files, err := parse(dir)
		if err != nil {
			return nil, err
		}
		found := false
		for _, f := range files {
			for _, d := range f.Decls {
				fn, is := d.(*ast.FuncDecl)
				if !is || fn.Body == nil {
					continue
				}
				ast.Inspect(fn.Body, func(n ast.Node) bool {
					switch n := n.(type) {
					case *ast.CaseClause:
						if !slices.Contains(a.funcs, fn.Name.Name) {
							return true
						}
						for _, e := range n.List {
							for _, name := range namesIn(e) {
								if v, is := own[name]; is && isMSR(name) {
									found = true
									for _, vendor := range a.vendors {
										get(name, v).exits[vendor] = true
									}
								}
							}
						}
					case *ast.ForStmt:
						first, last, is := rangeOf(n, own)
						if !is || a.pass == "" || !calls(n.Body, a.pass) {
							return true
						}
						for name, v := range own {
							if v >= first && v <= last && isMSR(name) {
								for _, vendor := range a.vendors {
									get(name, v).passed[vendor] = [2]bool{true, true}
								}
							}
						}
					case *ast.CallExpr:
						if a.pass == "" || len(n.Args) != 3 || !strings.HasSuffix(text(n.Fun), a.pass) {
							return true
						}
						name := text(n.Args[0])
						v, is := own[name]
						if !is {
							return true
						}
						for _, vendor := range a.vendors {
							m := get(name, v)
							m.passed[vendor] = [2]bool{text(n.Args[1]) == "true", text(n.Args[2]) == "true"}
						}
					}
					return true
				})
			}
		}
		if !found {
			return nil, fmt.Errorf("%s: no MSR in a switch of %v: have they been renamed? See tools/surface/msr.go", a.dir, a.funcs)
		}
	}
	var list []msr
	for _, m := range known {
		m.name = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(m.name, "amd64."), "lapic."), "MSR_")
		list = append(list, *m)
	}
	slices.SortFunc(list, func(a, b msr) int { return cmp.Compare(a.first, b.first) })
	return list, nil
}

// rangeOf returns the bounds of a loop of the form for x := uint32(A); x <= B; x++.
func rangeOf(f *ast.ForStmt, constants map[string]uint64) (first, last uint64, is bool) {
	init, is1 := f.Init.(*ast.AssignStmt)
	cond, is2 := f.Cond.(*ast.BinaryExpr)
	if !is1 || !is2 || cond.Op != token.LEQ || len(init.Rhs) != 1 {
		return 0, 0, false
	}
	convert, is := init.Rhs[0].(*ast.CallExpr)
	if !is || len(convert.Args) != 1 {
		return 0, 0, false
	}
	first, is1 = constants[text(convert.Args[0])]
	last, is2 = constants[text(cond.Y)]
	return first, last, is1 && is2
}

// calls says whether a block calls a function or method of that name.
func calls(b *ast.BlockStmt, name string) bool {
	found := false
	ast.Inspect(b, func(n ast.Node) bool {
		c, is := n.(*ast.CallExpr)
		found = found || is && strings.HasSuffix(text(c.Fun), name)
		return !found
	})
	return found
}

func isMSR(name string) bool {
	_, short, found := strings.Cut(name, ".")
	if !found {
		short = name
	}
	return strings.HasPrefix(strings.ToLower(short), "msr")
}

func parse(dir string) ([]*ast.File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// constantsOf adds the constants of a package that are written as numbers.
func constantsOf(dir, prefix string, to map[string]uint64) error {
	files, err := parse(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, is := n.(*ast.ValueSpec)
			if !is || len(spec.Names) != len(spec.Values) {
				return true
			}
			for i, name := range spec.Names {
				if lit, is := spec.Values[i].(*ast.BasicLit); is && lit.Kind == token.INT {
					if v, exact := constant.Uint64Val(constant.MakeFromLiteral(lit.Value, token.INT, 0)); exact {
						to[prefix+name.Name] = v
					}
				}
			}
			return true
		})
	}
	return nil
}

// namesIn returns the names, with their package, in an expression.
func namesIn(e ast.Expr) []string {
	var names []string
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			names = append(names, text(n))
			return false
		case *ast.Ident:
			names = append(names, n.Name)
		}
		return true
	})
	return names
}

// text is an identifier, or one of a package, as it is written.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return text(e.X) + "." + e.Sel.Name
	}
	return ""
}
