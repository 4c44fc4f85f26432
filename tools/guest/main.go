// Guest gets what guests for the demo, the tests and the benchmarks are made of.
//
//	go run ./tools/guest -o build/guest
//
// It writes Debian's current cloud kernel (vmlinuz), a static busybox
// (busybox), and the initial file system of the demo guest (demo.cpio.gz).
// The packages are downloaded, never installed. What is there already is kept:
// remove the folder to get newer ones.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"keel/tools/apt"
	"keel/tools/guest/initrd"
)

// kernelPackage depends on the package of the current kernel.
const kernelPackage = "linux-image-cloud-amd64"

func main() {
	out := flag.String("o", "build/guest", "`folder` to write to")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintf(os.Stderr, "guest: %v\n", err)
		os.Exit(1)
	}
}

func run(out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	kernel, busybox := filepath.Join(out, "vmlinuz"), filepath.Join(out, "busybox")
	if err := fetch(kernel, 0o644, regexp.MustCompile(`^\./boot/vmlinuz-`), kernelOf); err != nil {
		return err
	}
	if err := fetch(busybox, 0o755, regexp.MustCompile(`^\./(usr/)?bin/busybox$`), func() (string, error) {
		return "busybox-static", nil
	}); err != nil {
		return err
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	return initrd.Save(filepath.Join(out, "demo.cpio.gz"), initrd.Script(program, initrd.Demo))
}

// fetch writes the file of a package whose path matches to out, unless it is there.
func fetch(out string, mode os.FileMode, path *regexp.Regexp, pkg func() (string, error)) error {
	if _, err := os.Stat(out); err == nil {
		return nil
	}
	name, err := pkg()
	if err != nil {
		return err
	}
	if _, err := apt.Candidate(name); err != nil { // fetches the lists where there are none
		return err
	}
	fmt.Fprintf(os.Stderr, "downloading Debian's %s\n", name)
	deb, err := apt.Download(filepath.Dir(out), name)
	if err != nil {
		return err
	}
	defer os.Remove(deb)
	data, err := apt.ReadFile(deb, path)
	if err != nil {
		return err
	}
	// Renamed into place, so that what is there is whole.
	tmp := out + ".new"
	if err := os.WriteFile(tmp, data, mode); err != nil {
		return err
	}
	return os.Rename(tmp, out)
}

// kernelOf returns the package of the kernel that kernelPackage depends on.
func kernelOf() (string, error) {
	fields, err := apt.Candidate(kernelPackage)
	if err != nil {
		return "", err
	}
	return firstDependency(fields["Depends"])
}

// firstDependency returns the name in the first clause of a Depends field.
func firstDependency(depends string) (string, error) {
	name, _, _ := strings.Cut(strings.TrimSpace(depends), " ")
	name, _, _ = strings.Cut(name, ",")
	if !strings.HasPrefix(name, "linux-image-") {
		return "", fmt.Errorf("%s depends on %q, not on a kernel's package", kernelPackage, depends)
	}
	return name, nil
}
