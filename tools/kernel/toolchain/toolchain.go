// Package toolchain builds kernels: ordinary Go programs, entered at a symbol of ours and linked from 16 MiB on, by the
// stock Go toolchain or by TamaGo's.
//
// It is the one place that knows how; tools/kernel is its command, and tests that boot images of their own call it.
package toolchain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Names of the toolchains, which the environment variable TOOLCHAIN chooses from.
const (
	Go     = "go"
	TamaGo = "tamago"
)

const ldflags = "-E keel/boot.entry32 -T 0x1001000"

// tamagoModules is the go.mod of builds by TamaGo, whose Go is older than that which go.mod asks for.
const tamagoModules = "goos/tamago.mod"

// ErrNone is what FromEnvironment returns where TamaGo is asked for and there is none.
var ErrNone = errors.New("TOOLCHAIN=tamago needs TAMAGO=/path/to/tamago-go/bin/go: how to build that is described by TamaGo (github.com/usbarmory/tamago-go)")

// A Toolchain builds kernels. The zero value is no toolchain.
type Toolchain struct {
	Name    string
	command string
	root    string // of Keel's source
	runtime string // the source of TamaGo's package runtime
	env     []string
	flags   []string
}

// FromEnvironment is the toolchain that TOOLCHAIN names (go where it is empty), for the source in root. TamaGo's go
// command is TAMAGO.
func FromEnvironment(ctx context.Context, root string) (*Toolchain, error) {
	switch name := cmp.Or(os.Getenv("TOOLCHAIN"), Go); name {
	case Go:
		// Without randomizedheapbase64 the heap is where the lower half expects it.
		return &Toolchain{name, "go", root, "",
			[]string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOEXPERIMENT=norandomizedheapbase64"},
			[]string{"-ldflags=" + ldflags}}, nil
	case TamaGo:
		command := os.Getenv("TAMAGO")
		goroot, err := checkTamaGo(ctx, command, root)
		if err != nil {
			return nil, err
		}
		// The hooks use two of the runtime's functions that it doesn't offer (goos).
		return &Toolchain{name, command, root, filepath.Join(goroot, "src", "runtime"),
			[]string{"CGO_ENABLED=0", "GOOS=tamago", "GOARCH=amd64", "GOOSPKG=keel", "GOTOOLCHAIN=local", "GOFLAGS="},
			[]string{"-modfile=" + tamagoModules, "-ldflags=-checklinkname=0 " + ldflags}}, nil
	default:
		return nil, fmt.Errorf("TOOLCHAIN=%s is none: give %s or %s", name, Go, TamaGo)
	}
}

// Build builds the main package pkg as the file out, with more flags for go build.
func (t *Toolchain) Build(ctx context.Context, pkg, out string, flags ...string) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	args := append([]string{"build", "-trimpath"}, t.flags...)
	if t.runtime != "" {
		dir, err := os.MkdirTemp("", "keel-runtime-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		flag, err := overlay(dir, t.runtime, t.root)
		if err != nil {
			return err
		}
		args = append(args, flag)
	}
	c := exec.CommandContext(ctx, t.command, append(append(args, flags...), "-o", out, pkg)...)
	c.Dir = t.root
	c.Env = append(os.Environ(), t.env...)
	if text, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s by %s: %w\n%s", pkg, t.command, err, text)
	}
	return nil
}

// checkTamaGo says what is wrong with a go command that is to be TamaGo's, or where that has its GOROOT.
func checkTamaGo(ctx context.Context, command, root string) (goroot string, err error) {
	if command == "" {
		return "", ErrNone
	}
	ask := func(args ...string) (string, error) {
		c := exec.CommandContext(ctx, command, args...)
		c.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOFLAGS=")
		text, err := c.Output()
		if err != nil {
			return "", fmt.Errorf("TAMAGO=%s is no go command: %w", command, err)
		}
		return strings.TrimSpace(string(text)), nil
	}
	systems, err := ask("tool", "dist", "list")
	if err != nil {
		return "", err
	}
	if !strings.Contains(systems, "tamago/amd64") {
		return "", fmt.Errorf("TAMAGO=%s is not TamaGo's: it doesn't build for tamago/amd64", command)
	}
	has, err := ask("env", "GOVERSION")
	if err != nil {
		return "", err
	}
	modules, err := os.ReadFile(filepath.Join(root, tamagoModules))
	if err != nil {
		return "", err
	}
	if err := compare(has, string(modules)); err != nil {
		return "", err
	}
	return ask("env", "GOROOT")
}

var (
	goLine     = regexp.MustCompile(`(?m)^go (\S+)$`)
	gvisorLine = regexp.MustCompile(`(?m)^\s*gvisor\.dev/gvisor (\S+)$`)
)

// compare says whether a TamaGo of a Go version is the one for modules, a go.mod: others' runtimes, even of the same release
// of Go, want other hooks and have other insides.
func compare(has, modules string) error {
	g, v := goLine.FindStringSubmatch(modules), gvisorLine.FindStringSubmatch(modules)
	if g == nil || v == nil {
		return fmt.Errorf("%s names no version of Go or of gVisor", tamagoModules)
	}
	if want := "go" + g[1]; has != want {
		return fmt.Errorf("TamaGo %s isn't supported: Keel is built by TamaGo %s, with gVisor %s (newer gVisors ask for a newer Go)", has, want, v[1])
	}
	return nil
}
