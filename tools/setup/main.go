// Setup installs the Debian packages that Keel's build and tests need and that
// aren't there yet.
//
//	go run ./tools/setup [image] [emulators] [bench]
//
// Without arguments it sees to all three. It looks for the files that are
// needed, not for packages, so a system that has them otherwise is left alone.
package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"keel/test/machine"
	"keel/tools/apt"
)

// need is a file that something of ours uses, and the package that has it.
type need struct {
	file string // a program's name, or a path that may hold wildcards
	pkg  string
}

var needs = map[string][]need{
	"image": {
		{"grub-mkrescue", "grub-common"},
		{"/usr/lib/grub/i386-pc/multiboot2.mod", "grub-pc-bin"},
		{"/usr/lib/grub/x86_64-efi/multiboot2.mod", "grub-efi-amd64-bin"},
		{"xorriso", "xorriso"},
		{"mformat", "mtools"},
	},
	"emulators": {
		{"qemu-system-x86_64", "qemu-system-x86"},
		{"/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf"},
		{"bochs", "bochs"},
		{"/usr/lib/*/bochs/plugins/libbx_term_gui.so", "bochs-term"},
		{"/usr/share/bochs/BIOS-bochs-latest", "bochsbios"},
		{"/usr/share/bochs/VGABIOS-lgpl-latest", "vgabios"},
		{machine.StandStill, "libfaketime"},
	},
	"bench": {
		{"zstd", "zstd"},
	},
}

func main() {
	groups := os.Args[1:]
	if len(groups) == 0 {
		groups = slices.Sorted(maps.Keys(needs))
	}
	missing, err := missing(groups, present)
	if err == nil && len(missing) > 0 {
		err = apt.Install(missing...)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "setup: %v\n", err)
		os.Exit(1)
	}
}

// missing returns the packages of groups of which a file isn't there.
func missing(groups []string, present func(file string) bool) ([]string, error) {
	var packages []string
	for _, g := range groups {
		list, known := needs[g]
		if !known {
			return nil, fmt.Errorf("no group %q; there are %s", g, strings.Join(slices.Sorted(maps.Keys(needs)), ", "))
		}
		for _, n := range list {
			if !present(n.file) && !slices.Contains(packages, n.pkg) {
				packages = append(packages, n.pkg)
			}
		}
	}
	return packages, nil
}

// present reports whether a file of a need is there.
func present(file string) bool {
	if !filepath.IsAbs(file) {
		_, err := exec.LookPath(file)
		return err == nil
	}
	found, _ := filepath.Glob(file) // its only error is a pattern that is wrong
	return slices.ContainsFunc(found, func(f string) bool {
		_, err := os.Stat(f) // which a link to nowhere fails
		return err == nil
	})
}
