// Guest gets what guests for the demo, the tests and the benchmarks are made of.
//
//	go run ./tools/guest -o build/guest
//
// It writes Debian's current cloud kernel (vmlinuz) with its drivers for a
// memory balloon (modules/) and KVM (kvm/), a static busybox (busybox), and the initial file
// system of the demo guest (demo.cpio.gz).
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
	busybox := filepath.Join(out, "busybox")
	// The modules are those of this very kernel, so they come from one package.
	kernel := []file{{filepath.Join(out, "vmlinuz"), 0o644, regexp.MustCompile(`^\./boot/vmlinuz-`)}}
	for dir, names := range modules {
		for _, name := range names {
			path := regexp.MustCompile(`^\./(usr/)?lib/modules/.*/` + name + `\.ko$`)
			kernel = append(kernel, file{filepath.Join(out, dir, name+".ko"), 0o644, path})
		}
	}
	if err := fetch(kernelOf, kernel...); err != nil {
		return err
	}
	if err := fetch(func() (string, error) { return "busybox-static", nil },
		file{busybox, 0o755, regexp.MustCompile(`^\./(usr/)?bin/busybox$`)}); err != nil {
		return err
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	return initrd.Save(filepath.Join(out, "demo.cpio.gz"), initrd.Script(program, initrd.Demo))
}

// modules are those of the kernel's that are used, by folder: guests' drivers (test/guest/workload), and KVM, for
// tools/peer.
var modules = map[string][]string{
	"modules": {"virtio_ring", "virtio", "virtio_mmio", "virtio_balloon"},
	"kvm":     {"irqbypass", "kvm", "kvm-intel"},
}

// A file of a package, and where it is to be.
type file struct {
	out  string
	mode os.FileMode
	path *regexp.Regexp // in the package
}

// fetch writes files of one package, unless all of them are there.
func fetch(pkg func() (string, error), files ...file) error {
	missing := false
	for _, f := range files {
		_, err := os.Stat(f.out)
		missing = missing || err != nil
	}
	if !missing {
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
	deb, err := apt.Download(filepath.Dir(files[0].out), name)
	if err != nil {
		return err
	}
	defer os.Remove(deb)
	for _, f := range files {
		data, err := apt.ReadFile(deb, f.path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(f.out), 0o755); err != nil {
			return err
		}
		// Renamed into place, so that what is there is whole.
		tmp := f.out + ".new"
		if err := os.WriteFile(tmp, data, f.mode); err != nil {
			return err
		}
		if err := os.Rename(tmp, f.out); err != nil {
			return err
		}
	}
	return nil
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
