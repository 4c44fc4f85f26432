// Package apt gets Debian packages through apt-get: installed where a tool of
// the build is missing, or only downloaded where a file out of one is wanted.
//
// The rule that it keeps: it says on standard error what it is about to
// install, and when it can't, the error names the packages. The programs in
// tools/ call it.
package apt

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Install installs packages, without those that they only recommend. It uses
// sudo where it isn't root.
func Install(packages ...string) error {
	list := strings.Join(packages, " ")
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("this is not a Debian system: install what Debian has in these packages yourself: %s", list)
	}
	args := append([]string{"install", "-y", "--no-install-recommends"}, packages...)
	fmt.Fprintf(os.Stderr, "installing Debian packages: %s\n", list)
	err := asRoot(args...)
	if err != nil {
		// The lists may be missing, as on a fresh system, or old.
		if err = Update(); err == nil {
			err = asRoot(args...)
		}
	}
	if err != nil {
		return fmt.Errorf("%w; install these Debian packages yourself: %s", err, list)
	}
	return nil
}

// Update fetches the lists of packages.
func Update() error { return asRoot("update") }

// asRoot runs apt-get, with sudo where it isn't root.
func asRoot(args ...string) error {
	command := append([]string{"apt-get", "-q", "-o", "DPkg::Lock::Timeout=120"}, args...)
	command = append([]string{"env", "DEBIAN_FRONTEND=noninteractive"}, command...)
	if os.Geteuid() != 0 {
		if _, err := exec.LookPath("sudo"); err != nil {
			return errors.New("not root, and sudo is not installed")
		}
		fmt.Fprintf(os.Stderr, "with sudo: apt-get %s\n", strings.Join(args, " "))
		sudo := []string{"sudo"}
		if info, err := os.Stdin.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
			sudo = append(sudo, "-n") // nobody there to type a password
		}
		command = append(sudo, command...)
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("apt-get %s: %w", args[0], err)
	}
	return nil
}

// Candidate returns the fields of the package that Install would install,
// Version and Depends among them. Where apt knows no such package it fetches
// the lists and looks again.
func Candidate(name string) (map[string]string, error) {
	text, err := exec.Command("apt-cache", "show", "--no-all-versions", name).Output()
	if err != nil || len(text) == 0 {
		if err := Update(); err != nil {
			return nil, fmt.Errorf("apt knows no package %s: %w", name, err)
		}
		if text, err = exec.Command("apt-cache", "show", "--no-all-versions", name).Output(); err != nil {
			return nil, fmt.Errorf("apt knows no package %s: %w", name, err)
		}
	}
	return parseFields(string(text)), nil
}

// parseFields returns the fields of the first paragraph of text (deb822(5)).
// Lines that go on a field are left out.
func parseFields(text string) map[string]string {
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "" && len(fields) > 0 {
			break
		}
		if name, value, found := strings.Cut(line, ":"); found && !strings.HasPrefix(line, " ") {
			fields[name] = strings.TrimSpace(value)
		}
	}
	return fields
}

// Download fetches the package that Install would install into dir, without
// installing it, and returns the path of the .deb file.
func Download(dir, name string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	// A folder of its own, so that the one file in it is the package.
	tmp, err := os.MkdirTemp(dir, "download-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	// As root apt-get would fetch as user _apt, who can't write here, and complain.
	cmd := exec.Command("apt-get", "-q", "-o", "APT::Sandbox::User=", "download", name)
	cmd.Dir = tmp
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("apt-get download %s: %w\n%s", name, err, text)
	}
	files, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil || len(files) != 1 {
		return "", fmt.Errorf("apt-get download %s left %d packages, want 1", name, len(files))
	}
	deb := filepath.Join(dir, filepath.Base(files[0]))
	return deb, os.Rename(files[0], deb)
}

// maxFile bounds what ReadFile reads into memory.
const maxFile = 256 << 20

// ReadFile returns the first regular file in a .deb file whose path, as in
// "./bin/busybox", matches.
func ReadFile(deb string, path *regexp.Regexp) ([]byte, error) {
	var stderr bytes.Buffer
	cmd := exec.Command("dpkg-deb", "--fsys-tarfile", deb)
	cmd.Stderr = &stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	data, err := readTar(pipe, path)
	pipe.Close() // ends dpkg-deb where not all was read
	if werr := cmd.Wait(); err != nil && werr != nil && stderr.Len() > 0 {
		err = errors.New(strings.TrimSpace(stderr.String()))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", deb, err)
	}
	return data, nil
}

func readTar(r io.Reader, path *regexp.Regexp) ([]byte, error) {
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if err == io.EOF {
			return nil, fmt.Errorf("holds no file %s", path)
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg || !path.MatchString(h.Name) {
			continue
		}
		if h.Size > maxFile {
			return nil, fmt.Errorf("%s has %d bytes, over the limit of %d", h.Name, h.Size, maxFile)
		}
		return io.ReadAll(t)
	}
}
